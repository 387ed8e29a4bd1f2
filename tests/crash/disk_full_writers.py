"""The writers of disk_full.py: programs that take ENOSPC for an answer and try again.

Each keeps in memory what was acknowledged, and what else may be there because
a call that failed may have done its work in part. It compares after each ENOSPC;
when it is told to pause it first gets everything acknowledged and compares exactly.
"""
import errno
import mmap
import os
import random
import struct
import time

FULL = (errno.ENOSPC, errno.EDQUOT)


class Board:
    """Numbers that a writer and its master share; each field has one writer."""

    RUN, PAUSE = 0, 1
    CALLS = ("write", "fsync", "close", "other")
    NAMES = ("command", "state", "done") + CALLS

    def __init__(self):
        self.memory = mmap.mmap(-1, 8 * len(self.NAMES))

    def get(self, name):
        return struct.unpack_from("<Q", self.memory, 8 * self.NAMES.index(name))[0]

    def put(self, name, value):
        struct.pack_into("<Q", self.memory, 8 * self.NAMES.index(name), value)

    command = property(lambda self: self.get("command"),
                       lambda self, value: self.put("command", value))
    state = property(lambda self: self.get("state"))
    done = property(lambda self: self.get("done"))
    full = property(lambda self: sum(map(self.get, self.CALLS)))

    def __str__(self):
        met = ", ".join(f"{self.get(call)} at {call}" for call in self.CALLS if self.get(call))
        return f"{self.done} acknowledged, no space {met}"


class Wrong(Exception):
    pass


