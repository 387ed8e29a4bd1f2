"""Cases of posix.py about POSIX ACLs and extended attributes.

Each function of CASES takes a Side, and does the same on both.
"""
import os

from posix_attrs import KINDS, MAKERS, MODES
from posix_side import ANN, BOB, STAFF, USERS

XATTR_CREATE, XATTR_REPLACE = 1, 2

DEFAULTS = [
    "u::rwx,g::rwx,o::rwx",                                  # a mode in other words
    "u::rwx,g::r-x,o::---",
    "u::rwx,u:%d:rwx,g::r-x,m::rwx,o::---" % BOB,
    "u::rw-,g::---,g:%d:rwx,m::r--,o::r--" % STAFF,
]


def look_at_acls(side, *names):
    for name in names:
        side.look(name)
        for kind in ("access", "default"):
            side.do("root", "getacl", name, kind)


def inheriting(side):
    """What is new in a directory with a default ACL, with each umask: the umask does not count."""
    for default in DEFAULTS:
        for umask in (0o022, 0o077):
            side.fresh("making where the default is %s, umask %03o" % (default, umask))
            side.make("directory", "dir", 0o2777, (0, STAFF))
            side.do("root", "setacl", "dir", default, "default", watch=["dir"])
            made = []
            for who in ("root", "ann", "bob+"):
                side.do(who, "umask", umask)
                for maker in MAKERS:
                    for mode in MODES[:3] if maker[0] in ("open", "mknod", "mkdir") else (0o666,):
                        name = "dir/%s-%s-%o" % (maker[0], who, mode)
                        arguments = [name if each == "@" else each for each in maker[1:]]
                        if maker[0] == "mknod":
                            arguments[1] |= mode
                        elif maker[0] in ("open", "mkdir", "mkfifo"):
                            arguments.append(mode)
                        side.do(who, maker[0], *arguments, watch=[name])
                        made += [name] if maker[0] != "symlink" else []
                        if maker[0] == "mkdir":
                            side.do(who, "mkdir", name + "/below", 0o777)
                            made.append(name + "/below")
                side.do(who, "close", "f")
                side.do(who, "umask", 0)
            look_at_acls(side, *made)
            side.do("root", "removeacl", "dir", "default", watch=["dir"])
            side.do("ann", "umask", umask)
            side.do("ann", "mkdir", "dir/without", 0o777, watch=["dir/without"])
            side.do("ann", "umask", 0)


# Access ACLs of a file and a directory of ann, group STAFF.
ACCESS = [
    "u::rwx,u:%d:rwx,g::---,m::rwx,o::---" % BOB,
    "u::rwx,u:%d:---,g::rwx,m::rwx,o::rwx" % BOB,      # less than others may
    "u::rwx,u:%d:rwx,g::rwx,m::r--,o::---" % BOB,      # the mask takes it away
    "u::rwx,g::---,g:%d:r-x,g:%d:-w-,m::rwx,o::--x" % (ANN, 61007),
    "u::---,u:%d:rw-,g::---,m::rw-,o::---" % ANN,      # the owner is the owner
]


def acl_permissions(side):
    """What each user may do to a file and in a directory by its ACL."""
    for acl in ACCESS:
        for mode in (None, 0o750, 0o707):  # set afterwards: its group bits are the mask
            side.fresh("permissions by %s, then %s" % (acl, "%03o" % mode if mode else "nothing"))
            for name in ("dir/file", "dir/sub/inside"):
                os.makedirs(os.path.dirname(side.path(name)), exist_ok=True)
                side.make("regular", name, 0o666, (ANN, ANN))
            for name in ("dir/file", "dir/sub/inside", "dir/sub", "dir"):
                os.chown(side.path(name), ANN, STAFF)
                if name != "dir/sub/inside":
                    side.do("ann", "setacl", name, acl)
                    if mode:
                        side.do("ann", "chmod", name, mode)
            for who in ("root", "ann", "bob", "bob+", "cat"):
                for call in (
                        ("access", "dir", os.R_OK | os.X_OK), ("access", "dir", os.W_OK),
                        ("listdir", "dir"), ("stat", "dir/file"), ("access", "dir/file", os.W_OK),
                        ("open", "f", "dir/file", os.O_RDONLY), ("close", "f"),
                        ("open", "f", "dir/file", os.O_WRONLY), ("write", "f", b"x"),
                        ("close", "f"), ("truncate", "dir/file", 4),
                        ("open", "f", "dir/new", os.O_RDWR | os.O_CREAT, 0o600), ("close", "f"),
                        ("rename", "dir/new", "dir/sub/new"), ("unlink", "dir/sub/new"),
                        ("unlink", "dir/new"), ("stat", "dir/sub/inside"), ("chdir", "dir/sub"),
                        ("chdir", side.directory), ("utimens", "dir/file", None),
                        ("execute", "dir/file"), ("setacl", "dir/file", acl)):
                    side.do(who, *call)
            look_at_acls(side, "dir", "dir/file", "dir/sub")


