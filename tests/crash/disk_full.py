#!/usr/bin/env python3
"""A store on a small filesystem of its own, which is filled and freed while programs write.

Three writers, each a process, know what was acknowledged to them:

  slots    overwrites pieces in the middle of a file, fsync after each few
  append   appends to a file (O_APPEND), fsync after each few; cuts it when it is long
  files    makes new files, closes them (half of them after an fsync), renames them

In each round the disk is filled until every one of them has met ENOSPC at write,
fsync or close, and freed again. When there is no space what was acknowledged must be
read; when there is, all of them must get on, in the same mount. At the end of a round
all is compared, and every few rounds unmounted, checked and compared once more.

Then a store is unmounted, its daemon ended and mounted again on a full disk; and files
are written until write(2) says that the disk is full, after which fsync and close must
not.

GZIPFS=the program, GZIPFS_ROUNDS for each filesystem (11), GZIPFS_SEED. Exits with 77
when neither a tmpfs nor ext4 on a loop device can be mounted.
"""
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor

from crash_lib import GZIPFS, Failure, Mount, check_store, has_gone, run, wait_for
from disk_full_writers import WRITERS, Board

ROUNDS = int(os.environ.get("GZIPFS_ROUNDS", "11"))
SEED = int(os.environ.get("GZIPFS_SEED", str(random.randrange(1 << 30))))
DISK_MIB = 24
ROUNDS_A_MOUNT = 5
# With little memory a writer waits for two seconds before he is told that the disk is
# full: the eleventh round is the first of these.
OPTIONS = ("level=fast,writeback", "level=fast,nowriteback", "level=1,dirty=1M,nowriteback",
           "level=1,dirty=1M,writeback")


class SmallDisk:
    """A filesystem of DISK_MIB at `path`, and a file on it that takes up all space."""

    def __init__(self, kind, scratch):
        self.path = f"{scratch}/{kind}"
        self.ballast = self.path + "/ballast"
        self.ballast_bytes = 0
        self.image = None
        os.mkdir(self.path)
        if kind == "tmpfs":
            words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", self.path]
        else:
            # In memory, where there is such a place: its speed is not what is tested.
            parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else scratch
            fd, self.image = tempfile.mkstemp(prefix="gzipfs-full.", dir=parent)
            os.ftruncate(fd, DISK_MIB << 20)
            os.close(fd)
            image = self.image
            # Without blocks that only root may use: the daemon is root.
            words = ["sh", "-c", 'mkfs.ext4 -q -m 0 -I 256 "$0" && mount -o loop "$0" "$1"',
                     image, self.path]
        try:
            self.run(words)
        except OSError:
            self.remove_image()
            raise

    def remove_image(self):
        if self.image:
            os.unlink(self.image)

    @staticmethod
    def run(words):
        try:
            done = subprocess.run(words, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise OSError(f"{words[0]} is not there") from error
        if done.returncode != 0:
            raise OSError(f"{words[0]}: {done.stderr.strip()}")

    def fill(self):
        """Takes every block that is free now; true if there was one."""
        fd = os.open(self.ballast, os.O_WRONLY | os.O_CREAT)
        before = self.ballast_bytes
        for step in (1 << 20, 1 << 16, 1 << 12):
            try:
                while True:
                    os.posix_fallocate(fd, self.ballast_bytes, step)
                    self.ballast_bytes += step
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        os.close(fd)
        return self.ballast_bytes > before

    def free(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)
        self.ballast_bytes = 0

    def close(self):
        if subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL).returncode != 0:
            subprocess.run(["umount", "-l", self.path])
        self.remove_image()


class Crew:
    """The writers' processes."""

    def __init__(self, plain, seed):
        self.boards = [Board() for _ in WRITERS]
        self.pids = []
        for number, (kind, board) in enumerate(zip(WRITERS, self.boards)):
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                status = 1
                try:
                    kind(plain, board, random.Random(seed * 7 + number)).run()
                    status = 0
                except BaseException:  # a child must not return
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            self.pids.append(pid)

    def check_alive(self):
        for pid in self.pids:
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                self.pids.remove(pid)
                raise Failure("a writer ended")

    def wait(self, what, is_true, act=lambda: None):
        """Until is_true(board) of every board."""
        def all_true():
            self.check_alive()
            act()
            return all(map(is_true, self.boards))
        try:
            wait_for(what, all_true, 120)
        except Failure as failure:
            raise Failure(f"{failure}; {[str(board) for board in self.boards]}") from None

    def wait_more(self, what, count_of, more, act=lambda: None):
        start = {id(board): count_of(board) for board in self.boards}
        self.wait(what, lambda board: count_of(board) >= start[id(board)] + more, act)

    def pause(self):
        for board in self.boards:
            board.command = Board.PAUSE
        self.wait("all are content and pause", lambda board: board.state == Board.PAUSE)

    def resume(self):
        for board in self.boards:
            board.command = Board.RUN

    def end(self):
        for pid in self.pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.pids = []


