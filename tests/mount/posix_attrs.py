"""Cases of posix.py about attributes: owners, modes, set-id bits, sticky directories, times.

Each function of CASES takes a Side, and does the same on both.
"""
import os
import stat

from posix_side import ANN, BOB, STAFF

EVERYBODY = ("root", "ann", "ann+", "bob", "bob+", "cat")
KINDS = ("regular", "directory", "symlink", "fifo", "socket", "char")

# Calls that make something, as (call, arguments); "@" stands for the name.
MAKERS = [
    ("open", "f", "@", os.O_WRONLY | os.O_CREAT | os.O_EXCL), ("mknod", "@", stat.S_IFREG),
    ("mkdir", "@"), ("mkfifo", "@"), ("symlink", "somewhere", "@"), ("bind", "@"),
]
MODES = (0o644, 0o6777, 0o2755, 0o2644, 0o1777, 0o4711)


def making(side):
    """Who owns what is new, in plain and in set-group-id directories, with each umask."""
    for directory_mode, group in ((0o777, 7), (0o2777, 7), (0o2777, STAFF), (0o3777, ANN)):
        for umask in (0, 0o022, 0o077):
            side.fresh("making in a directory %o of group %d, umask %03o" %
                       (directory_mode, group, umask))
            side.make("directory", "dir", directory_mode, (0, group))
            for who in ("root", "ann", "ann+", "bob+"):
                side.do(who, "umask", umask)
                for maker in MAKERS:
                    for mode in MODES if maker[0] in ("open", "mknod", "mkdir", "mkfifo") else (0,):
                        name = "dir/%s-%s-%o" % (maker[0], who, mode)
                        arguments = [name if each == "@" else each for each in maker[1:]]
                        if maker[0] == "mknod":
                            arguments[1] |= mode
                        elif maker[0] in ("open", "mkdir", "mkfifo"):
                            arguments.append(mode)
                        side.do(who, maker[0], *arguments, watch=[name])
                side.do(who, "close", "f")
                side.do(who, "umask", 0)


OWNER_CALLS = [
    ("chown", -1, -1), ("chown", ANN, -1), ("chown", -1, ANN), ("chown", -1, STAFF),
    ("chown", ANN, STAFF), ("chown", BOB, -1), ("chown", -1, 7), ("lchown", -1, STAFF),
    ("chown", 0, 0), ("chmod", 0o6755), ("chmod", 0o2755), ("chmod", 0o2644), ("chmod", 0o1600),
    ("chmod", 0o711),
]
SIZE_CALLS = [("truncate", 3), ("truncate", 100)]
OPEN_CALLS = [
    ("write", "f", b"x"), ("write", "f", b""), ("pwrite", "f", b"x" * 70000, 5),
    ("ftruncate", "f", 3), ("ftruncate", "f", 10), ("fallocate", "f", 10), ("fallocate", "f", 20),
    ("fchown", "f", -1, -1), ("fchown", "f", -1, STAFF), ("fchmod", "f", 0o6755), ("read", "f", 1),
]


# Whoever tries these on files of ann: one file each, all made first, since to be seen again a
# time has to move.
WHO = ("root", "ann", "ann+", "bob", "bob+")


def owners_and_set_ids(side):
    for kind, modes, calls in (
            ("regular", (0o6755, 0o2744, 0o6777, 0o600), OWNER_CALLS + SIZE_CALLS),
            ("directory", (0o6755, 0o2744, 0o600), OWNER_CALLS),
            ("fifo", (0o6755, 0o2744), OWNER_CALLS), ("char", (0o6711,), OWNER_CALLS),
            ("symlink", (0o6777,), OWNER_CALLS + SIZE_CALLS)):
        for mode in modes:
            for group in (ANN, STAFF, 7):
                made = []
                for call, *arguments in calls:
                    title = "%s%r of %s %o, group %d" % (call, arguments, kind, mode, group)
                    made.append((title, side.fresh(title), call, arguments))
                    for who in WHO:
                        side.make(kind, who, mode, (ANN, group))
                        if kind == "symlink":
                            side.make("regular", "target of " + who, mode, (ANN, group))
                watched = ["%s"] + (["target of %s"] if kind == "symlink" else [])
                for title, directory, call, arguments in made:
                    side.fresh(title, directory)
                    for who in WHO:
                        side.do(who, call, who, *arguments,
                                watch=[name % who for name in watched])


