#!/usr/bin/env python3
"""fallocate, copy_file_range and lseek: a mount against a plain directory beside it.

    space.py MOUNT REFERENCE STORE writeback|nowriteback

Makes the same calls in both and compares answers, sizes, times and contents. What a filesystem is
free to do (where holes are) is compared with the contents. Leaves the files for a comparison after
unmounting.
"""
import ctypes
import errno
import mmap
import os
import random
import subprocess
import sys
import time

MOUNT, REFERENCE, STORE, CACHING = sys.argv[1:]
BLOCK = 65536
MIB = 1 << 20
PAGE = os.sysconf("SC_PAGESIZE")
KEEP, PUNCH, COLLAPSE, ZERO, INSERT = 0x01, 0x02, 0x08, 0x10, 0x20
NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP"}  # which has two
LIBC = ctypes.CDLL(None, use_errno=True)


def fallocate(fd, mode, offset, size):
    if LIBC.fallocate64(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(size)) == 0:
        return None
    raise OSError(ctypes.get_errno(), "")


def zero_reference(fd, mode, offset, size):
    """ZERO_RANGE where the filesystem has none: by writing."""
    length = os.fstat(fd).st_size
    end = min(offset + size, length) if mode & KEEP else offset + size
    if offset < end:
        os.pwrite(fd, bytes(end - offset), offset)


def answer(action):
    try:
        return action()
    except OSError as error:
        return NAMES.get(error.errno) or errno.errorcode[error.errno]


def check(is_so, *what):
    if not is_so:
        sys.exit("%s: %s" % (CACHING, " ".join(map(str, what))))


class Pair:
    """A file of the same name on both sides, open."""

    def __init__(self, name, data=b"", flags=os.O_RDWR):
        self.paths = [os.path.join(side, name) for side in (MOUNT, REFERENCE)]
        for path in self.paths:
            if not os.path.exists(path):
                with open(path, "wb") as file:
                    file.write(data)
        self.fds = [os.open(path, flags) for path in self.paths]
        self.readers = self.fds
        if flags & os.O_ACCMODE == os.O_WRONLY:
            self.readers = [os.open(path, os.O_RDONLY) for path in self.paths]

    def both(self, what, action):
        answers = [answer(lambda fd=fd: action(fd)) for fd in self.fds]
        check(answers[0] == answers[1], self.paths[0], what, *("%.99r" % a for a in answers))
        return answers[0]

    def allocate(self, mode, offset, size):
        what = "fallocate %#x %d+%d" % (mode, offset, size)
        answers = [answer(lambda fd=fd: fallocate(fd, mode, offset, size)) for fd in self.fds]
        if answers[1] == "EOPNOTSUPP" and mode & ~KEEP == ZERO:
            answers[1] = zero_reference(self.fds[1], mode, offset, size)
        check(answers[0] == answers[1], self.paths[0], what, *answers)
        return answers[0]

    def compare(self, what):
        self.both("size after " + what, lambda fd: os.fstat(fd).st_size)
        contents = [os.pread(fd, 1 << 30, 0) for fd in self.readers]
        check(contents[0] == contents[1], self.paths[0], "contents after", what)

    def seek_all(self, what):
        """What the mount calls a hole is zeros, and everything it says fits together."""
        fd = self.fds[0]
        data = os.pread(self.fds[1], 1 << 30, 0)
        at = holes = 0
        settled_meanwhile = 0
        while at < len(data):
            try:
                begin = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as error:
                check(error.errno == errno.ENXIO, what, error)
                begin = len(data)
            check(not any(data[at:begin]), self.paths[0], what, "data in a hole", at, begin)
            holes += begin - at
            if begin == len(data):
                break
            at = os.lseek(fd, begin, os.SEEK_HOLE)
            # Zeros that were written are data until they are settled, which may be just now.
            settled_meanwhile += at == begin
            check(settled_meanwhile < 50, self.paths[0], what, "data, and a hole, at", begin)
            check(begin <= at <= len(data), self.paths[0], what, "hole at", at, "after", begin)
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            check(answer(lambda: os.lseek(fd, len(data), whence)) == "ENXIO", what, "at the end")
        return holes

    def close(self):
        for fd in {*self.fds, *self.readers}:
            os.close(fd)


