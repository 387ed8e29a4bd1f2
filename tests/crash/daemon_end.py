#!/usr/bin/env python3
"""How a daemon ends, and what is in the store then.

  * SIGTERM, SIGINT and umount(8) settle everything, whatever is open or mapped; so
    does `gzipfs sync`, which many may call at once
  * a second signal hurries: what needs long goes to the logs, and nothing is lost
  * SIGKILL: whoever waits for an answer gets an error at once, and the store can
    be mounted again

GZIPFS=the program, GZIPFS_ROUNDS (1), GZIPFS_SEED.
"""
import mmap
import os
import random
import signal
import subprocess
import tempfile
import time

from crash_lib import GZIPFS, Failure, Mount, check_store, has_gone, run, wait_for

ROUNDS = int(os.environ.get("GZIPFS_ROUNDS", "1"))
SEED = int(os.environ.get("GZIPFS_SEED", str(random.randrange(1 << 30))))
CONNECTION_ERRORS = (107, 103)  # ENOTCONN, ECONNABORTED


def expect(what, is_true):
    if not is_true:
        raise Failure("not so: " + what)


def zcat(path):
    return subprocess.run(["zcat", path], stdout=subprocess.PIPE).stdout


def text_of(rng, size):
    words = [b"%x " % rng.randrange(1 << 24) for _ in range(3000)]
    text = b"".join(rng.choices(words, k=size // 5))
    return text[:size] if len(text) >= size else text_of(rng, size * 2)[:size]


class Work:
    """Files of a mount in all states, and what each should hold in the end."""

    def __init__(self, mount, rng, keeps_open):
        self.mount = mount
        self.rng = rng
        self.keeps_open = keeps_open
        self.fds = []
        self.maps = []
        self.expected = {}

    def change(self, name, data, offset, synced):
        fd = os.open(f"{self.mount.plain}/{name}", os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, data, offset)
        if synced:
            os.fsync(fd)
        self.leave(fd)
        plain = self.expected.setdefault(name, bytearray())
        plain[offset : offset + len(data)] = data

    def change_mapped(self, name, data, offset):
        fd = os.open(f"{self.mount.plain}/{name}", os.O_RDWR)
        memory = mmap.mmap(fd, 0)
        memory[offset : offset + len(data)] = data
        if self.keeps_open:
            self.maps.append(memory)
        else:
            memory.close()
        self.leave(fd)
        self.expected[name][offset : offset + len(data)] = data

    def leave(self, fd):
        if self.keeps_open:
            self.fds.append(fd)
        else:
            os.close(fd)

    def put_old(self):
        """What is settled before, and a file that somebody else has made."""
        for name in ("over", "over-synced", "mapped", "appended", "cut"):
            self.expected[name] = bytearray(text_of(self.rng, 500_000))
            with open(f"{self.mount.plain}/{name}", "wb") as file:
                file.write(self.expected[name])
        self.expected["foreign"] = bytearray(text_of(self.rng, 300_000))
        with open(self.mount.store + "/foreign.gz", "wb") as file:
            subprocess.run(["gzip", "-c"], input=self.expected["foreign"], stdout=file, check=True)

    def do(self):
        self.change("new", text_of(self.rng, 1_000_001), 0, synced=False)
        self.change("new-synced", text_of(self.rng, 300_000), 0, synced=True)
        self.change("over", b"overwritten", 100_000, synced=False)
        self.change("over-synced", b"overwritten and synced", 200_000, synced=True)
        self.change("over-synced", b"and once more, and not synced", 210_000, synced=False)
        self.change("appended", b"appended", 500_000, synced=False)
        self.change("foreign", b"overwritten", 7, synced=False)
        self.change_mapped("mapped", b"by memory", 300_000)
        os.truncate(self.mount.plain + "/cut", 70_000)
        del self.expected["cut"][70_000:]

    def check_store(self):
        for name, plain in self.expected.items():
            expect(f"{name} is settled", zcat(f"{self.mount.store}/{name}.gz") == plain)

    def let_go(self):
        maps, self.maps = self.maps, []
        fds, self.fds = self.fds, []
        for memory in maps:
            memory.close()
        for fd in fds:
            try:
                os.close(fd)
            except OSError as error:
                if error.errno not in CONNECTION_ERRORS:
                    raise


def settle_at_end(scratch, rng, end, options):
    base = tempfile.mkdtemp(dir=scratch)
    mount = Mount(base + "/store", base + "/plain", options)
    work = Work(mount, rng, keeps_open=end != "umount")
    try:
        mount.mount()
        work.put_old()
        mount.end()
        mount.mount()
        work.do()
        if end == "umount":
            subprocess.run(["umount", mount.plain], check=True)
        else:
            os.kill(mount.pid, end)
        wait_for("the daemon ends", lambda: has_gone(mount.pid))
        mount.pid = None
        expect("nothing is mounted", not os.path.ismount(mount.plain))
        check_store(mount.store, is_settled=True)
        work.check_store()
    finally:
        mount.clean_up()
        work.let_go()


def sync_while_open(scratch, rng):
    """What is open stays open. There are more who sync than threads that serve."""
    base = tempfile.mkdtemp(dir=scratch)
    mount = Mount(base + "/store", base + "/plain", "level=fast")
    work = Work(mount, rng, keeps_open=True)
    try:
        mount.mount()
        work.put_old()
        work.do()
        syncs = [subprocess.Popen([GZIPFS, "sync", mount.plain]) for _ in range(40)]
        expect("all of them sync", [sync.wait(timeout=60) for sync in syncs] == [0] * 40)
        work.check_store()
        work.let_go()
        mount.end()
        check_store(mount.store, is_settled=True)
        work.check_store()
    finally:
        mount.clean_up()


def hurry(scratch, rng):
    """The second signal comes while a large file of somebody else's is made anew."""
    base = tempfile.mkdtemp(dir=scratch)
    log = base + "/log"
    store, plain = base + "/store", base + "/plain"
    os.mkdir(store)
    os.mkdir(plain)
    big = bytearray(text_of(rng, 4 << 20) * 10)
    with open(store + "/big.gz", "wb") as file:
        subprocess.run(["gzip", "-1c"], input=big, stdout=file, check=True)
    old = bytes(big)
    mount = Mount(store, plain, "level=fast")
    daemon = subprocess.Popen([GZIPFS, store, plain, "-f", "-o", "level=12,log=" + log])
    fd = -1
    try:
        wait_for("it is mounted", lambda: os.path.ismount(plain) and os.path.exists(log) and
                 "is mounted on" in open(log).read())
        fd = os.open(plain + "/big", os.O_RDWR)
        for offset, data, synced in ((5, b"synced", True), (20 << 20, b"not synced", False),
                                     (len(big) + 100_000, b"behind the end", False)):
            os.pwrite(fd, data, offset)
            if synced:
                os.fsync(fd)
            if offset > len(big):
                big.extend(bytes(offset - len(big)))
            big[offset : offset + len(data)] = data
        new = text_of(rng, 3_000_000)
        new_fd = os.open(plain + "/new", os.O_RDWR | os.O_CREAT)
        os.write(new_fd, new)
        daemon.send_signal(signal.SIGTERM)
        wait_for("it is unmounted", lambda: not os.path.ismount(plain))
        expect("it still settles", daemon.poll() is None)
        daemon.send_signal(signal.SIGTERM)
        start = time.monotonic()
        status = daemon.wait(timeout=60)
        print(f"hurried: {time.monotonic() - start:.2f} s", flush=True)
        expect(f"the exit status {status} tells", status == 1)
        with open(log) as file:
            said = file.read()
        expect("the log tells: " + said, "in a hurry: nothing is lost" in said)
        expect("there is a log", mount.logs())
        expect("no image is left", not os.listdir(store + "/.gzipfs/image"))
        check_store(store)
        expect("the large file is the old one", zcat(store + "/big.gz") == old)
        expect("what was appended is there", zcat(store + "/new.gz") == new)
        said = mount.mount()
        expect("the next mount recovers: " + said, "recovered" in said and "lost" not in said)
        mount.end()
        check_store(store, is_settled=True)
        expect("nothing is lost", zcat(store + "/big.gz") == big)
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
        mount.clean_up()


# What may wait for an answer; a path or descriptor of a file of its own each.
BLOCKING = {
    "read": lambda path, fd: os.pread(fd, 100_000, 1_000_000),
    "write": lambda path, fd: os.pwrite(fd, b"x" * 100_000, 1_000_000),
    "fsync": lambda path, fd: os.fsync(fd),
    "stat": lambda path, fd: os.stat(path + "-unknown"),
    "open": lambda path, fd: os.open(path + "-new", os.O_RDWR | os.O_CREAT),
}


def is_blocked(pid):
    """Waits in the same place of the kernel for a while: for an answer, or a page."""
    def place():
        with open(f"/proc/{pid}/wchan") as file:
            return file.read()
    first = place()
    for _ in range(10):
        time.sleep(0.005)
        if first == "0" or place() != first:
            return False
    return True


def is_stopped(pid):
    """Every thread of it; kill(2) returns before the last of them has stopped."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as file:
            if file.read().rsplit(")", 1)[1].split()[0] not in "Tt":
                return False
    return True


def kill_blocked(scratch, rng, options):
    """The daemon is stopped while they call, so that all of them wait when it is killed."""
    base = tempfile.mkdtemp(dir=scratch)
    mount = Mount(base + "/store", base + "/plain", options)
    data = text_of(rng, 2_000_000)
    children = {}
    try:
        mount.mount()
        for name in BLOCKING:
            with open(f"{mount.plain}/{name}", "wb") as file:
                file.write(data)
        mount.end()
        mount.mount()
        os.listdir(mount.plain)
        fds = {name: os.open(f"{mount.plain}/{name}", os.O_RDWR) for name in BLOCKING}
        os.pwrite(fds["fsync"], b"unsynced", 1000)
        os.kill(mount.pid, signal.SIGSTOP)
        wait_for("the daemon is stopped", lambda: is_stopped(mount.pid))
        for name, call in BLOCKING.items():
            pid = os.fork()
            if pid == 0:
                status = 0  # no error
                try:
                    call(f"{mount.plain}/{name}", fds[name])
                except OSError as error:
                    status = error.errno
                finally:
                    os._exit(status)
            children[name] = pid
        if "nowriteback" not in options:
            del children["write"]  # waits for nobody, or does: both are right
        for name, pid in children.items():
            wait_for(name + " waits", lambda: is_blocked(pid))
        os.kill(mount.pid, signal.SIGKILL)
        start = time.monotonic()
        for name, pid in children.items():
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            children[name] = None
            expect(f"{name} ends with an error of the connection, not {status}",
                   status in CONNECTION_ERRORS)
        seconds = time.monotonic() - start
        expect(f"they waited {seconds} s", seconds < 2)
        for fd in fds.values():
            try:
                os.close(fd)
            except OSError as error:
                expect(f"close after the end: {error}", error.errno in CONNECTION_ERRORS)
        mount.kill()
        mount.free()
        mount.mount()
        for name in ("read", "stat"):
            with open(f"{mount.plain}/{name}", "rb") as file:
                expect(name + " is what it was", file.read() == data)
        mount.end()
        check_store(mount.store, is_settled=True)
    finally:
        mount.clean_up()
        for pid in filter(None, children.values()):
            os.kill(pid, signal.SIGKILL)


def test(scratch, rng):
    for _ in range(ROUNDS):
        for end in (signal.SIGTERM, signal.SIGINT, "umount"):
            for options in ("level=fast", "level=fast,nowriteback"):
                settle_at_end(scratch, rng, end, options)
        sync_while_open(scratch, rng)
        hurry(scratch, rng)
        for options in ("level=fast", "level=fast,nowriteback"):
            kill_blocked(scratch, rng, options)
    return 0


if __name__ == "__main__":
    run("end", SEED, test)