def set_ids_of_open_files(side):
    for mode in (0o6777, 0o2767, 0o4777, 0o3777):
        for group in (ANN, STAFF, 7):
            for call in OPEN_CALLS:
                side.fresh("%s%r of an open file %o, group %d" %
                           (call[0], call[2:] if call[0] != "pwrite" else "", mode, group))
                for who in WHO:
                    side.make("regular", who, mode, (ANN, group))
                    side.do(who, "open", "f", who, os.O_RDWR)
                for who in WHO:
                    side.do(who, *call, watch=[who])
                for who in WHO:
                    side.do(who, "close", "f", watch=[who])
            side.fresh("truncation as a part of open, %o, group %d" % (mode, group))
            for who in WHO:
                side.make("regular", who, mode, (ANN, group))
            for who in WHO:
                side.do(who, "open", "f", who, os.O_RDWR | os.O_TRUNC, watch=[who])
            for who in WHO:
                side.do(who, "close", "f", watch=[who])


def permissions(side):
    """What each user may do in directories and to files of each mode."""
    for mode in (0o700, 0o070, 0o007, 0o500, 0o300, 0o600, 0o771, 0o730, 0o705):
        for group in (ANN, STAFF):
            side.fresh("permissions %03o, group %d" % (mode, group))
            side.make("directory", "dir")
            side.make("directory", "closed")
            for name in ("file", "away"):
                side.make("regular", "dir/" + name, mode, (ANN, group))
            side.make("full", "dir/sub", mode, (ANN, group))
            side.make("directory", "dir/empty", mode, (ANN, group))
            for path in ("dir", "closed"):
                os.chown(side.path(path), ANN, group)
                os.chmod(side.path(path), mode)
            for who in EVERYBODY:
                for call in (
                        ("access", "dir", os.R_OK), ("access", "dir/file", os.W_OK | os.X_OK),
                        ("listdir", "dir"), ("chdir", "closed"), ("chdir", ".."),
                        ("open", "f", "dir/file", os.O_RDONLY),
                        ("open", "f", "dir/file", os.O_WRONLY), ("close", "f"),
                        ("open", "f", "dir/new", os.O_RDWR | os.O_CREAT, 0), ("write", "f", b"x"),
                        ("close", "f"), ("unlink", "dir/new"), ("mkdir", "dir/d", 0o755),
                        ("rmdir", "dir/d"), ("symlink", "to", "dir/l"), ("unlink", "dir/l"),
                        ("rename", "dir/away", "dir/a"), ("rename", "dir/a", "dir/away"),
                        ("rename", "dir/sub", "closed/sub"), ("rename", "closed/sub", "dir/sub"),
                        ("rename", "dir/empty", "dir/sub"), ("link", "dir/file", "dir/l"),
                        ("unlink", "dir/l"), ("rmdir", "dir/sub"), ("truncate", "dir/file", 1),
                        ("stat", "dir/file"), ("execute", "dir/file"), ("unlink", "dir/sub/inside"),
                        ("mkfifo", "dir/sub/x", 0o600), ("unlink", "dir/sub/x")):
                    side.do(who, *call)
            side.tree()


def sticky_directories(side):
    for kind in ("regular", "directory", "symlink", "fifo"):
        for directory_owner in (0, ANN, BOB):
            for owner in (ANN, BOB, 0):
                side.fresh("%s of %d in a sticky directory of %d" % (kind, owner, directory_owner))
                side.make("directory", "free", 0o777)
                side.make("directory", "dir", 0o1777, (directory_owner, 0))
                for who in ("ann", "bob+", "root"):
                    for name in ("it", "other"):
                        side.make(kind, "dir/" + name, 0o777, (owner, 0))
                    side.make(kind, "free/mine", 0o777, (ANN, 0))
                    for call in (("rename", "dir/it", "dir/new"), ("rename", "free/mine", "dir/it"),
                                 ("rename", "dir/it", "dir/other"), ("rename", "dir/it", "free/it"),
                                 ("rename", "dir/it", "free/mine", 2), ("link", "dir/it", "free/l"),
                                 ("unlink", "dir/it"), ("rmdir", "dir/it"),
                                 ("unlink", "dir/other"), ("rmdir", "dir/other")):
                        side.do(who, *call)
                    side.tree()
                    for name in os.listdir(side.path("dir")) + os.listdir(side.path("free")):
                        for place in ("dir/", "free/"):
                            side.do("root", "rmdir" if kind == "directory" else "unlink",
                                    place + name)