ACL_CALLS = [
    ("setacl", "u::rwx,g::r-x,o::---"), ("setacl", "u::rw,u:%d:rw,g::r,m::r,o::-" % BOB),
    ("setacl", "u::rwx,g::r-x,o::---,u:1:r"),                    # not in order
    ("setacl", "u::rwx,u:%d:r,g::r,o::-" % BOB),                 # no mask
    ("setacl", "u::rwx,g::r"), ("setacl", ""), ("setacl", "u::rwx,g::rwx,o::rwx", "default"),
    ("setacl", "", "default"), ("getacl",), ("getacl", "default"), ("removeacl",),
    ("removeacl", "default"),
]


def setting_acls(side):
    """Who may set which ACL, and what becomes of mode, set-id bits and times."""
    for kind in KINDS:
        for group in (ANN, STAFF):
            for call in ACL_CALLS:
                title = "%s%r of %s, group %d" % (call[0], call[1:], kind, group)
                side.fresh(title)
                for who in ("root", "ann", "ann+", "bob"):
                    side.make(kind, who, 0o6775, (ANN, group))
                    if kind == "symlink":
                        side.make("regular", "target of " + who, 0o6775, (ANN, group))
                for who in ("root", "ann", "ann+", "bob"):
                    side.do(who, call[0], who, *call[1:], watch=[who])
                    side.do(who, "getacl", who)


def acls_and_modes(side):
    """chmod moves the mask and an ACL the mode, of open files and closed ones."""
    full = "u::rwx,u:%d:rwx,g::r-x,g:%d:rw-,m::rwx,o::r--" % (BOB, STAFF)
    for kind in ("regular", "directory", "fifo"):
        for is_open in (False, True):
            side.fresh("chmod of %s with an ACL%s" % (kind, ", open" if is_open else ""))
            side.make(kind, "it", 0o644, (ANN, STAFF))
            os.link(side.path("it"), side.path("link")) if kind == "regular" else None
            if is_open:
                side.do("ann", "open", "f", "it", os.O_RDONLY if kind == "directory"
                        else os.O_RDWR | os.O_NONBLOCK)
            side.do("ann", "setacl", "it", full, watch=["it", "link"])
            for mode in (0o755, 0o600, 0o2670, 0o444):
                side.do("ann+", "chmod", "it", mode, watch=["it", "link"])
                look_at_acls(side, "it")
                side.do("bob", "access", "it", os.W_OK)
            side.do("ann", "pwrite", "f", b"x" * 70000, 0)
            side.do("root", "chown", "it", BOB, 7, watch=["it"])
            look_at_acls(side, "it")
            side.do("ann", "access", "it", os.R_OK)
            side.do("bob", "removeacl", "it", watch=["it"])
            look_at_acls(side, "it")
            side.do("ann", "close", "f")


XATTR_CALLS = [
    ("setxattr", "user.a", b"value"), ("setxattr", "user.a", b"another"), ("getxattr", "user.a"),
    ("setxattr", "user.b", b"", XATTR_CREATE), ("setxattr", "user.b", b"x", XATTR_CREATE),
    ("setxattr", "user.c", b"x", XATTR_REPLACE), ("getxattr", "user.b"), ("listxattr",),
    ("setxattr", "user." + "n" * 250, bytes(range(256)) * 10),
    ("setxattr", "user." + "n" * 251, b"x"), ("setxattr", "user.", b"x"),
    ("setxattr", "user.large", b"x" * 65537), ("setxattr", "other.a", b"x"),
    ("setxattr", "trusted.a", b"for root"), ("getxattr", "trusted.a"), ("listxattr",),
    ("setxattr", "security.a", b"x"), ("getxattr", "security.a"), ("removexattr", "user.a"),
    ("removexattr", "user.a"), ("getxattr", "user.a"), ("removexattr", "trusted.a"),
]


