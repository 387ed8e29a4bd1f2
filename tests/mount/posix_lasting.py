"""The last case of posix.py: what it leaves there is compared again after unmounting."""
import os
import stat

from posix_acls import ACCESS, CAPABILITY, DEFAULTS
from posix_attrs import KINDS, TIMES
from posix_side import ANN, STAFF


def give_acls(side):
    """ACLs and extended attributes, of a file whose bytes change afterwards, too."""
    for name in ("regular", "directory", "fifo"):
        side.do("root", "setacl", name, ACCESS[3])
        side.do("root", "setxattr", name, "trusted.what", name.encode())
    side.do("root", "setacl", "directory", DEFAULTS[2], "default")
    side.do("root", "open", "f", "checkpointed", os.O_RDWR | os.O_CREAT, 0o644)
    side.do("root", "write", "f", b"x" * 300000)
    side.do("root", "setacl", "checkpointed", ACCESS[0])
    side.do("root", "setxattr", "checkpointed", "user.colour", b"red")
    side.do("root", "setxattr", "checkpointed", "trusted.empty", b"")
    side.do("root", "fchown", "f", ANN, STAFF)
    side.do("root", "fsync", "f")
    side.do("root", "pwrite", "f", b"changed", 70000)
    side.do("root", "fchmod", "f", 0o2755 | stat.S_ISVTX)
    side.do("root", "setxattr", "checkpointed", "security.capability", CAPABILITY)
    side.do("root", "futimens", "f", TIMES[1])
    side.do("root", "close", "f")
    # One whose checkpoint copies the image over the base.
    side.do("root", "open", "f", "overwritten", os.O_RDWR | os.O_CREAT, 0o644)
    side.do("root", "write", "f", b"x" * 300000)
    side.do("root", "link", "overwritten", "its-link")
    side.do("root", "fsync", "f")
    side.do("root", "pwrite", "f", b"changed", 70000)
    side.do("root", "fchmod", "f", 0o6755)
    side.do("root", "setacl", "overwritten", ACCESS[0])
    side.do("root", "setxattr", "overwritten", "security.capability", CAPABILITY)
    side.do("root", "futimens", "f", TIMES[1])
    side.do("root", "close", "f")


def lasting(side):
    """Times that were set are not moved by anything that comes later in the store."""
    directory = os.path.join(side.top, "lasting")
    os.mkdir(directory)
    side.fresh("what lasts", directory)
    side.do("root", "chmod", ".", 0o3770)
    for number, kind in enumerate(KINDS):
        side.make(kind, kind, 0o640 + number, (ANN, STAFF))
        side.do("root", "utimens", kind, TIMES[1], kind != "symlink")
    for number, calls in enumerate((
            (("write", b"some"), ("futimens", TIMES[1])),
            (("futimens", TIMES[1]), ("write", b"")),
            (("write", b"x" * 200000), ("futimens", TIMES[1]), ("fsync",)),
            (("write", b"x" * 200000), ("fsync",), ("pwrite", b"changed", 70000),
             ("futimens", TIMES[1]), ("fchmod", 0o4711)),
            (("write", b"some"), ("fchown", ANN, STAFF), ("futimens", TIMES[1]), ("fchmod", 0o600)),
            (("ftruncate", 100000), ("fallocate", 50), ("futimens", TIMES[1])),
            (("write", b"some"), ("futimens", TIMES[11])),
            (("write", b"some"), ("futimens", TIMES[10])))):
        name = "file-%d" % number
        side.do("root", "open", "f", name, os.O_RDWR | os.O_CREAT, 0o644)
        for call, *arguments in calls:
            side.do("root", call, "f", *arguments)
        side.do("root", "close", "f")
        if number % 2:
            side.do("root", "rename", name, "directory/" + name)
            side.do("root", "link", "directory/" + name, name)
    give_acls(side)
    side.do("root", "utimens", "directory", TIMES[1])
    side.do("root", "utimens", ".", TIMES[1])
    side.tree()


CASES = [lasting]