def read_back(path):
    """What the daemon says, not the kernel's pages as far as they are clean; None: no file."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        pieces = []
        while piece := os.read(fd, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


class Writer:
    name = ""

    def __init__(self, plain, board, rng):
        self.path = f"{plain}/{self.name}"
        self.board = board
        self.rng = rng
        self.call = "other"
        self.fd = -1

    # What each kind does. An OSError out of step() or make_exact() is looked at by run().
    def open(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT)

    def close(self):
        fd, self.fd = self.fd, -1
        os.close(fd)

    def step(self):
        """Something that ends acknowledged."""
        raise NotImplementedError

    def make_exact(self):
        """Until nothing is uncertain."""
        raise NotImplementedError

    def compare(self, is_exact):
        raise NotImplementedError

    # Calls by name, so that it is known which one failed.
    def write(self, data, offset=None):
        self.call = "write"
        while data:
            if offset is None:
                data = data[os.write(self.fd, data):]
            else:
                count = os.pwrite(self.fd, data, offset)
                data, offset = data[count:], offset + count

    def fsync(self):
        self.call = "fsync"
        os.fsync(self.fd)

    def try_to(self, action):
        """False when there was no space."""
        self.call = "other"
        try:
            action()
        except OSError as error:
            if error.errno not in FULL:
                raise Wrong(f"{self.name}: {self.call} answers {error}") from error
            self.board.put(self.call, self.board.get(self.call) + 1)
            return False
        return True

    def until_done(self, action):
        while not self.try_to(action):
            time.sleep(0.005)

    def pause(self):
        self.until_done(self.make_exact)
        self.compare(True)
        if self.fd >= 0:
            self.try_to(self.close)
        self.board.put("state", Board.PAUSE)
        while self.board.command == Board.PAUSE:
            time.sleep(0.005)
        self.until_done(self.open)
        self.compare(True)
        self.board.put("state", Board.RUN)

    def run(self):
        self.until_done(self.open)
        while True:
            if self.board.command == Board.PAUSE:
                self.pause()
            if self.try_to(self.step):
                self.board.put("done", self.board.done + 1)
            else:
                self.compare(False)
                time.sleep(0.005)


class SlotWriter(Writer):
    """A slot has what was acknowledged or, byte by byte, what was tried since."""

    name = "slots"
    BYTES = 700
    COUNT = 1500

    def __init__(self, plain, board, rng):
        super().__init__(plain, board, rng)
        self.counter = 0
        self.acked = {}
        self.tried = {}
        self.salt = rng.randrange(1 << 40)

    def slot(self, number, counter):
        if counter == 0:
            return bytes(self.BYTES)
        return random.Random(self.salt + number * 10**7 + counter).randbytes(self.BYTES)

    def put(self, numbers):
        batch = []
        for number in numbers:
            self.counter += 1
            self.tried.setdefault(number, []).append(self.counter)
            batch.append((number, self.counter))
            self.write(self.slot(number, self.counter), number * self.BYTES)
        self.fsync()
        for number, counter in batch:
            self.acked[number] = counter
            self.tried.pop(number, None)

    def open(self):
        super().open()
        if os.fstat(self.fd).st_size == 0:
            self.put(range(self.COUNT))

    def step(self):
        count = self.rng.choice((1, 3, 40))
        self.put(self.rng.randrange(self.COUNT) for _ in range(count))

    def make_exact(self):
        self.put(list(range(self.COUNT)) if len(self.acked) < self.COUNT else list(self.tried))

    def compare(self, is_exact):
        data = read_back(self.path)
        if is_exact and len(data) != self.COUNT * self.BYTES:
            raise Wrong(f"slots has {len(data)} bytes")
        for number in range(self.COUNT):
            piece = data[number * self.BYTES : (number + 1) * self.BYTES]
            tried = self.tried.get(number, [])
            acked = self.slot(number, self.acked.get(number, 0))
            if piece == acked or (number not in self.acked and len(piece) < self.BYTES):
                continue
            may_be = [acked] + [self.slot(number, counter) for counter in tried]
            for at, byte in enumerate(piece):
                if all(byte != version[at] for version in may_be):
                    raise Wrong(f"slot {number}, acknowledged as {self.acked.get(number, 0)}, "
                                f"tried {tried}: byte {at} of {len(piece)} is none of these")
            if len(piece) < self.BYTES:
                raise Wrong(f"slot {number} has {len(piece)} bytes")


class AppendWriter(Writer):
    """What was acknowledged is a beginning of the file."""

    name = "append"
    MAX_BYTES = 3 << 20

    def __init__(self, plain, board, rng):
        super().__init__(plain, board, rng)
        self.acked = b""
        self.has_more = False  # perhaps something is behind it
        self.is_cutting = False

    def open(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def cut(self, size):
        self.call = "other"
        os.ftruncate(self.fd, size)

    def make_exact(self):
        if self.is_cutting:
            self.cut(0)
            self.fsync()
            self.acked = b""
            self.is_cutting = self.has_more = False
        if self.has_more:
            self.cut(len(self.acked))
            self.fsync()
            self.has_more = False

    def step(self):
        self.make_exact()
        if len(self.acked) > self.MAX_BYTES:
            self.is_cutting = True
            return self.make_exact()
        self.has_more = True
        data = b""
        for _ in range(self.rng.choice((1, 1, 4, 30))):
            piece = self.rng.randbytes(self.rng.randrange(1, 9000))
            self.write(piece)
            data += piece
        self.fsync()
        self.acked += data
        self.has_more = False
        return None

    def compare(self, is_exact):
        data = read_back(self.path)
        if self.is_cutting and not data:
            return
        if is_exact and len(data) != len(self.acked):
            raise Wrong(f"append has {len(data)} bytes, {len(self.acked)} were acknowledged")
        if data[: len(self.acked)] != self.acked:
            same = next((i for i, (a, b) in enumerate(zip(data, self.acked)) if a != b), len(data))
            raise Wrong(f"append: of {len(self.acked)} bytes acknowledged {same} are there")


class FileWriter(Writer):
    """Each name has what was closed before it was renamed there."""

    name = "files"
    NAMES = 12

    def __init__(self, plain, board, rng):
        super().__init__(plain, board, rng)
        self.salt = rng.randrange(1 << 40)
        self.count = 0
        self.may_be = {}  # by name

    def content(self, number):
        if number == 0:
            return None
        rng = random.Random(self.salt + number)
        return rng.randbytes(rng.choice((10, 5000, rng.randrange(150_000))))

    def open(self):
        os.makedirs(self.path, exist_ok=True)

    def step(self):
        self.count += 1
        data = self.content(self.count)
        new = self.path + "/new"
        self.fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self.write(data[:3000])
            self.write(data[3000:])
            if self.count % 2:
                self.fsync()
            self.call = "close"
            self.close()
        except OSError:
            if self.fd >= 0:
                try:
                    self.close()
                except OSError:
                    pass
            raise
        self.call = "other"
        name = f"{self.rng.randrange(self.NAMES)}"
        before = self.may_be.get(name, [0])
        self.may_be[name] = before + [self.count]
        os.rename(new, f"{self.path}/{name}")
        self.may_be[name] = [self.count]

    def make_exact(self):
        for name, numbers in self.may_be.items():
            if len(numbers) > 1:
                found = read_back(f"{self.path}/{name}")
                self.may_be[name] = [n for n in numbers if self.content(n) == found][:1]

    def compare(self, is_exact):
        for name, numbers in self.may_be.items():
            found = read_back(f"{self.path}/{name}")
            if all(self.content(number) != found for number in numbers):
                raise Wrong(f"files/{name} is none of {numbers}: {found and len(found)} bytes")


WRITERS = (SlotWriter, AppendWriter, FileWriter)