def errors():
    pair = Pair("errors", b"some bytes")
    for mode in (0, KEEP, PUNCH | KEEP, ZERO, ZERO | KEEP):
        pair.allocate(mode, -1, 5)
        pair.allocate(mode, 0, 0)
        pair.allocate(mode, 5, -5)
        pair.allocate(mode, (1 << 63) - 5, 10)
    for mode in (PUNCH, PUNCH | ZERO | KEEP, 0x80, COLLAPSE | KEEP):
        pair.both("fallocate %#x" % mode, lambda fd: fallocate(fd, mode, 0, 5))
    for mode in (COLLAPSE, INSERT):
        check(answer(lambda: fallocate(pair.fds[0], mode, 0, BLOCK)) == "EOPNOTSUPP", "moving")
    check(answer(lambda: fallocate(pair.fds[0], ZERO, 1 << 60, 5)) == "EFBIG", "EFBIG")
    pair.both("overlapping copy", lambda fd: os.copy_file_range(fd, fd, 5, 0, 3))
    pair.both("copy behind the end", lambda fd: os.copy_file_range(fd, fd, 5, 100, 3000))
    pair.compare("errors")
    pair.close()
    reader = Pair("errors", flags=os.O_RDONLY)
    for mode in (0, KEEP, PUNCH | KEEP):
        reader.allocate(mode, 0, 5)
    reader.both("copy to a reader", lambda fd: os.copy_file_range(fd, fd, 5, 0, 10))
    reader.close()
    for make, name in ((os.mkdir, "directory"), (os.mkfifo, "fifo")):
        for side in (MOUNT, REFERENCE):
            make(os.path.join(side, name))
        special = Pair(name, flags=os.O_RDONLY if name == "directory" else os.O_RDWR)
        special.allocate(PUNCH | KEEP, 0, 5)
        special.close()
        for path in special.paths:
            (os.rmdir if name == "directory" else os.unlink)(path)


def times():
    pair = Pair("times", random.randbytes(3 * BLOCK))
    for mode, offset, size in ((0, 0, 10), (0, 0, 4 * BLOCK), (KEEP, 0, 10), (PUNCH | KEEP, 5, 10),
                               (PUNCH | KEEP, 0, 9 * BLOCK), (ZERO | KEEP, 7, 8)):
        for fd in pair.fds:
            os.utime(fd, ns=(5, 5))
        before = [os.fstat(fd).st_ctime_ns for fd in pair.fds]
        time.sleep(0.02)
        if pair.allocate(mode, offset, size) is not None or mode & ZERO:
            continue
        moved = [(os.fstat(fd).st_mtime_ns != 5, os.fstat(fd).st_ctime_ns > old)
                 for fd, old in zip(pair.fds, before)]
        check(moved[0] == moved[1], "times moved by fallocate %#x" % mode, moved)
    pair.compare("times")
    pair.close()


