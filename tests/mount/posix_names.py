"""Cases of posix.py about names: bad paths, open, rename, link, removal, special files.

Each function of CASES takes a Side, and does the same on both.
"""
import os
import stat

KINDS = ("regular", "directory", "full", "symlink", "fifo", "socket", "char", "block")
NOREPLACE, EXCHANGE = 1, 2  # of renameat2(2)

# Calls on a path, as (user, call, arguments); "@" stands for the path.
PATH_CALLS = [
    ("mkdir", "@", 0o755), ("mkfifo", "@", 0o644), ("mknod", "@", stat.S_IFREG | 0o644),
    ("mknod", "@", stat.S_IFCHR | 0o644, (1, 3)), ("bind", "@"), ("symlink", "any", "@"),
    ("open", "f", "@", os.O_RDONLY), ("open", "f", "@", os.O_WRONLY | os.O_CREAT),
    ("open", "f", "@", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    ("open", "f", "@", os.O_RDONLY | os.O_DIRECTORY), ("open", "f", "@", os.O_WRONLY | os.O_TRUNC),
    ("open", "f", "@", os.O_RDONLY | os.O_NOFOLLOW), ("link", "@", "new"), ("link", "file", "@"),
    ("link", "@", "new", True), ("rename", "@", "new"), ("rename", "file", "@"),
    ("rename", "dir", "@"), ("rename", "@", "file", EXCHANGE), ("unlink", "@"), ("rmdir", "@"),
    ("chmod", "@", 0o600), ("chown", "@", 1, 1), ("lchown", "@", 1, 1), ("truncate", "@", 3),
    ("stat", "@"), ("lstat", "@"), ("readlink", "@"), ("access", "@", os.R_OK), ("listdir", "@"),
    ("utimens", "@", (1, 2)), ("utimens", "@", (1, 2), False), ("chdir", "@"),
]
BAD_PATHS = [
    "", ".", "..", "dir/.", "dir/..", "dir/", "missing", "missing/", "missing/x", "file/", "file/x",
    "fifo/x", "to-file", "to-file/", "to-file/x", "to-dir", "to-dir/", "to-dir/x", "dangling",
    "dangling/", "dangling/x", "loop", "loop/x", "loop-a", "{long}", "{long}/x", "dir/{long}",
    "dir/{max}", "{max}", "x" * 4096, "closed/x", "closed/", "unwritable/x", "unwritable/old",
]


def make_for_bad_paths(side):
    for kind, name in (("regular", "file"), ("full", "dir"), ("fifo", "fifo"),
                       ("directory", "closed"), ("directory", "unwritable"),
                       ("regular", "closed/old"), ("regular", "unwritable/old")):
        side.make(kind, name)
    for target, name in (("file", "to-file"), ("dir", "to-dir"), ("nowhere", "dangling"),
                         ("loop", "loop"), ("loop-b", "loop-a"), ("loop-a", "loop-b")):
        os.symlink(target, name)
    for mode, name in ((0o777, "."), (0o600, "closed"), (0o555, "unwritable")):
        os.chmod(name, mode)


def bad_paths(side):
    for call in PATH_CALLS:
        is_spent = True  # something was changed in the directory
        for path in BAD_PATHS:
            if (call[0], path) == ("open", "fifo/x"):
                continue
            side.fresh("%s with '%s'" % (call[0], path if len(path) < 99 else "x...x"),
                       None if is_spent else side.directory)
            if is_spent:
                make_for_bad_paths(side)
            who = "ann" if path.startswith(("closed", "unwritable")) else "root"
            answer = side.do(who, *(path if each == "@" else each for each in call))
            is_spent = answer == "ok"
            side.do(who, "close", "f")
            if is_spent or path == BAD_PATHS[-1]:
                side.tree()


def rename_matrix(side):
    for flags in (0, NOREPLACE, EXCHANGE):
        for source in KINDS:
            made = []  # first, since to be seen again a time has to move
            for target in KINDS + ("none", "itself", "its link"):
                if target == "its link" and source in ("directory", "full"):
                    continue
                for place in ("", "sub/"):
                    title = "rename %s over %s%s, flags %d" % (source, place, target, flags)
                    made.append((title, side.fresh(title), target, place))
                    side.make("directory", "sub")
                    side.make(source, "source", owner=(1, 2))
                    if target == "its link":
                        os.link("source", place + "target", follow_symlinks=False)
                    elif target != "itself":
                        side.make(target, place + "target", owner=(3, 4))
            for title, directory, target, place in made:
                side.fresh(title, directory)
                to = "source" if target == "itself" else place + "target"
                side.do("root", "rename", "source", to, flags,
                        watch=[".", "sub", "source", place + "target"])
                side.tree()


def rename_directories(side):
    side.fresh("rename of directories into themselves")
    side.make("directory", "a")
    side.make("directory", "a/b")
    side.make("directory", "a/b/c")
    side.make("regular", "a/b/c/file")
    for source, target in (("a", "a/x"), ("a", "a/b/c/x"), ("a/b", "a"), ("a/b/c", "a/b"),
                           ("a/b/c/file", "a/b/c"), ("a/b/c", "a/x"), ("a/x/file", "file"),
                           ("a/x", "a/b"), ("a/b/.", "x"), ("a/..", "x"), (".", "x"), ("a", ".")):
        side.do("root", "rename", source, target, watch=["a", "."])
        side.tree()
    side.do("root", "rename", "a", "a/b/x", EXCHANGE)


def link_matrix(side):
    for source in KINDS + ("none",):
        for target in KINDS + ("none", "itself"):
            side.fresh("link %s as %s" % (source, target))
            side.make("directory", "sub")
            side.make(source, "source")
            if target != "itself":
                side.make(target, "sub/target")
            to = "sub/target" if target != "itself" else "source"
            if side.do("root", "link", "source", to, watch=[".", "sub", "source", to]) == "ok":
                side.same_file("source", to)
                side.do("root", "chmod", to, 0o611, watch=["source", to])
                side.do("root", "rename", to, "moved", watch=["source", "moved", "sub", "."])
                side.do("root", "unlink", "source", watch=["moved", "."])
                side.do("root", "unlink", "moved", watch=["."])
            side.tree()


def many_links(side):
    side.fresh("many links of one file")
    side.make("regular", "file")
    names = ["link%d" % i for i in range(20)]
    for name in names:
        side.do("root", "link", "file", name, watch=["file"])
    side.do("root", "open", "f", "file", os.O_RDWR)
    side.do("root", "write", "f", b"other", watch=["link19", "file"])
    side.do("root", "close", "f", watch=["link0"])
    for name in ["file"] + names:
        side.do("root", "unlink", name, watch=["link3", "link19"])
        side.do("root", "access", "link19", os.R_OK)


def removal(side):
    for kind in KINDS:
        for call in ("unlink", "rmdir"):
            side.fresh("%s of %s" % (call, kind))
            side.make(kind, "it")
            if kind not in ("directory", "full"):
                os.link(side.path("it"), side.path("other"), follow_symlinks=False)
            side.do("root", call, "it", watch=["it", "other", "."])
            side.do("root", call, "other", watch=["it", "other", "."])


def without_a_name(side):
    """Open files live on; a removed directory takes nothing new."""
    for how in ("unlink", "rename"):
        side.fresh("a file that is open after %s" % how)
        side.make("regular", "file")
        side.make("regular", "new")
        side.do("root", "open", "f", "file", os.O_RDWR)
        side.do("root", *(("unlink", "file") if how == "unlink" else ("rename", "new", "file")))
        for call in (("fstat", "f"), ("pread", "f", 20, 0), ("pwrite", "f", b"more", 100000),
                     ("fstat", "f"), ("ftruncate", "f", 100002), ("pread", "f", 20, 99999),
                     ("fchmod", "f", 0o4711), ("fchown", "f", 5, 6), ("futimens", "f", (1, 2)),
                     ("fstat", "f"), ("fsync", "f"), ("linkfd", "f", "again"), ("close", "f")):
            side.do("root", *call)
        side.tree()
    for how in ("rmdir", "rename"):
        side.fresh("a directory that is open after %s" % how)
        side.make("directory", "dir")
        side.make("directory", "new")
        side.do("root", "open", "d", "dir", os.O_RDONLY | os.O_DIRECTORY)
        side.do("root", "open", "top", ".", os.O_RDONLY | os.O_DIRECTORY)
        side.do("root", "chdir", "dir")
        side.do("root", *(("rmdir", "../dir") if how == "rmdir" else
                          ("rename", "../new", "../dir")))
        for call in (("fstat", "d"), ("stat", "."), ("mkdir", "x", 0o755), ("mkfifo", "x", 0o644),
                     ("open", "f", "x", os.O_WRONLY | os.O_CREAT), ("symlink", "a", "x"),
                     ("link", "../dir", "x"), ("rename", "../new", "x"), ("bind", "x"),
                     ("unlink", "x"), ("listdir", "."), ("fchmod", "d", 0o700), ("fstat", "d"),
                     ("close", "d"), ("fchdir", "top")):
            side.do("root", *call)
        side.tree()


ACCESS = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}
FLAGS = {"": 0, "creat": os.O_CREAT, "excl": os.O_CREAT | os.O_EXCL, "trunc": os.O_TRUNC,
         "append": os.O_APPEND, "nofollow": os.O_NOFOLLOW, "directory": os.O_DIRECTORY,
         "path": os.O_PATH, "noatime": os.O_NOATIME, "sync": os.O_SYNC, "direct": os.O_DIRECT,
         "creat+directory": os.O_CREAT | os.O_DIRECTORY, "creat+trunc": os.O_CREAT | os.O_TRUNC,
         "path+nofollow": os.O_PATH | os.O_NOFOLLOW}


