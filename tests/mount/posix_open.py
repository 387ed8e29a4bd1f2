"""Cases of posix.py about open files: several handles and names, locks, maps, O_DIRECT, O_SYNC.

Each function of CASES takes a Side, and does the same on both.
"""
import os

PAGE = 4096
BLOCK = 65536
HERE, THERE = "root", "root's other"  # two processes


def do_all(side, calls, watch=()):
    """Each of `calls` is (who, call, arguments...)."""
    for who, call, *arguments in calls:
        side.do(who, call, *arguments, watch=watch)


def several_handles(side):
    """One file by several handles of two processes, of different kinds."""
    side.fresh("several handles of one file")
    side.make("regular", "it")
    do_all(side, (
        (HERE, "open", "rw", "it", os.O_RDWR), (THERE, "open", "r", "it", os.O_RDONLY),
        (THERE, "open", "a", "it", os.O_WRONLY | os.O_APPEND), (HERE, "dup", "rw", "same"),
        (HERE, "write", "rw", b"12345"), (HERE, "write", "same", b"67"), (THERE, "read", "r", 9),
        (THERE, "write", "a", b"end"), (HERE, "seek", "rw", 0, os.SEEK_END),
        (HERE, "seek", "same", 0, os.SEEK_CUR), (HERE, "pwrite", "rw", b"far", 3 * BLOCK - 1),
        (THERE, "fstat", "r"), (THERE, "seek", "r", -5, os.SEEK_END), (THERE, "read", "r", 9),
        (THERE, "write", "a", b"behind"), (THERE, "seek", "a", 0, os.SEEK_CUR),
        (THERE, "pwrite", "a", b"goes to the end", 0), (HERE, "fstat", "rw"),
        (HERE, "ftruncate", "same", 100), (THERE, "pread", "r", 20, 90), (THERE, "read", "r", 9),
        (HERE, "ftruncate", "rw", BLOCK + 10), (THERE, "pread", "r", 20, BLOCK),
        (THERE, "ftruncate", "r", 5), (HERE, "read", "rw", 5), (THERE, "read", "a", 5),
        (HERE, "open", "cut", "it", os.O_WRONLY | os.O_TRUNC), (THERE, "fstat", "r"),
        (THERE, "write", "a", b"anew"), (HERE, "pread", "same", 20, 0), (HERE, "close", "rw"),
        (HERE, "write", "same", b"after a close of its double"), (HERE, "fsync", "same"),
        (HERE, "seek", "same", -1, os.SEEK_SET), (HERE, "pwrite", "cut", b"", 10 ** 6),
        (HERE, "fstat", "same"), (HERE, "close", "same"), (HERE, "close", "cut"),
        (THERE, "pread", "r", 100, 0), (THERE, "close", "r"), (THERE, "close", "a")))
    side.tree()


def names_of_open_files(side):
    """Open files that are unlinked, renamed, renamed over or linked, used on by their handles."""
    changes = {
        "unlinked": [("unlink", "it")],
        "unlinked, another made": [("unlink", "it"), ("open", "x", "it", os.O_RDWR | os.O_CREAT)],
        "renamed": [("rename", "it", "moved")],
        "renamed over": [("rename", "other", "it")],
        "exchanged": [("rename", "other", "it", 2)],
        "linked, then unlinked": [("link", "it", "link"), ("unlink", "it")],
        "moved with its directory": [("rename", "dir", "moved")],
        "in a directory that is removed": [("unlink", "dir/in"), ("rmdir", "dir")],
    }
    for how, calls in changes.items():
        for caught in ("changed", "clean"):
            side.fresh("%s files that are %s while open" % (caught, how))
            side.make("directory", "dir")
            for name in ("it", "other", "dir/in"):
                side.make("regular", name)
            it = "dir/in" if "directory" in how else "it"
            do_all(side, ((HERE, "open", "f", it, os.O_RDWR), (THERE, "open", "g", it, os.O_RDWR),
                          (THERE, "open", "o", "other", os.O_RDWR)))
            if caught == "changed":
                do_all(side, ((HERE, "pwrite", "f", b"x" * 100, BLOCK),
                              (THERE, "pwrite", "g", b"changed", 2),
                              (THERE, "pwrite", "o", b"also", 1)))
            do_all(side, [(HERE, *call) for call in calls], watch=("it", "other", "moved", "link"))
            do_all(side, (
                (HERE, "fstat", "f"), (THERE, "pread", "g", 20, 0),
                (HERE, "pwrite", "f", b"new", 4), (THERE, "pread", "g", 20, 0),
                (THERE, "ftruncate", "g", 3), (HERE, "fstat", "f"),
                (HERE, "reopen", "f", "h", os.O_RDWR), (HERE, "pwrite", "h", b"again", BLOCK),
                (HERE, "reopen", "f", "i", os.O_RDONLY | os.O_TRUNC), (THERE, "fstat", "g"),
                (HERE, "close", "f"), (HERE, "close", "h"), (HERE, "close", "i"),
                (THERE, "pwrite", "g", b"last", 0), (THERE, "fsync", "g"),
                (THERE, "pread", "g", 20, 0), (THERE, "pread", "o", 20, 0), (THERE, "fstat", "o"),
                (THERE, "close", "g"), (THERE, "close", "o"), (HERE, "close", "x")))
            side.tree()


