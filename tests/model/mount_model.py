#!/usr/bin/env python3
"""A mounted store against a plain directory: the same operations, the same answers.

Several processes work at once on a mount and on a reference directory beside
it, each on files of its own and on its own stripes of a file they share. After
each round everything is compared, the store is unmounted, checked with
`gzip -t`, decompressed and compared again, and mounted again.

Environment: GZIPFS (the program), GZIPFS_MODEL_SECONDS (15), GZIPFS_MODEL_SEED,
GZIPFS_MODEL_OPTIONS (mount options; without them they vary by round).
The seed is printed first.
"""
import ctypes
import errno
import mmap
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

BLOCK = 65536
WORKERS = 3
MAX_SIZE = 3 << 20
OPTIONS = [
    "level=fast",
    "level=fast,nowriteback",
    "level=1,dirty=1M,cache=1M",
    "level=fast,nowriteback,dirty=1M,threads=1",
]
GZIPFS = os.environ.get("GZIPFS", "build/gzipfs")


KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10
LIBC = ctypes.CDLL(None, use_errno=True)


def fallocate(fd, mode, offset, length, may_emulate):
    if LIBC.fallocate64(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) == 0:
        return
    error = ctypes.get_errno()
    if not may_emulate or error != errno.EOPNOTSUPP or not mode & ZERO_RANGE:
        raise OSError(error, "")
    end = offset + length
    if mode & KEEP_SIZE:
        end = min(end, os.fstat(fd).st_size)
    if offset < end:
        os.pwrite(fd, bytes(end - offset), offset)


class Difference(Exception):
    pass