TIME_CALLS = [
    ("chmod", "it", 0o600), ("chmod", "it", 0o644), ("chown", "it", 5, 6), ("chown", "it", -1, -1),
    ("link", "it", "sub/new"), ("rename", "sub/new", "new"), ("unlink", "new"),
    ("rename", "it", "moved"), ("rename", "moved", "it"), ("mkdir", "d", 0o755),
    ("rename", "d", "sub/d"), ("rmdir", "sub/d"), ("symlink", "x", "l"), ("unlink", "l"),
    ("mkfifo", "p", 0o600), ("unlink", "p"), ("open", "f", "it", os.O_RDWR | os.O_NONBLOCK),
    ("close", "f"), ("truncate", "it", 12), ("truncate", "it", 4), ("truncate", "it", 70000),
    ("open", "f", "it", os.O_RDWR | os.O_NONBLOCK | os.O_TRUNC), ("close", "f"),
    ("open", "f", "it", os.O_RDWR | os.O_NONBLOCK | os.O_TRUNC),
    ("write", "f", b"some"), ("write", "f", b""), ("fsync", "f"), ("write", "f", b"more"),
    ("close", "f"), ("open", "f", "it", os.O_WRONLY | os.O_NONBLOCK), ("pwrite", "f", b"x", 2),
    ("ftruncate", "f", 8), ("ftruncate", "f", 5), ("fallocate", "f", 5), ("fallocate", "f", 9),
    ("futimens", "f", (1, "omit")), ("fchmod", "f", 0o640), ("close", "f"),
    ("open", "f", "new", os.O_WRONLY | os.O_CREAT), ("write", "f", b"x"), ("close", "f"),
    ("rename", "it", "new"),
    ("unlink", "new"), ("rename", "it", "nowhere/it"), ("unlink", "it"),
]


def times(side):
    """Which call moves which times, of the file, its links and its directories."""
    for kind in KINDS:
        side.fresh("times of %s" % kind)
        side.make(kind, "it")
        side.make("directory", "sub")
        if kind != "directory":
            os.link(side.path("it"), side.path("its-link"), follow_symlinks=False)
        for call in TIME_CALLS:
            if call[0] == "write" and kind == "fifo":
                continue  # FUSE leaves the times of fifos alone (S_NOCMTIME)
            side.do("root", *call, watch=["it", "its-link", "new", "moved", "sub", "."])
    for how in ("regular", "symlink", "fifo", "directory", "none"):
        side.fresh("times after rename over %s" % how)
        side.make("directory", "from")
        side.make("directory", "to")
        side.make("directory" if how == "directory" else "regular", "from/it")
        side.make(how, "to/it")
        if how not in ("directory", "none"):
            os.link(side.path("to/it"), side.path("link"), follow_symlinks=False)
        side.do("root", "rename", "from/it", "to/it",
                watch=["from", "from/it", "to", "to/it", "link"])


SECOND = 10 ** 9
TIMES = [
    (1, 2), (1_500_000_000_123_456_789, 1_400_000_000_987_654_321), ("omit", 5 * SECOND + 7),
    (6 * SECOND + 999_999_999, "omit"), ("omit", "omit"), ("now", "omit"), ("omit", "now"),
    ("now", "now"), None, ("now", 3 * SECOND), (-5 * SECOND + 3, -1), (4_000_000_000 * SECOND, 0),
]


def utimensat(side):
    few = ("root", "ann", "bob+")
    for kind, modes, users in (
            ("regular", (0o644, 0o622), EVERYBODY), ("symlink", (0o622,), EVERYBODY),
            ("directory", (0o622,), few), ("fifo", (0o622,), few), ("char", (0o622,), few)):
        for mode in modes:
            for who in users:
                side.fresh("utimensat of %s %o by %s" % (kind, mode, who))
                side.make(kind, "it", mode, (ANN, STAFF))
                for times_given in TIMES:
                    side.do(who, "utimens", "it", times_given, kind != "symlink", watch=["it"],
                            atime=True)
                if kind == "regular":
                    side.do(who, "open", "f", "it", os.O_RDWR)
                    for times_given in TIMES[:7]:
                        side.do(who, "futimens", "f", times_given, watch=["it"], atime=True)
                    side.do(who, "write", "f", b"x", watch=["it"])
                    side.do(who, "futimens", "f", (10, 20), watch=["it"], atime=True)
                    side.do(who, "close", "f", watch=["it"])
                if kind == "symlink":
                    side.make("regular", "target of it", 0o622, (BOB, 7))
                    for times_given in TIMES[:3]:
                        side.do(who, "utimens", "it", times_given, True, atime=True,
                                watch=["it", "target of it"])


CASES = [making, owners_and_set_ids, set_ids_of_open_files, permissions, sticky_directories, times,
         utimensat]
