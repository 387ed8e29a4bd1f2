"""POSIX ACLs between their text, as setfacl(1) takes it, and their extended attribute.

"u::rw,u:61002:r,g::r,m::r,o::-": tags u, g, m, o; identifiers are numbers. The attribute is a
version and, for each entry, tag, permissions and identifier (linux/posix_acl_xattr.h).
"""
import struct

NAMES = {"access": "system.posix_acl_access", "default": "system.posix_acl_default"}

VERSION, NO_ID = 2, 0xffffffff
TAGS = {("u", False): 0x01, ("u", True): 0x02, ("g", False): 0x04, ("g", True): 0x08,
        ("m", False): 0x10, ("o", False): 0x20}
PERMISSIONS = "rwx"  # 4, 2, 1


def encode(text):
    data = struct.pack("<I", VERSION)
    for entry in filter(None, text.split(",")):
        tag, identifier, letters = entry.split(":")
        bits = sum(4 >> PERMISSIONS.index(each) for each in letters if each != "-")
        data += struct.pack("<HHI", TAGS[tag, identifier != ""], bits,
                            int(identifier) if identifier else NO_ID)
    return data


def decode(data):
    """The text; "u::rw-,..."."""
    if struct.unpack_from("<I", data)[0] != VERSION:
        return "version %r" % data
    letters = {tag: key for key, tag in TAGS.items()}
    entries = []
    for tag, bits, identifier in struct.iter_unpack("<HHI", data[4:]):
        letter, has_id = letters[tag]
        shown = "".join(each if bits & 4 >> i else "-" for i, each in enumerate(PERMISSIONS))
        entries.append("%s:%s:%s" % (letter, identifier if has_id else "", shown))
    return ",".join(entries)