def some_offset(rng, limit):
    at = rng.randrange(limit)
    return at if rng.random() < 0.5 else max(0, at // BLOCK * BLOCK + rng.randrange(-1, 2))


def random_calls(seconds):
    seed = int(os.environ.get("GZIPFS_MODEL_SEED") or random.randrange(1 << 31))
    print("GZIPFS_MODEL_SEED=%d" % seed, flush=True)
    rng = random.Random(seed)
    limit = 20 * BLOCK
    names = ["random0", "random1"]
    pairs = {name: Pair(name, rng.randbytes(10 * BLOCK)) for name in names}
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        count += 1
        name = rng.choice(names)
        pair, kind = pairs[name], rng.randrange(9)
        at = some_offset(rng, limit)
        size = rng.choice((1, 100, BLOCK, rng.randrange(1, 5 * BLOCK)))
        if kind < 3:
            pair.allocate(rng.choice((0, KEEP, PUNCH | KEEP, ZERO, ZERO | KEEP)), at, size)
        elif kind == 3:
            data = rng.randbytes(size)
            pair.both("pwrite", lambda fd: os.pwrite(fd, data, at))
        elif kind == 4:
            pair.both("ftruncate", lambda fd: os.ftruncate(fd, at))
        elif kind == 5:
            pair.both("fsync", os.fsync)
            pair.close()
            pairs[name] = Pair(name)
        elif kind == 6:
            pair.seek_all("call %d" % count)
        else:
            copy(pairs[rng.choice(names)], some_offset(rng, limit), pair, at, size)
        if rng.random() < 0.2:
            pair.compare("call %d" % count)
    for pair in pairs.values():
        pair.compare("all calls")
        pair.close()
    print("%d random calls" % count)


def copy_all(source, from_offset, target, offset, size):
    """copy_file_range until there is no more; how much it was."""
    done = 0
    while done < size:
        count = os.copy_file_range(source, target, size - done, from_offset + done, offset + done)
        if count == 0:
            break
        done += count
    return done


def copy(source, from_offset, target, offset, size):
    length = os.fstat(source.fds[1]).st_size
    if source is target and max(from_offset, offset) + size > length:
        return  # it would grow while it is copied, by as much as one call is for
    answers = [answer(lambda a=a, b=b: copy_all(a, from_offset, b, offset, size))
               for a, b in zip(source.fds, target.fds)]
    check(answers[0] == answers[1], "copy %d+%d to %d" % (from_offset, size, offset), *answers)


def seeking_with_dirty_pages():
    """The kernel holds what was written; who asks is another process."""
    pair = Pair("dirty")
    for at in (5 * BLOCK + 17, 9 * BLOCK, 30 * BLOCK + 1):
        pair.both("pwrite", lambda fd: os.pwrite(fd, b"data", at))
        reader = Pair("dirty", flags=os.O_RDONLY)
        reader.seek_all("dirty pages")
        reader.close()
    pair.both("fsync", os.fsync)
    check(pair.seek_all("after fsync") >= 20 * BLOCK, "holes are not found")
    pair.both("ftruncate", lambda fd: os.ftruncate(fd, 50 * BLOCK))
    check(pair.seek_all("grown") >= 40 * BLOCK, "holes are not found")
    pair.close()


def copying_members():
    """cp of a file, and what it leaves in the store."""
    text = b"".join(b"%d lines of text\n" % i for i in range(400000))
    data = text + bytes(5 * BLOCK) + text[:100000]
    for side in (MOUNT, REFERENCE):
        with open(os.path.join(side, "source"), "wb") as file:
            file.write(data)
        subprocess.run(["cp", "source", "target"], cwd=side, check=True)
        with open(os.path.join(side, "appended"), "wb") as file:
            file.write(b"in front")
            file.truncate(2 * BLOCK)
        with open(os.path.join(side, "source"), "rb") as source, \
                open(os.path.join(side, "appended"), "rb+") as target:
            check(copy_all(source.fileno(), BLOCK, target.fileno(), 2 * BLOCK, len(data)) ==
                  len(data) - BLOCK, "copied bytes")
    for name in ("target", "appended"):
        Pair(name).compare("copying")
    stored = [open(os.path.join(STORE, name + ".gz"), "rb").read()
              for name in ("source", "target")]
    members = [part.count(b"BC\x02\x00") for part in stored]
    check(abs(members[0] - members[1]) <= 6, "members of source and target", members)
    check(abs(len(stored[0]) - len(stored[1])) < 1000, "stored bytes", *map(len, stored))


def resident_pages(fd, begin, end):
    """How many pages of [begin, end) the kernel has; mincore(2)."""
    LIBC.mmap.restype = ctypes.c_void_p
    size = ctypes.c_size_t(end)
    address = ctypes.c_void_p(LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd,
                                        ctypes.c_long(0)))
    pages = (ctypes.c_ubyte * (end // PAGE))()
    check(LIBC.mincore(address, size, pages) == 0, "mincore")
    LIBC.munmap(address, size)
    return sum(page & 1 for page in pages[begin // PAGE:])


def preallocating_with_dirty_pages():
    """What was written stays, wherever the kernel has it; of what is added it has the zeros."""
    pair = Pair("preallocated", flags=os.O_WRONLY)
    noise = random.Random(5).randbytes(3 * MIB + 77)
    pair.both("write", lambda fd: os.pwrite(fd, noise, 0))
    pair.both("write behind", lambda fd: os.pwrite(fd, noise[:5000], 5 * MIB + 11))
    pair.allocate(0, 0, 16 * MIB)
    pair.compare("preallocating")
    pair.both("write at the end", lambda fd: os.pwrite(fd, noise[:100], 20 * MIB - 50))
    pair.allocate(0, MIB, 31 * MIB)
    # Since Linux 6.16 the kernel can be asked for all that it has gathered.
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    is_filled = CACHING == "writeback" and release >= (6, 16)
    have = resident_pages(pair.readers[0], 20 * MIB + BLOCK, 32 * MIB)
    check((have > 2000) == is_filled, "pages ahead of the writer:", have)
    for at in range(6 * MIB + 300, 32 * MIB, 999 * 1024):
        pair.both("small write", lambda fd, at=at: os.pwrite(fd, noise[at % 1000:][:1024], at))
    pair.compare("small writes")
    others = [os.open(path, os.O_RDWR) for path in pair.paths]
    pair.allocate(0, 32 * MIB, 8 * MIB)
    have = resident_pages(pair.readers[0], 32 * MIB, 40 * MIB)
    check(have == 0, "pages that another writer might have mapped:", have)
    for other in others:
        os.close(other)
    pair.compare("preallocating beside another writer")
    begin = time.monotonic()
    pair.allocate(0, 1 << 40, MIB)  # little, but what it adds is more than the memory
    check(time.monotonic() - begin < 10, "preallocating far behind the end")
    pair.both("ftruncate", lambda fd: os.ftruncate(fd, 40 * MIB))
    pair.both("fsync", os.fsync)
    pair.close()
    mapped = Pair("preallocated and mapped")
    mapped.allocate(0, 0, 8 * MIB)
    have = resident_pages(mapped.fds[0], 0, 8 * MIB)
    check(have == 0, "pages that the writer might have mapped:", have)
    mapped.close()


def write_where_it_grew(path, size):
    """A byte of each page, through mapped memory, as soon as fstat shows the page."""
    while os.stat(path).st_size == 0:
        pass
    fd = os.open(path, os.O_RDWR)
    begin = 0
    while begin < size:
        end = os.fstat(fd).st_size
        if end > begin:
            memory = mmap.mmap(fd, end)
            memory[begin:end:PAGE] = b"B" * ((end - begin) // PAGE)
            begin = end
    lost = sum(byte != 66 for byte in memory[::PAGE])
    os._exit(1 if lost else 0)


def mapping_what_is_being_preallocated():
    """Who sees the new size, by whatever way, may write there at once."""
    size = 64 * MIB
    for turn in range(5):
        path = os.path.join(MOUNT, "grown")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        child = os.fork()
        if child == 0:
            write_where_it_grew(path, size)
        time.sleep(0.01)
        fallocate(fd, 0, 0, size)
        check(os.waitpid(child, 0)[1] == 0, "mapped bytes are lost, turn", turn)
        os.close(fd)
        os.unlink(path)


def main():
    for case in (errors, times, seeking_with_dirty_pages, preallocating_with_dirty_pages,
                 mapping_what_is_being_preallocated, copying_members):
        case()
    random_calls(float(os.environ.get("GZIPFS_SPACE_SECONDS", "3")))


main()