def extended_attributes(side):
    for kind, mode in (("regular", 0o644), ("regular", 0o466), ("directory", 0o1777),
                       ("symlink", 0o644), ("fifo", 0o666), ("char", 0o666)):
        for who in ("root", "ann", "bob"):
            side.fresh("extended attributes of %s %o by %s" % (kind, mode, who))
            side.make(kind, "it", mode, (ANN, ANN))
            for call, *arguments in XATTR_CALLS:
                if kind == "symlink":
                    if call == "setxattr" and len(arguments) < 3:
                        arguments.append(0)
                    arguments.append(False)
                side.do(who, call, "it", *arguments, watch=["it"])


# cap_net_raw+ep of setcap(8), revision 2.
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def file_capabilities(side):
    """What takes them away."""
    for who in ("root", "ann"):
        for call in (("write", "f", b"x"), ("pwrite", "f", b"x", 3), ("ftruncate", "f", 3),
                     ("ftruncate", "f", 10), ("fallocate", "f", 20), ("fchmod", "f", 0o600),
                     ("fchown", "f", ANN, ANN), ("futimens", "f", (1, 2)), ("fsync", "f")):
            side.fresh("capabilities after %s%r by %s" % (call[0], call[2:], who))
            side.make("regular", "it", 0o755, (ANN, ANN))
            side.do("root", "setxattr", "it", "security.capability", CAPABILITY)
            side.do(who, "setxattr", "it", "security.capability", CAPABILITY)
            side.do(who, "open", "f", "it", os.O_RDWR)
            side.do("root", "getxattr", "it", "security.capability")
            side.do(who, *call)
            side.do("root", "getxattr", "it", "security.capability")
            side.do(who, "close", "f")
    side.fresh("capabilities and set-id bits given after the bytes, which reach the store later")
    side.make("directory", "dir", 0o777)
    for who in ("root", "ann"):
        for name, writes in (("new", ((b"x" * 70000, 0), (b"more", 70000))), ("link", ()),
                             ("old", ((b"changed", 5),)), ("long", ((b"y" * 3000000, 0),))):
            path = "dir/%s of %s" % (name, who)
            if name == "old":
                side.make("regular", path, 0o644, USERS[who][:2])
            side.do(who, "open", "f", path, os.O_RDWR | os.O_CREAT, 0o644)
            for data, offset in writes:
                side.do(who, "pwrite", "f", data, offset)
            side.do(who, "fchmod", "f", 0o6711)
            if name == "link":
                side.do(who, "link", path, path + "ed")
            side.do("root", "setxattr", path, "security.capability", CAPABILITY)
            if name == "long":
                side.do(who, "pwrite", "f", b"", 0)
                side.do(who, "fsync", "f")
            side.do(who, "close", "f")
            side.look(path)
            side.do("root", "getxattr", path, "security.capability")
            side.do(who, "open", "f", path, os.O_WRONLY | os.O_APPEND)
            side.do(who, "write", "f", b"appended")
            side.look(path)
            side.do("root", "getxattr", path, "security.capability")
            side.do(who, "close", "f")
            side.look(path)
    side.fresh("capabilities after truncation as a part of open, and rename and link")
    side.make("regular", "it", 0o755, (ANN, ANN))
    for call in (("rename", "it", "that"), ("link", "that", "it"), ("open", "f", "it", os.O_RDONLY),
                 ("open", "f", "it", os.O_WRONLY | os.O_TRUNC), ("close", "f")):
        side.do("root", "setxattr", "that" if call[0] == "link" else "it", "security.capability",
                CAPABILITY)
        side.do("root", *call)
        side.do("root", "getxattr", "it", "security.capability")
        side.do("root", "getxattr", "that", "security.capability")
    side.do("root", "stat", "it")


CASES = [inheriting, acl_permissions, setting_acls, acls_and_modes, extended_attributes,
         file_capabilities]
