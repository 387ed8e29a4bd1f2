#!/usr/bin/env python3
"""Changes base files behind a mount: changed_outside.py MOUNTPOINT STORE CACHING."""
import errno
import gzip
import os
import random
import shutil
import subprocess
import sys
import threading
import time

MOUNT, STORE, CACHING = sys.argv[1:4]
BLOCK = 65536
rng = random.Random(20)


def content(blocks):
    words = [bytes(rng.choices(b"abcdefghijklmnop", k=8)) for _ in range(512)]
    return b"".join(rng.choices(words, k=blocks * BLOCK // 8))


# More than the cache of the mount, which is 1 MiB.
BLOCK_COUNT = 24 if {"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ) else 64
OLD = content(BLOCK_COUNT)
NEW = content(BLOCK_COUNT)


def in_mount(name):
    return os.path.join(MOUNT, name)


def in_store(name):
    return os.path.join(STORE, name + ".gz")


def check(what, is_right):
    if not is_right:
        sys.exit(f"FAILED: {what}")


def make(name, plain=OLD):
    with open(in_mount(name), "wb") as file:
        file.write(plain)
    return os.open(in_mount(name), os.O_RDWR)


def fails_stale(what, call):
    try:
        call()
    except OSError as error:
        check(f"{what}: {error}", error.errno in (errno.ESTALE, errno.EIO))
        return
    check(f"{what}: no error", False)


def close(fd):
    try:
        os.close(fd)
    except OSError as error:  # says it, too
        check(f"close: {error}", error.errno in (errno.ESTALE, errno.EIO))


def drop_pages(fd):
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def reads_old_or_fails(what, fd):
    """Reads block by block: each is the old one or an error, and one is an error."""
    drop_pages(fd)
    failed = 0
    for start in range(0, len(OLD), BLOCK):
        try:
            check(f"{what}: other bytes at {start}",
                  os.pread(fd, BLOCK, start) == OLD[start:start + BLOCK])
        except OSError as error:
            check(f"{what}: {error}", error.errno in (errno.ESTALE, errno.EIO))
            failed += 1
    check(f"{what}: nothing was noticed", failed > 0)


def is_now(name, plain):
    with open(in_mount(name), "rb") as file:
        check(f"{name}: size {os.fstat(file.fileno()).st_size}",
              os.fstat(file.fileno()).st_size == len(plain))
        check(f"{name}: contents", file.read() == plain)
    check(f"{name}: size by name", os.stat(in_mount(name)).st_size == len(plain))


def is_gone(name):
    try:
        os.close(os.open(in_mount(name), os.O_RDONLY))
    except FileNotFoundError:
        return
    check(f"{name}: is still there", False)


def appended(other_gz):
    fd = make("appended")
    check("appended: before", os.pread(fd, 100, 0) == OLD[:100])
    with open(in_store("appended"), "ab") as base, open(other_gz, "rb") as more:
        shutil.copyfileobj(more, base)
    is_now("appended", OLD + NEW)
    reads_old_or_fails("appended", fd)
    fails_stale("appended: write", lambda: (os.pwrite(fd, b"x", 5), os.fsync(fd)))
    with open(in_mount("appended"), "r+b") as file:
        file.write(b"edited")
    is_now("appended", b"edited" + OLD[6:] + NEW)
    close(fd)


def rewritten(other_gz):
    fd = make("rewritten")
    shutil.copyfile(other_gz, in_store("rewritten"))  # in place: the same inode
    reads_old_or_fails("rewritten", fd)
    is_now("rewritten", NEW)
    close(fd)
    is_now("rewritten", NEW)


def cut(_):
    fd = make("cut")
    with open(in_store("cut"), "r+b") as base:
        first_member = int.from_bytes(base.read(18)[16:18], "little") + 1
        base.truncate(first_member)
    is_now("cut", OLD[:BLOCK])
    reads_old_or_fails("cut", fd)
    close(fd)


def edited(other_gz):
    fd = make("edited")
    os.pwrite(fd, b"promised", 3 * BLOCK)
    os.fsync(fd)
    shutil.copyfile(other_gz, in_store("edited"))
    fails_stale("edited: fsync", lambda: (os.pwrite(fd, b"more", BLOCK), os.fsync(fd)))
    is_now("edited", NEW)
    close(fd)
    is_now("edited", NEW)


def replaced(other_gz):
    fd = make("replaced")
    os.pwrite(fd, b"unsaved", 2 * BLOCK)
    shutil.copyfile(other_gz, in_store("replaced") + ".new")
    os.rename(in_store("replaced") + ".new", in_store("replaced"))
    is_now("replaced", NEW)
    check("replaced: the old file", os.pread(fd, 100, 0) == OLD[:100])
    os.close(fd)
    is_now("replaced", NEW)


def deleted(_):
    fd = make("deleted")
    os.unlink(in_store("deleted"))
    is_gone("deleted")
    check("deleted: the old file", os.pread(fd, 100, BLOCK) == OLD[BLOCK:BLOCK + 100])
    os.close(fd)


def closed(other_gz):
    os.close(make("closed"))
    is_now("closed", OLD)
    for plain in (NEW[:100], OLD + NEW, b""):
        with open(in_store("closed"), "wb") as base:
            base.write(gzip.compress(plain))
        is_now("closed", plain)
    os.unlink(in_store("closed"))
    is_gone("closed")


def quick(_):
    """Changed again and again, each time a moment after it was looked at and opened."""
    os.close(make("quick", OLD[:BLOCK]))
    for size in range(50, 0, -1):
        with open(in_store("quick"), "wb") as base:
            base.write(gzip.compress(NEW[:size]))
        is_now("quick", NEW[:size])


def raw(_):
    """A file that is no gzip, changed while it is open."""
    path = os.path.join(STORE, "raw")
    plain = b"one line\n"
    with open(path, "wb") as file:
        file.write(plain)
    fd = os.open(in_mount("raw"), os.O_RDONLY)
    check("raw: before", os.pread(fd, 100, 0) == plain)
    for _ in range(3):
        time.sleep(0.02)  # more than the grain of its time
        with open(path, "ab") as file:
            file.write(b"another line\n")
        plain += b"another line\n"
        is_now("raw", plain)
        time.sleep(0.02)
        plain = plain[::-1]
        with open(path, "r+b") as file:
            file.write(plain)
        is_now("raw", plain)
    if CACHING == "nowriteback":
        for _ in range(2):
            with open(path, "ab") as file:
                file.write(b"the last line\n")
            plain += b"the last line\n"
            time.sleep(1.2)  # what the kernel takes for known
            check("raw: size", os.fstat(fd).st_size == len(plain))
            got = os.pread(fd, 1000, 0)
            check(f"raw: by its old handle: {got}, not {plain}", got == plain)
    os.close(fd)
    with open(in_mount("raw"), "r+b") as file:
        file.write(b"MINE")
        file.flush()
        os.utime(in_mount("raw"), ns=(10**18, 10**18))
        is_now("raw", b"MINE" + plain[4:])
        file.write(b"TOO")
    is_now("raw", b"MINETOO" + plain[7:])
    os.unlink(in_mount("raw"))


def unlooked(_):
    """Changed while it is open, and closed before anybody looks at it again."""
    for plain in (NEW, NEW[:-5]):  # of the same size, and of another
        fd = make("unlooked")
        check("unlooked: before", os.pread(fd, 100, 0) == OLD[:100])
        with open(in_store("unlooked"), "wb") as base:
            base.write(gzip.compress(plain))
        close(fd)
        is_now("unlooked", plain)
        os.unlink(in_mount("unlooked"))


def at_once(_):
    """Several open a file that was changed while it was closed: all have the same one."""
    os.close(make("at_once"))
    for round_number in range(20):
        with open(in_store("at_once"), "wb") as base:
            base.write(gzip.compress(NEW[:BLOCK + round_number]))
        fds = []
        threads = [threading.Thread(target=lambda: fds.append(
            os.open(in_mount("at_once"), os.O_RDWR))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check("at_once: not opened", len(fds) == 6)
        for number, fd in enumerate(fds):
            os.pwrite(fd, b"%d" % number, number)
            os.fsync(fd)
        for fd in fds:
            check("at_once: handles of two files", os.pread(fd, 6, 0) == b"012345")
            os.close(fd)
    is_now("at_once", b"012345" + NEW[6:BLOCK + 19])


def linked(_):
    """Times are set while a file of two names, which keeps its inode, is settled."""
    fd = make("linked")
    os.link(in_mount("linked"), in_mount("another"))
    stop = threading.Event()

    def set_times():
        number = 0
        while not stop.is_set():
            number += 1
            os.utime(in_mount("another"), ns=(number, 10**18 + number))

    thread = threading.Thread(target=set_times)
    thread.start()
    for number in range(12):
        os.pwrite(fd, b"linked", number * BLOCK)
        os.fsync(fd)
        subprocess.run([os.environ["GZIPFS"], "sync", MOUNT], check=True)
    stop.set()
    thread.join()
    check("linked: contents", os.pread(fd, 6, 11 * BLOCK) == b"linked")
    os.close(fd)


def removed_here(_):
    """What is removed through the mount is not removed by others."""
    for number in range(100):
        fd = make("mine", OLD[:BLOCK])
        os.pwrite(fd, b"edit", 10)
        os.fsync(fd)
        opener = threading.Thread(target=lambda: os.path.exists(in_mount("mine")))
        opener.start()
        os.unlink(in_mount("mine"))
        opener.join()
        os.close(fd)


def main():
    other = make("other")
    other_gz = os.path.join(STORE, "..", "other.gz")
    with open(other_gz, "wb") as file:
        file.write(gzip.compress(NEW))
    for case in (appended, rewritten, cut, edited, replaced, deleted, closed, quick, raw, unlooked,
                 at_once, linked, removed_here):
        case(other_gz)
        os.pwrite(other, case.__name__.encode(), 7 * BLOCK)
        os.fsync(other)
        drop_pages(other)
        check(f"after {case.__name__}: another file", os.pread(other, BLOCK, 0) == OLD[:BLOCK])
    # Its own times set while it is opened and closed are no change from outside.
    for i in range(200):
        os.utime(in_mount("rewritten"), ns=(i, 10**18 + i))
        with open(in_mount("rewritten"), "rb") as file:
            os.utime(in_mount("rewritten"), ns=(i, 10**18 - i))
            check("times: read", file.read(10) == NEW[:10])
    os.close(other)


main()