def open_flags(side):
    few = ("", "creat", "trunc", "append", "noatime")
    for who, mode, through, words in (
            ("root", 0o644, "", FLAGS), ("root", 0o644, "to-", FLAGS), ("ann", 0o644, "", FLAGS),
            ("ann", 0o644, "to-", few), ("ann", 0o600, "", few), ("ann", 0o622, "", few)):
        for kind in ("regular", "directory", "fifo", "socket", "char", "none"):
            for word in words:
                side.fresh("open %s of %s%s %o" % (word, through, kind, mode))
                for access in ACCESS:
                    side.make(kind, access, mode)
                    os.symlink(access, "to-" + access)
                for access, bits in ACCESS.items():
                    open_and_use(side, who, through, access, bits | FLAGS[word] | os.O_NONBLOCK)


def open_and_use(side, who, through, name, flags):
    side.do(who, "open", "f", through + name, flags, 0o640,
            watch=[name, "."] if flags & (os.O_TRUNC | os.O_CREAT) else [])
    if stat.S_ISREG(getattr(side.lstat(name), "st_mode", 0)):
        for call in (("write", "f", b"one"), ("seek", "f", 0, os.SEEK_CUR),
                     ("pwrite", "f", b"two", 1), ("ftruncate", "f", 12),
                     ("pread", "f", 20, 0), ("fchmod", "f", 0o611), ("fsync", "f")):
            if not flags & os.O_DIRECT or call[0] not in ("write", "pwrite", "pread"):
                side.do(who, *call)
    side.do(who, "close", "f")
    side.look(name)


