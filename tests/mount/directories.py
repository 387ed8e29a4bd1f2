#!/usr/bin/env python3
"""Directories in a mount: listing while entries come and go, positions, types, names, what is new.

    directories.py MOUNT ENTRIES

Prints counts; exits 1 with a sentence when something was wrong. What it leaves in MOUNT/names is
to be compared with its standard output's last lines by whoever mounts again: "name KIND HEX".
"""
import ctypes
import errno
import os
import random
import stat
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
TYPES = {1: stat.S_IFIFO, 2: stat.S_IFCHR, 4: stat.S_IFDIR, 6: stat.S_IFBLK, 8: stat.S_IFREG,
         10: stat.S_IFLNK, 12: stat.S_IFSOCK}


class Entry(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("position", ctypes.c_int64), ("size", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]


LIBC.opendir.restype = ctypes.c_void_p
LIBC.readdir.restype = ctypes.POINTER(Entry)
LIBC.telldir.restype = ctypes.c_long
for call in (LIBC.readdir, LIBC.telldir, LIBC.closedir, LIBC.rewinddir):
    call.argtypes = [ctypes.c_void_p]
LIBC.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
LIBC.seekdir.restype = LIBC.rewinddir.restype = None


class Listing:
    """A directory stream of the C library's."""

    def __init__(self, path):
        self.stream = LIBC.opendir(os.fsencode(path))
        if not self.stream:
            raise OSError(ctypes.get_errno(), path)

    def next(self):
        """(name, type, inode number), without the dots; None at the end."""
        while True:
            ctypes.set_errno(0)
            entry = LIBC.readdir(self.stream)
            if not entry:
                if ctypes.get_errno():
                    raise OSError(ctypes.get_errno(), "readdir")
                return None
            if entry.contents.name not in (b".", b".."):
                return entry.contents.name, entry.contents.type, entry.contents.ino

    def rest(self):
        found = []
        while (entry := self.next()) is not None:
            found.append(entry)
        return found

    def tell(self):
        return LIBC.telldir(self.stream)

    def seek(self, position):
        LIBC.seekdir(self.stream, position)

    def rewind(self):
        LIBC.rewinddir(self.stream)

    def close(self):
        LIBC.closedir(self.stream)


def check(is_right, what, *values):
    if not is_right:
        sys.exit("directories.py: " + what % values)


def name_of(number):
    return b"entry %06d.gz" % number if number % 7 == 0 else b"%d-entry" % number


def fill(top, count):
    """Files, and here and there something else; returns the names."""
    os.mkdir(top)
    for i in range(count):
        path = os.path.join(os.fsencode(top), name_of(i))
        if i % 50 == 1:
            os.mkdir(path)
        elif i % 50 == 2:
            os.symlink(b"x", path)
        elif i % 50 == 3:
            os.mkfifo(path)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    return {name_of(i) for i in range(count)}


def listing_is_whole(top, names):
    began = time.monotonic()
    found = Listing(top).rest()
    check(len(found) == len(names) and {each[0] for each in found} == names,
          "%d entries are listed, %d are there", len(found), len(names))
    for name, kind, ino in found[:20000]:
        status = os.lstat(os.path.join(os.fsencode(top), name))
        check(TYPES.get(kind) == stat.S_IFMT(status.st_mode), "%r is listed as type %d", name, kind)
        check(ino == status.st_ino, "%r is listed as inode %d and is %d", name, ino, status.st_ino)
    print("listed %d entries, %.1f s" % (len(found), time.monotonic() - began), flush=True)


def positions_last(top, names, rng):
    """Each position leads to what came behind it, though other entries come and go."""
    listing = Listing(top)
    steps = []  # (position before, entry)
    while True:
        position = listing.tell()
        entry = listing.next()
        if entry is None:
            break
        steps.append((position, entry[0]))
    order = [name for _, name in steps]
    stays = set(rng.sample(order, len(order) // 2)) if len(order) < 100000 else set(order)
    goes = [name for name in order if name not in stays]
    for name in goes:
        path = os.path.join(os.fsencode(top), name)
        os.rmdir(path) if stat.S_ISDIR(os.lstat(path).st_mode) else os.unlink(path)
    for i in range(len(goes)):
        os.close(os.open(os.path.join(top, "new %d" % i), os.O_CREAT | os.O_WRONLY, 0o644))
    tries = rng.sample(range(len(steps)), min(40, len(steps)))
    for at in tries:
        listing.seek(steps[at][0])
        wanted = [name for name in order[at:at + 300] if name in stays]
        found = []
        while len(found) < len(wanted):
            entry = listing.next()
            check(entry is not None, "behind position %d of %d the listing ends too early", at,
                  len(steps))
            if entry[0] in stays:
                found.append(entry[0])
        check(found == wanted, "behind position %d of %d comes something else", at, len(steps))
    listing.rewind()
    now = {each[0] for each in listing.rest()}
    wanted = stays | {b"new %d" % i for i in range(len(goes))}
    check(now == wanted, "after rewinddir %d entries are wrong", len(now ^ wanted))
    listing.close()
    return wanted


def changes_while_listed(top, names, rng):
    """What is there all the time is listed once, whatever happens beside it."""
    listing, seen, count = Listing(top), [], 0
    while (entry := listing.next()) is not None:
        seen.append(entry[0])
        if count < 3000 and rng.random() < 0.5:
            path = os.path.join(top, "passing %d" % count)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
            if count > 5 and rng.random() < 0.7:
                os.rename(path, os.path.join(top, "passed %d" % (count % 6)))
            count += 1
    listing.close()
    stayed = [name for name in seen if name in names]
    check(len(stayed) == len(names) and set(stayed) == names,
          "%d of %d entries were listed while others came and went", len(stayed), len(names))
    check(len(seen) == len(set(seen)), "an entry was listed twice")
    for name in os.listdir(top):
        if name.startswith("pass"):
            os.unlink(os.path.join(top, name))


def what_is_seen(top):
    """Names, and attributes of the files 0 to 7."""
    told = []
    for i in range(8):
        try:
            each = os.lstat(os.path.join(top, str(i)))
            told.append((each.st_mode, each.st_nlink, each.st_size, each.st_mtime_ns, each.st_ino))
        except FileNotFoundError:
            told.append(None)
    return sorted(os.listdir(top)), told


def nothing_is_stale(top, rng):
    """What one process changes another one sees at once."""
    os.mkdir(top)
    reader, writer = os.pipe()
    answer_reader, answer_writer = os.pipe()
    if os.fork() == 0:
        os.close(writer)
        held = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        while os.read(reader, 1):
            data = repr((sorted(os.listdir(held)), what_is_seen(top))).encode()
            os.write(answer_writer, b"%8d" % len(data) + data)
        os._exit(0)
    os.close(reader)
    for _ in range(200):
        a, b = (os.path.join(top, str(rng.randrange(8))) for _ in range(2))
        try:
            action = rng.randrange(7)
            if action == 0:
                with open(a, "ab") as file:
                    file.write(b"x" * rng.randrange(1, 100))
            elif action == 1:
                os.unlink(a)
            elif action == 2:
                os.rename(a, b)
            elif action == 3:
                os.link(a, b)
            elif action == 4:
                os.chmod(a, rng.randrange(0o600, 0o777))
            elif action == 5:
                os.mkdir(a) if rng.random() < 0.5 else os.rmdir(a)
            else:
                os.truncate(a, rng.randrange(100))
        except OSError as error:
            check(error.errno in (errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR,
                                  errno.EPERM), "%s", error)
        os.write(writer, b"x")
        size = int(os.read(answer_reader, 8))
        data = b""
        while len(data) < size:
            data += os.read(answer_reader, size - len(data))
        mine = what_is_seen(top)
        check(data.decode() == repr((mine[0], mine)), "another process sees %s, not %s",
              data.decode(), mine)
    os.close(writer)
    os.wait()


def make_names(top, rng):
    """Every byte but two, all lengths, names that look like the store's."""
    os.mkdir(top)
    longest = os.statvfs(top).f_namemax
    check(longest == os.pathconf(top, "PC_NAME_MAX"), "two values of NAME_MAX")
    names = [bytes([byte]) for byte in range(1, 256) if byte not in b"./"]
    names += [b"a" * (longest - 1), b"b" * longest, b".hidden", b"...", b"*?[",
              b".gz", b"x.gz.gz", b"a.gz", b"c.gz.", b".gzipfs", b"d.GZ", b"\xff\xfe.gz",
              b"y" * (longest - 3) + b".gz"]
    letters = [byte for byte in range(1, 256) if byte != ord("/")]
    while len(names) < 600:
        name = bytes(rng.choices(letters, k=rng.randrange(1, longest + 1)))
        if name not in (b".", b"..") and name not in names:
            names.append(name)
    where = os.fsencode(top)
    for i, name in enumerate(names):
        path = os.path.join(where, name)
        kind = "directory" if i % 10 == 3 else "symlink" if i % 10 == 4 else "file"
        if kind == "directory":
            os.mkdir(path)
        elif kind == "symlink":
            os.symlink(name[:100], path)
        else:
            with open(path, "xb") as file:
                file.write(name)
        print("name %s %s" % (kind, name.hex()))
    check(sorted(os.listdir(where)) == sorted(names), "other names are listed than were made")
    for name in (b"z" * (longest + 1), b"z" * (longest - 2) + b".gz"):
        for call in (lambda p: os.open(p, os.O_CREAT | os.O_WRONLY), os.mkdir, os.lstat):
            try:
                call(os.path.join(where, name))
                check(False, "a name of %d bytes was taken", len(name))
            except OSError as error:
                check(error.errno == errno.ENAMETOOLONG, "a name of %d bytes: %s", len(name), error)


def main():
    top, count = sys.argv[1], int(sys.argv[2])
    seed = int(os.environ.get("GZIPFS_MODEL_SEED", random.randrange(1 << 30)))
    print("seed %d" % seed, flush=True)
    rng = random.Random(seed)
    large = os.path.join(top, "large")
    began = time.monotonic()
    names = fill(large, count)
    print("made %d entries, %.1f s" % (count, time.monotonic() - began), flush=True)
    listing_is_whole(large, names)
    names = positions_last(large, names, rng)
    changes_while_listed(large, names, rng)
    listing_is_whole(large, names)
    nothing_is_stale(os.path.join(top, "watched"), rng)
    make_names(os.path.join(top, "names"), rng)


if __name__ == "__main__":
    main()
