#!/usr/bin/env python3
"""Many processes on one file at once, in a mount: what must never happen.

    open_files.py MOUNT [SECONDS]

Appending: each record of O_APPEND lies there whole, once, and in the order of its writer.
Truncating: whoever reads sees one writer's bytes or zeros, never another file's; the last one to
open with O_TRUNC is the one whose bytes stay. Maps: counters of several processes in one shared page and
records written beside them all arrive. Locks: what is counted under each kind of lock adds up.
Prints the seed and counts; exits 1 with a sentence when something was wrong.
"""
import fcntl
import mmap
import multiprocessing
import os
import random
import struct
import sys
import time

PROCESSES = 4


class Wrong(Exception):
    pass


def in_processes(work, count=PROCESSES):
    """Runs work(number) in `count` processes; their answers."""
    answers = multiprocessing.Queue()

    def run(number):
        try:
            answers.put((number, work(number)))
        except BaseException as error:
            answers.put((number, error))

    processes = [multiprocessing.Process(target=run, args=(i,)) for i in range(count)]
    for each in processes:
        each.start()
    got = dict(answers.get(timeout=120) for _ in processes)
    for each in processes:
        each.join()
    for each in got.values():
        if isinstance(each, BaseException):
            raise each
    return [got[i] for i in range(count)]


def append(path, seed, until):
    """Records of all lengths: "<number count length>" and so many letters."""
    def work(number):
        rng, count = random.Random(seed + number), 0
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        while time.monotonic() < until:
            size = rng.randrange(200)
            if rng.random() < 0.3:
                size = rng.choice((1, 30, 300, 5000, 70000))
            record = b"<%d %d %d>" % (number, count, size) + b"%d" % number * size
            if os.write(fd, record) != len(record):
                raise Wrong("a short append")
            count += 1
            if rng.random() < 0.02:
                os.close(fd)
                fd = os.open(path, os.O_RDWR | os.O_APPEND)
            if rng.random() < 0.02:
                os.fsync(fd)
        os.close(fd)
        return count

    counts = in_processes(work)
    with open(path, "rb") as file:
        data = file.read()
    at, seen = 0, [0] * PROCESSES
    while at < len(data):
        end = data.find(b">", at, at + 60)
        try:
            number, count, size = map(int, data[at + 1:end].split())
        except ValueError:
            raise Wrong("append: at %d lies %r" % (at, data[at:at + 60])) from None
        body = data[end + 1:end + 1 + size]
        if count != seen[number] or body != b"%d" % number * size:
            raise Wrong("append: record %d of %d, expected %d, or its bytes are wrong, at %d" %
                        (count, number, seen[number], at))
        seen[number] += 1
        at = end + 1 + size
    if seen != counts:
        raise Wrong("append: %r records were written, %r are there" % (counts, seen))
    return sum(counts)


def truncate(path, seed, until):
    def work(number):
        rng, count = random.Random(seed + number), 0
        while time.monotonic() < until:
            if number < 2:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                for _ in range(rng.randrange(1, 4)):
                    os.write(fd, b"%d" % number * rng.randrange(1, 150000))
                if rng.random() < 0.3:
                    os.ftruncate(fd, rng.randrange(1, 100000))
            else:
                fd = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
                other = set(os.read(fd, 400000)) - set(b"01\0")
                if other:
                    raise Wrong("truncate: a reader saw %r" % bytes(other)[:20])
            os.close(fd)
            count += 1
        return count

    counts = in_processes(work)
    with open(path, "wb") as file:
        file.write(b"last")
    with open(path, "rb") as file:
        if file.read() != b"last":
            raise Wrong("truncate: the last writer's bytes are not there")
    return sum(counts)


def share_a_map(path, seed, until):
    """Each process has a word of its own in every page of a map, and bytes that it writes."""
    pages, page = 20, mmap.PAGESIZE
    with open(path, "wb") as file:
        file.truncate(pages * page)

    def work(number):
        rng, sums = random.Random(seed + number), [0] * pages
        fd = os.open(path, os.O_RDWR)
        with mmap.mmap(fd, pages * page) as shared:
            while time.monotonic() < until:
                at = rng.randrange(pages)
                place = at * page + 64 * number
                value, = struct.unpack_from("<Q", shared, place)
                if value != sums[at]:
                    raise Wrong("map: a word of page %d is %d, not %d" % (at, value, sums[at]))
                sums[at] += 1
                if rng.random() < 0.5:
                    struct.pack_into("<Q", shared, place, sums[at])
                else:
                    os.pwrite(fd, struct.pack("<Q", sums[at]), place)
                if rng.random() < 0.01:
                    shared.flush(at * page, page)
                if rng.random() < 0.005:
                    os.fsync(fd)
        os.close(fd)
        return sums

    sums = in_processes(work)
    with open(path, "rb") as file:
        data = file.read()
    for number, mine in enumerate(sums):
        for at, value in enumerate(mine):
            found, = struct.unpack_from("<Q", data, at * page + 64 * number)
            if found != value:
                raise Wrong("map: %d counted to %d in page %d, %d is there" %
                            (number, value, at, found))
    return sum(map(sum, sums))


def count_under_locks(path, seed, until):
    """A number is read, increased and written, a third each under flock, lockf and OFD locks."""
    with open(path, "wb") as file:
        file.write(b"%08d" % 0 * 3)

    def work(number):
        rng, done = random.Random(seed + number), [0, 0, 0]
        while time.monotonic() < until:
            fd = os.open(path, os.O_RDWR)
            which = rng.randrange(3)
            if which == 0:
                fcntl.flock(fd, fcntl.LOCK_EX)
            elif which == 1:
                fcntl.lockf(fd, fcntl.LOCK_EX, 8, 8)
            else:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, struct.pack(
                    "hhqqixxxx", fcntl.F_WRLCK, os.SEEK_SET, 16, 8, 0))
            value = int(os.pread(fd, 8, 8 * which))
            os.pwrite(fd, b"%08d" % (value + 1), 8 * which)
            done[which] += 1
            os.close(fd)
        return done

    counts = [sum(each) for each in zip(*in_processes(work))]
    with open(path, "rb") as file:
        data = file.read()
    found = [int(data[8 * i:8 * i + 8]) for i in range(3)]
    if found != counts:
        raise Wrong("locks: %r increments, %r are there" % (counts, found))
    return sum(counts)


def main():
    top, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 2
    seed = int(os.environ.get("GZIPFS_MODEL_SEED", random.randrange(1 << 30)))
    print("seed %d" % seed, flush=True)
    for number, part in enumerate((append, truncate, share_a_map, count_under_locks)):
        path = os.path.join(top, part.__name__)
        try:
            print("%s: %d" % (part.__name__, part(path, seed + 100 * number,
                                                 time.monotonic() + seconds)), flush=True)
        except (Wrong, OSError) as error:
            sys.exit("%s: %s" % (part.__name__, error))


if __name__ == "__main__":
    main()