def special_files(side):
    side.fresh("fifo")
    side.do("ann", "umask", 0)
    side.make("fifo", "fifo", 0o666)
    side.do("ann", "open", "w", "fifo", os.O_WRONLY | os.O_NONBLOCK)
    side.do("ann", "open", "r", "fifo", os.O_RDONLY | os.O_NONBLOCK)
    side.do("bob", "open", "w", "fifo", os.O_WRONLY | os.O_NONBLOCK)
    side.do("bob", "write", "w", b"through a fifo")
    side.do("ann", "read", "r", 100)
    side.do("bob", "close", "w")
    side.do("ann", "read", "r", 100)
    side.do("ann", "close", "r")
    side.fresh("socket")
    side.do("root", "talk", "socket", watch=["socket", "."])
    side.do("root", "connect", "socket")
    side.do("root", "bind", "socket")
    side.do("root", "open", "f", "socket", os.O_RDONLY)
    side.do("root", "chmod", "socket", 0o600, watch=["socket"])
    side.do("ann", "connect", "socket")
    side.do("root", "unlink", "socket", watch=["."])
    for kind, minor in (("null", 3), ("zero", 5), ("missing", 99)):
        side.fresh("device %s" % kind)
        side.do("root", "mknod", "it", stat.S_IFCHR | 0o640, (1, minor), watch=["it", "."])
        side.do("root", "open", "f", "it", os.O_RDWR)
        side.do("root", "write", "f", b"into a device", watch=["it"])
        side.do("root", "read", "f", 5)
        side.do("root", "close", "f")
        side.do("ann", "open", "f", "it", os.O_RDWR)
        side.do("ann", "mknod", "x", stat.S_IFCHR | 0o640, (1, minor))
        side.do("root", "link", "it", "other", watch=["it", "other"])
        side.do("root", "rename", "it", "moved", watch=["moved"])
    side.fresh("large device numbers")
    side.do("root", "mknod", "it", stat.S_IFBLK | 0o640, (1234, 567890), watch=["it"])


def busy_programs(side):
    """ETXTBSY, and programs with set-id bits."""
    side.fresh("a program that runs")
    for program in ("sleep", "id"):
        with open("/bin/" + program, "rb") as source, open(side.path(program), "wb") as file:
            file.write(source.read())
        os.chmod(side.path(program), 0o755)
    side.do("root", "start", "s", "./sleep", "300")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDONLY):
        side.do("root", "open", "f", "sleep", flags)
        side.do("root", "close", "f")
    side.do("root", "truncate", "sleep", 0)
    side.do("root", "rename", "sleep", "moved")
    side.do("root", "open", "f", "moved", os.O_WRONLY)
    side.do("root", "unlink", "moved")
    side.do("root", "stop", "s")
    side.do("root", "open", "f", "id", os.O_RDWR)
    side.do("ann", "execute", "./id", "-u")
    side.do("root", "close", "f")
    side.do("ann", "execute", "./id", "-u")
    for mode in (0o4755, 0o2755, 0o6755, 0o644, 0o700):
        side.do("root", "chmod", "id", mode, watch=["id"])
        side.do("bob+", "execute", "./id")


CASES = [bad_paths, rename_matrix, rename_directories, link_matrix, many_links, removal,
         without_a_name, open_flags, special_files, busy_programs]