def fill_and_free(disk, mount, rng):
    """The rounds; what was met, by writer."""
    mount.mount()
    crew = Crew(mount.plain, rng.randrange(1 << 30))
    try:
        for number in range(ROUNDS):
            crew.wait_more("everybody gets on", lambda board: board.done, 3)
            crew.wait_more("everybody meets a full disk", lambda board: board.full, 2, disk.fill)
            disk.free()
            crew.wait_more("everybody gets on once there is space", lambda board: board.done, 3)
            crew.pause()
            if number % ROUNDS_A_MOUNT == ROUNDS_A_MOUNT - 1 or number == ROUNDS - 1:
                mount.end()
                check_store(mount.store, is_settled=True)
                mount.options = OPTIONS[(number // ROUNDS_A_MOUNT + 1) % len(OPTIONS)]
                mount.mount()
            crew.resume()
        crew.pause()
        mount.end()
        check_store(mount.store, is_settled=True)
        return [str(board) for board in crew.boards]
    finally:
        crew.end()


def expect(what, is_true):
    if not is_true:
        raise Failure("not so: " + what)


def end_when_full(disk, scratch, rng):
    """Unmounting, ending and mounting while what is not settled cannot be."""
    log = f"{scratch}/log-{os.path.basename(disk.path)}"
    mount = Mount(disk.path + "/store2", scratch + "/plain2", "nowriteback,log=" + log)
    try:
        mount.mount()
        path = mount.plain + "/file"
        data = bytearray(rng.randbytes(5 << 20))
        with open(path, "wb") as file:
            file.write(data)
        mount.end()
        mount.mount()
        acked = rng.randbytes(5000)
        fd = os.open(path, os.O_RDWR)
        os.pwrite(fd, acked, 100_000)
        os.fsync(fd)
        data[100_000:105_000] = acked
        unsynced = rng.randbytes(300_000)
        os.pwrite(fd, unsynced, 1_000_000)
        while disk.fill():
            pass
        os.close(fd)
        newest = bytes(data[:1_000_000] + unsynced + data[1_300_000:])
        done = subprocess.run([GZIPFS, "umount", mount.plain], capture_output=True, text=True,
                              timeout=60)
        expect(f"umount says so: {done}", done.returncode == 1 and
               "cannot be settled: No space left on device; it stays mounted" in done.stderr)
        expect("it is mounted", os.path.ismount(mount.plain))
        expect("the log is kept", mount.logs())
        with open(path, "rb") as file:
            expect("the newest is read", file.read() == newest)
        os.kill(mount.pid, 15)
        wait_for("the daemon ends", lambda: has_gone(mount.pid))
        with open(log) as file:
            expect("its log says so", "NOT settled: No space left on device" in file.read())
        expect("the log is kept in the end", mount.logs())
        said = mount.mount()  # still full
        expect("mounting says so: " + said, "was not settled when it was unmounted" in said)
        with open(path, "rb") as file:
            found = file.read()
        for piece in (slice(0, 1_000_000), slice(1_300_000, None)):
            expect("what was synced is there", found[piece] == data[piece])
        disk.free()
        mount.end()
        check_store(mount.store, is_settled=True)
        unzipped = subprocess.run(["zcat", mount.store + "/file.gz"], stdout=subprocess.PIPE)
        expect("the same once there was space", unzipped.stdout == found)
    finally:
        mount.clean_up()
        disk.free()


def write_until_full(path, piece_bytes, seed):
    """What write(2) took of a new file before it said that the disk is full. close(2) and
    fsync(2) have no such answer then."""
    rng = random.Random(seed)
    taken = bytearray()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        while True:
            piece = rng.randbytes(piece_bytes)
            taken += piece[:os.write(fd, piece)]
    except OSError as error:
        expect(f"write fails for want of space, not so: {error}", error.errno == errno.ENOSPC)
    if seed % 2 == 0:
        os.fsync(fd)
    os.close(fd)
    return bytes(taken)


def tell_writers(disk, scratch, rng, options):
    """A disk that becomes full is told to those who write, not to those who close; also
    without options, because it is small."""
    mount = Mount(disk.path + "/store4", scratch + "/plain4", options)
    try:
        mount.mount()
        names = [f"{mount.plain}/{number}" for number in range(3)]
        seed = rng.randrange(1 << 30)
        with ThreadPoolExecutor(len(names)) as writers:
            written = list(writers.map(write_until_full, names, (1 << 20, 70_000, 4_096),
                                       range(seed, seed + len(names))))
        left = os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_frsize
        expect(f"the disk is full: {left} bytes are free", left < 4 << 20)
        mount.end()
        mount.mount()
        for name, data in zip(names, written):
            with open(name, "rb") as file:
                expect("what was written is there", file.read() == data)
            os.unlink(name)
        mount.end()
        check_store(mount.store, is_settled=True)
    finally:
        mount.clean_up()


def mount_when_full(disk, scratch):
    """A store that was left in order can be mounted when the disk is full, and emptied."""
    mount = Mount(disk.path + "/store3", scratch + "/plain3")
    try:
        mount.mount()
        with open(mount.plain + "/file", "wb") as file:
            file.write(bytes(1 << 20))
        mount.end()
        while disk.fill():
            pass
        mount.mount()
        os.unlink(mount.plain + "/file")
        mount.end()
        check_store(mount.store, is_settled=True)
    finally:
        mount.clean_up()
        disk.free()


def test_on(kind, scratch, rng):
    """False when there is no such filesystem to be had."""
    try:
        disk = SmallDisk(kind, scratch)
    except OSError as error:
        print(f"{kind} is left out: {error}")
        return False
    mount = Mount(disk.path + "/store", f"{scratch}/plain-{kind}", OPTIONS[0])
    try:
        print(f"{kind}: {'; '.join(fill_and_free(disk, mount, rng))}", flush=True)
        end_when_full(disk, scratch, rng)
        mount_when_full(disk, scratch)
        for options in ("", "level=fast,nowriteback"):
            tell_writers(disk, scratch, rng, options)
    finally:
        mount.clean_up()
        disk.free()
        disk.close()
    return True


def test(scratch, rng):
    tested = [kind for kind in ("tmpfs", "ext4") if test_on(kind, scratch, rng)]
    if tested:
        return 0
    print("skipped: no small filesystem can be mounted here")
    return 77


if __name__ == "__main__":
    run("full", SEED, test)