def locks(side):
    """flock, record locks of processes and of open files, between two processes."""
    side.fresh("flock")
    side.make("regular", "it")
    os.link("it", "link")
    do_all(side, (
        (HERE, "open", "a", "it", os.O_RDWR), (HERE, "open", "b", "link", os.O_RDONLY),
        (THERE, "open", "c", "it", os.O_RDONLY), (HERE, "flock", "a", "sh"),
        (THERE, "flock", "c", "sh"), (THERE, "flock", "c", "ex"), (HERE, "flock", "a", "un"),
        (THERE, "flock", "c", "ex"), (HERE, "flock", "a", "sh"), (HERE, "flock", "b", "sh"),
        (THERE, "flock", "c", "sh"), (HERE, "flock", "b", "sh"), (HERE, "flock", "a", "ex"),
        (THERE, "close", "c"), (HERE, "flock", "b", "un"), (HERE, "flock", "a", "ex"),
        (HERE, "dup", "a", "d"), (HERE, "close", "a"), (HERE, "flock", "b", "ex"),
        (HERE, "rename", "it", "moved"), (HERE, "pwrite", "d", b"x", 5), (HERE, "fsync", "d"),
        (THERE, "open", "c", "moved", os.O_RDWR), (THERE, "flock", "c", "sh"),
        (HERE, "close", "d"), (THERE, "flock", "c", "sh")))
    for of_process in (True, False):
        side.fresh("record locks of %s" % ("processes" if of_process else "open files"))
        side.make("regular", "it")
        do_all(side, (
            (HERE, "open", "a", "it", os.O_RDWR), (THERE, "open", "c", "it", os.O_RDWR),
            (HERE, "lock", "a", "w", 0, 10, of_process), (THERE, "who_locks", "c", 5, 1),
            (THERE, "lock", "c", "w", 9, 1, of_process),
            (THERE, "lock", "c", "w", 10, 0, of_process),
            (HERE, "who_locks", "a", 0, 0), (HERE, "lock", "a", "r", 100, 1, of_process),
            (HERE, "lock", "a", "un", 3, 4, of_process),
            (THERE, "lock", "c", "w", 3, 4, of_process),
            (THERE, "lock", "c", "r", 7, 1, of_process), (THERE, "who_locks", "c", 0, 100),
            (HERE, "open", "b", "it", os.O_RDWR), (HERE, "lock", "b", "w", 0, 3, of_process),
            (HERE, "close", "b"), (THERE, "lock", "c", "r", 0, 3, of_process),
            (HERE, "unlink", "it"), (HERE, "lock", "a", "w", 7, 3, of_process),
            (THERE, "who_locks", "c", 7, 3), (HERE, "pwrite", "a", b"x" * 10, BLOCK),
            (HERE, "fsync", "a"), (THERE, "lock", "c", "w", 8, 1, of_process),
            (HERE, "close", "a"), (THERE, "lock", "c", "w", 0, 0, of_process),
            (THERE, "open", "r", "other", os.O_RDONLY | os.O_CREAT),
            (THERE, "lock", "r", "w", 0, 1, of_process),
            (THERE, "lock", "r", "r", 0, 1, of_process)))