def some_offset(rng, size):
    at = rng.randrange(size + 1)
    if rng.random() < 0.5:
        at = max(0, at // BLOCK * BLOCK + rng.randrange(-2, 3))
    return at


def some_bytes(rng):
    length = rng.choice((1, rng.randrange(1, 200), rng.randrange(1, 9000), BLOCK,
                         rng.randrange(1, 4 * BLOCK)))
    kind = rng.random()
    if kind < 0.3:
        return bytes(length)
    if kind < 0.6:
        return rng.randbytes(length)
    return (b"%08x some text " % rng.randrange(1 << 32) * (length // 16 + 1))[:length]


class Worker:
    """One process: performs each operation in both directories."""

    def __init__(self, number, seed, sides, deadline):
        self.rng = random.Random(seed)
        self.number = number
        self.sides = sides  # (mount, reference)
        self.deadline = deadline
        self.names = ["w%d-%d" % (number, i) for i in range(4)]
        self.handles = {}  # name -> [fd in the mount, fd in the reference]

    def both(self, what, action):
        """Runs action(side index); the answers, errors included, must agree."""
        if os.environ.get("GZIPFS_MODEL_TRACE"):
            print("worker %d: %s" % (self.number, what), file=sys.stderr, flush=True)
        answers = []
        for side in (0, 1):
            try:
                answers.append(action(side))
            except OSError as error:
                answers.append(OSError(error.errno))
        mount, reference = (repr(a) if isinstance(a, OSError) else a for a in answers)
        if mount != reference:
            text = [str(a)[:200] for a in (mount, reference)]
            if isinstance(mount, bytes) and isinstance(reference, bytes):
                differing = [i for i, (a, b) in enumerate(zip(mount, reference)) if a != b]
                text = ["%d bytes" % len(mount), "%d bytes, %d differ, from %s to %s" % (
                    len(reference), len(differing), differing[:1], differing[-1:])]
                text += [mount[differing[0]:][:20].hex(), reference[differing[0]:][:20].hex()] if differing else []
            raise Difference("worker %d, %s: mount %s, reference %s" %
                             (self.number, what, text[0], " ".join(text[1:])))
        return answers[0]

    def path(self, side, name):
        return os.path.join(self.sides[side], name)

    def handle(self, name):
        if name not in self.handles:
            flags = os.O_RDWR | os.O_CREAT
            if self.rng.random() < 0.1:
                flags |= os.O_TRUNC
            self.handles[name] = [os.open(self.path(s, name), flags, 0o644) for s in (0, 1)]
        return self.handles[name]

    def close(self, name):
        for fd in self.handles.pop(name, ()):
            os.close(fd)

    def size(self, name):
        return self.both("size of " + name, lambda s: os.fstat(self.handle(name)[s]).st_size)

    def op_write(self, name):
        fds = self.handle(name)
        at, data = some_offset(self.rng, min(self.size(name) + BLOCK, MAX_SIZE)), some_bytes(self.rng)
        self.both("pwrite %s %d+%d" % (name, at, len(data)), lambda s: os.pwrite(fds[s], data, at))

    def op_append(self, name):
        if self.size(name) > MAX_SIZE:
            return
        for _ in range(self.rng.randrange(1, 30)):
            data = some_bytes(self.rng)[:self.rng.choice((100, BLOCK))]
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT

            def append(side):
                fd = os.open(self.path(side, name), flags, 0o644)
                try:
                    return os.write(fd, data)
                finally:
                    os.close(fd)
            self.both("append to " + name, append)

    def op_stream(self, name):
        self.close(name)
        pieces = [some_bytes(self.rng) for _ in range(self.rng.randrange(1, 20))]

        def stream(side):
            with open(self.path(side, name), "wb", buffering=0) as file:
                return sum(file.write(piece) for piece in pieces)
        self.both("rewrite of " + name, stream)

    def op_truncate(self, name):
        fds, size = self.handle(name), some_offset(self.rng, MAX_SIZE)
        if self.rng.random() < 0.2:
            size = 0
        self.both("truncate %s to %d" % (name, size), lambda s: os.ftruncate(fds[s], size))

    def op_read(self, name):
        fds = self.handle(name)
        at = some_offset(self.rng, self.size(name))
        length = self.rng.choice((1, 4096, BLOCK, 300000))
        self.both("pread %s %d+%d" % (name, at, length), lambda s: os.pread(fds[s], length, at))

    def op_mmap(self, name):
        fds, size = self.handle(name), self.size(name)
        if size == 0:
            return
        at = some_offset(self.rng, size - 1) % size
        data = some_bytes(self.rng)[:size - at]

        def store(side):
            with mmap.mmap(fds[side], size) as memory:
                memory[at:at + len(data)] = data
                return memory[max(0, at - 50):at + len(data) + 50]
        self.both("mmap %s %d+%d" % (name, at, len(data)), store)

    def op_sync(self, name):
        fds = self.handle(name)
        self.both("fsync " + name, lambda s: os.fsync(fds[s]))

    def op_close(self, name):
        self.close(name)

    def op_rename(self, name):
        target = self.rng.choice(self.names)
        self.both("rename %s %s" % (name, target),
                  lambda s: os.rename(self.path(s, name), self.path(s, target)))
        if name != target:
            self.close(target)
            if name in self.handles:
                self.handles[target] = self.handles.pop(name)

    def op_link(self, name):
        target = self.rng.choice(self.names)
        self.both("link %s %s" % (name, target),
                  lambda s: os.link(self.path(s, name), self.path(s, target)))

    def op_unlink(self, name):
        self.both("unlink " + name, lambda s: os.unlink(self.path(s, name)))
        if self.rng.random() < 0.5:
            self.close(name)
        elif name in self.handles:  # an open file without a name
            fds = self.handles.pop(name)
            data = some_bytes(self.rng)
            self.both("write to unlinked " + name, lambda s: os.pwrite(fds[s], data, 1000))
            self.both("read of unlinked " + name, lambda s: os.pread(fds[s], 5 * BLOCK, 0))
            for fd in fds:
                os.close(fd)

    def op_times(self, name):
        self.handle(name)
        when = self.rng.randrange(1 << 60)
        self.both("utime " + name, lambda s: os.utime(self.path(s, name), ns=(when, when)))
        self.both("mtime " + name, lambda s: os.stat(self.path(s, name)).st_mtime_ns)

    def op_space(self, name):
        """fallocate: longer, a hole, or zeros."""
        fds = self.handle(name)
        at = some_offset(self.rng, min(self.size(name) + BLOCK, MAX_SIZE))
        length = self.rng.choice((1, self.rng.randrange(1, 9000), BLOCK,
                                  self.rng.randrange(1, 6 * BLOCK)))
        mode = self.rng.choice((0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE,
                                ZERO_RANGE | KEEP_SIZE))
        self.both("fallocate %#x %s %d+%d" % (mode, name, at, length),
                  lambda s: fallocate(fds[s], mode, at, length, may_emulate=s == 1))

    def op_copy(self, name):
        """copy_file_range from another file."""
        source = self.rng.choice(self.names)
        if source == name:
            return
        from_fds, fds = self.handle(source), self.handle(name)
        begin = self.rng.choice((0, some_offset(self.rng, self.size(source))))
        at = self.rng.choice((0, some_offset(self.rng, min(self.size(name) + BLOCK, MAX_SIZE))))
        if self.rng.random() < 0.5:
            at, begin = at // BLOCK * BLOCK, begin // BLOCK * BLOCK
        length = self.rng.choice((BLOCK, MAX_SIZE, self.rng.randrange(1, 6 * BLOCK)))

        def copy(side):
            done = 0
            while done < length:
                count = os.copy_file_range(from_fds[side], fds[side], length - done,
                                           begin + done, at + done)
                if count == 0:
                    break
                done += count
            return done
        self.both("copy %s %d+%d to %s %d" % (source, begin, length, name, at), copy)

    def op_holes(self, name):
        """What lseek calls a hole is zeros."""
        fds, size = self.handle(name), self.size(name)
        at = some_offset(self.rng, size)
        try:
            end = os.lseek(fds[0], at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            end = size
        if any(os.pread(fds[1], max(0, end - at), at)):
            raise Difference("worker %d: %s, data in a hole from %d to %d" %
                             (self.number, name, at, end))

    def op_shared(self, _name):
        """The shared file: this worker's stripes only, but everybody's blocks."""
        stripe = 5000
        at = (self.rng.randrange(100) * WORKERS + self.number) * stripe
        data = some_bytes(self.rng)[:stripe]

        def write(side):
            fd = os.open(self.path(side, "shared"), os.O_RDWR | os.O_CREAT, 0o644)
            try:
                os.pwrite(fd, data, at)
                return os.pread(fd, len(data), at)
            finally:
                os.close(fd)
        self.both("shared %d+%d" % (at, len(data)), write)

    def run(self):
        weights = {"write": 10, "append": 4, "stream": 2, "truncate": 3, "read": 10, "mmap": 3,
                   "sync": 1, "close": 5, "rename": 2, "link": 1, "unlink": 2, "times": 1,
                   "shared": 6, "space": 4, "copy": 3, "holes": 2}
        kinds, odds = list(weights), list(weights.values())
        count = 0
        while time.time() < self.deadline:
            kind = self.rng.choices(kinds, odds)[0]
            getattr(self, "op_" + kind)(self.rng.choice(self.names))
            count += 1
        return count


def run_workers(seed, sides, seconds):
    children = []
    for number in range(WORKERS):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                Worker(number, seed * 31 + number, sides, time.time() + seconds).run()
                status = 0
            except Difference as difference:
                print(difference, file=sys.stderr, flush=True)
            except BaseException as error:  # a child must not return
                print("worker %d: %r" % (number, error), file=sys.stderr, flush=True)
            os._exit(status)
        children.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    if any(statuses):
        raise Difference("a worker failed")


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def compare(sides, when):
    names = [sorted(os.listdir(side)) for side in sides]
    if names[0] != names[1]:
        raise Difference("%s: names %s" % (when, names))
    for name in names[0]:
        mine, reference = (read_file(os.path.join(side, name)) for side in sides)
        if mine != reference:
            at = next((i for i, (a, b) in enumerate(zip(mine, reference)) if a != b),
                      min(len(mine), len(reference)))
            raise Difference("%s: %s differs at %d (%d and %d bytes)" %
                             (when, name, at, len(mine), len(reference)))


def compare_store(store, reference):
    names = sorted(name for name in os.listdir(store) if name != ".gzipfs")
    if names != sorted(name + ".gz" for name in os.listdir(reference)):
        raise Difference("names in the store: %s" % names)
    for name in names:
        path = os.path.join(store, name)
        plain = subprocess.run(["gzip", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
        if plain != read_file(os.path.join(reference, name[:-3])):
            raise Difference("zcat of %s differs" % name)


def main():
    seconds = float(os.environ.get("GZIPFS_MODEL_SECONDS", "15"))
    seed = int(os.environ.get("GZIPFS_MODEL_SEED") or random.randrange(1 << 31))
    if not os.path.exists("/dev/fuse"):
        print("skipped: no /dev/fuse")
        return 77
    print("GZIPFS_MODEL_SEED=%d" % seed, flush=True)
    scratch = tempfile.mkdtemp(prefix="gzipfs-model.")
    store, plain, reference = (os.path.join(scratch, d) for d in ("store", "plain", "reference"))
    for directory in (store, plain, reference):
        os.mkdir(directory)
    end, rounds = time.time() + seconds, 0
    status = 1
    try:
        while rounds == 0 or time.time() < end:
            options = os.environ.get("GZIPFS_MODEL_OPTIONS") or OPTIONS[rounds % len(OPTIONS)]
            subprocess.run([GZIPFS, store, plain, "-o", options], check=True)
            compare((plain, reference), "round %d (%s), after mounting" % (rounds, options))
            run_workers(seed + rounds, (plain, reference), min(5, max(seconds / 4, 2)))
            compare((plain, reference), "round %d (%s), at its end" % (rounds, options))
            subprocess.run([GZIPFS, "umount", plain], check=True)
            compare_store(store, reference)
            rounds += 1
        print("%d rounds" % rounds)
        status = 0
    except Difference as difference:
        print("seed %d, round %d: %s" % (seed, rounds, difference))
    finally:
        if os.path.ismount(plain):
            subprocess.run(["timeout", "60", GZIPFS, "umount", plain])
        if os.path.ismount(plain):
            subprocess.run(["umount", "-l", plain])
    if status == 0:
        shutil.rmtree(scratch)
    else:
        print("kept: " + scratch)
    return status


if __name__ == "__main__":
    sys.exit(main())
