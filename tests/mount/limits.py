#!/usr/bin/env python3
"""Many open files, long paths, many busy threads in a mount.

    limits.py MOUNT OPEN_FILES SECONDS

Prints counts; exits 1 with a sentence when something was wrong.
"""
import os
import random
import resource
import shutil
import sys
import threading
import time

THREADS = 64
PATH_MAX = 4096


def check(is_right, what, *values):
    if not is_right:
        sys.exit("limits.py: " + what % values)


def many_open_files(top, count):
    """All written, read and changed while all are open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    os.mkdir(top)
    paths = [os.path.join(top, "open %d" % i) for i in range(count)]
    fds = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600) for path in paths]
    for i, fd in enumerate(fds):
        os.write(fd, b"this is file %d" % i)
    for i, fd in enumerate(fds):
        check(os.pread(fd, 100, 0) == b"this is file %d" % i, "file %d of many is another one", i)
        os.pwrite(fd, b"that", 0)
    for i, path in enumerate(paths[::7]):
        with open(path, "rb") as file:
            check(file.read() == b"that is file %d" % (7 * i), "%s by its name", path)
    for fd in fds:
        os.close(fd)
    for i, path in enumerate(paths):
        check(os.path.getsize(path) == len("this is file %d" % i), "the size of %s", path)
    shutil.rmtree(top)
    print("%d files open at once" % count, flush=True)


def long_paths(top):
    """A path of PATH_MAX - 1 bytes, and a directory that is deeper than any path."""
    os.mkdir(top)
    path = top
    while len(path) < PATH_MAX - 220:
        path += "/" + "d" * 199
        os.mkdir(path)
    path += "/" + "f" * (PATH_MAX - 1 - len(path) - 1)
    check(len(path) == PATH_MAX - 1, "a path of %d bytes was made", len(path))
    with open(path, "xb") as file:
        file.write(b"at the end of a long path")
    os.rename(path, top + "/short")
    os.link(top + "/short", path)
    with open(path, "r+b") as file:
        file.write(b"AT")
    check(os.stat(path).st_nlink == 2, "links at the end of a long path")
    with open(top + "/short", "rb") as file:
        check(file.read() == b"AT the end of a long path", "contents by a long path")
    deep = os.open(top, os.O_RDONLY)
    for level in range(200):
        os.mkdir("e" * 100, dir_fd=deep)
        below = os.open("e" * 100, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    fd = os.open("file", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=deep)
    os.write(fd, b"deep")
    os.close(fd)
    for level in range(200):
        above = os.open("..", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = above
    check(os.path.sameopenfile(deep, os.open(top, os.O_RDONLY)), "the way back up leads elsewhere")
    shutil.rmtree(top)
    print("paths of %d bytes, directories 200 deep" % (PATH_MAX - 1), flush=True)


def busy_threads(top, seconds):
    """Each works on a file of its own and on its part of one that all share."""
    os.mkdir(top)
    until = time.monotonic() + seconds
    wrong, counts = [], [0] * THREADS
    shared = os.open(top + "/shared", os.O_RDWR | os.O_CREAT, 0o600)
    part_bytes = 50000

    def work(number):
        rng, mine, part = random.Random(number), bytearray(), bytearray(part_bytes)
        path = "%s/%d" % (top, number)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        while time.monotonic() < until and not wrong:
            at, data = rng.randrange(200000), rng.randbytes(rng.randrange(1, 20000))
            os.pwrite(fd, data, at)
            mine.extend(bytes(max(0, at + len(data) - len(mine))))
            mine[at:at + len(data)] = data
            at = rng.randrange(part_bytes - 100)
            os.pwrite(shared, data[:100], number * part_bytes + at)
            part[at:at + len(data[:100])] = data[:100]
            if os.pread(shared, part_bytes, number * part_bytes).ljust(part_bytes, b"\0") != part:
                wrong.append("%d: its part of the shared file" % number)
            action = rng.randrange(20)
            if action == 0:
                os.fsync(fd)
            elif action == 1:
                other = path[:-1] if path.endswith("'") else path + "'"
                os.rename(path, other)
                path = other
            elif action == 2:
                os.close(fd)
                fd = os.open(path, os.O_RDWR)
            elif action == 3:
                os.listdir(top)
            if os.pread(fd, len(mine) + 1, 0) != mine:
                wrong.append("%d: its own file" % number)
            counts[number] += 1
        os.close(fd)

    def guarded(number):
        try:
            work(number)
        except OSError as error:
            wrong.append("%d: %s" % (number, error))

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    os.close(shared)
    check(not wrong, "%s", wrong[:3])
    print("%d threads, %d rounds" % (THREADS, sum(counts)), flush=True)


def main():
    top, open_files, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    many_open_files(top + "/open", open_files)
    long_paths(top + "/long")
    busy_threads(top + "/busy", seconds)


if __name__ == "__main__":
    main()