def maps(side):
    """Shared and private maps of two processes, mixed with read, write and truncation."""
    side.fresh("maps")
    side.make("regular", "it")
    do_all(side, (
        (HERE, "open", "a", "it", os.O_RDWR), (THERE, "open", "c", "it", os.O_RDWR),
        (HERE, "ftruncate", "a", 2 * PAGE + 10), (HERE, "map", "m", "a", 2 * PAGE + 10),
        (THERE, "map", "m", "c", 2 * PAGE + 10), (THERE, "map", "p", "c", 2 * PAGE + 10, False),
        (HERE, "store", "m", 5, b"by a map"), (THERE, "load", "m", 0, 20),
        (THERE, "pread", "c", 20, 0),
        (THERE, "load", "p", 0, 20), (THERE, "pwrite", "c", b"by write", PAGE - 4),
        (HERE, "load", "m", PAGE - 6, 12), (THERE, "store", "p", 0, b"private"),
        (HERE, "pread", "a", 10, 0), (HERE, "msync", "m", 0, PAGE),
        (HERE, "msync", "m", PAGE, PAGE),
        (HERE, "ftruncate", "a", PAGE + 100), (HERE, "load", "m", PAGE, 110),
        (HERE, "load", "m", 2 * PAGE, 1), (HERE, "store", "m", 2 * PAGE + 1, b"x"),
        (THERE, "store", "m", PAGE + 90, b"y" * 10), (HERE, "ftruncate", "a", PAGE + 95),
        (HERE, "ftruncate", "a", 2 * PAGE + 10), (THERE, "load", "m", PAGE + 85, 20),
        (HERE, "load", "m", 2 * PAGE, 10), (HERE, "store", "m", 2 * PAGE, b"again"),
        (HERE, "close", "a"), (HERE, "store", "m", 1, b"after its close"),
        (HERE, "msync", "m", 0, PAGE),
        (THERE, "pread", "c", 20, 0), (HERE, "unlink", "it"), (HERE, "store", "m", 2, b"no name"),
        (THERE, "pread", "c", 20, 0), (HERE, "unmap", "m"), (THERE, "fsync", "c"),
        (THERE, "load", "m", 0, 20), (THERE, "unmap", "m"), (THERE, "unmap", "p"),
        (THERE, "pread", "c", 3 * PAGE, 0), (THERE, "close", "c")))
    side.fresh("maps and the end of the file")
    side.make("regular", "it")
    do_all(side, (
        (HERE, "open", "a", "it", os.O_RDWR), (HERE, "map", "m", "a", 10),
        (THERE, "open", "c", "it", os.O_WRONLY | os.O_TRUNC), (HERE, "load", "m", 0, 5),
        (THERE, "write", "c", b"grown"), (HERE, "load", "m", 0, 10),
        (THERE, "map", "w", "c", 5), (THERE, "open", "r", "it", os.O_RDONLY),
        (THERE, "map", "w", "r", 5), (THERE, "map", "r", "r", 5, True, False),
        (THERE, "map", "p", "r", 5, False), (THERE, "load", "r", 0, 5), (THERE, "map", "n", "r", 0),
        (HERE, "unmap", "m"), (HERE, "close", "a"), (THERE, "unmap", "r"), (THERE, "unmap", "p")))
    side.tree()
    for growth in (("ftruncate", "a", 3 * PAGE), ("pwrite", "a", b"far", 2 * PAGE),
                   ("fallocate", "a", 3 * PAGE)):
        side.fresh("what a map leaves behind the end is no part of the file: %s" % growth[0])
        side.make("regular", "it")
        do_all(side, (
            (HERE, "open", "a", "it", os.O_RDWR), (HERE, "map", "m", "a", 10),
            (HERE, "store", "m", 5, b"inside"), (HERE, "msync", "m", 0, 10), (HERE, "fsync", "a"),
            (HERE, *growth), (HERE, "pread", "a", 100, 0), (HERE, "fsync", "a"),
            (HERE, "unmap", "m"), (HERE, "close", "a")))
        side.tree()


def synchronous(side):
    """O_DIRECT with what it takes everywhere: whole pages; and O_SYNC, O_DSYNC."""
    for name, flags in (("O_SYNC", os.O_SYNC), ("O_DSYNC", os.O_DSYNC), ("O_DIRECT", os.O_DIRECT),
                        ("O_DIRECT and O_SYNC", os.O_DIRECT | os.O_SYNC)):
        side.fresh(name)
        side.make("regular", "it")
        calls = [(HERE, "open", "d", "it", os.O_RDWR | flags),
                 (THERE, "open", "c", "it", os.O_RDWR)]
        for at, count in ((0, 1), (PAGE, 3), (17 * PAGE, 20), (PAGE, 1), (15 * PAGE, 2)):
            letter = b"%d" % (at // PAGE % 10)
            calls += [(HERE, "direct_write", "d", letter * (count * PAGE), at),
                      (THERE, "pread", "c", 10, at), (THERE, "pwrite", "c", b"cached", at + 5),
                      (HERE, "direct_read", "d", 2 * PAGE, at), (HERE, "fstat", "d")]
        calls += [(THERE, "ftruncate", "c", PAGE + 5), (HERE, "direct_read", "d", 2 * PAGE, 0),
                  (HERE, "direct_read", "d", PAGE, 2 * PAGE), (HERE, "datasync", "d"),
                  (HERE, "close", "d"), (THERE, "close", "c")]
        do_all(side, calls)
        side.tree()


CASES = [several_handles, names_of_open_files, locks, maps, synchronous]
