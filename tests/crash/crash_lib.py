"""What the tests that put a real daemon under stress have in common."""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

GZIPFS = os.environ["GZIPFS"]


class Failure(Exception):
    pass


def wait_for(what, is_true, seconds=60):
    """Until is_true() is; a Failure that names `what` when it never is."""
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise Failure("never true: " + what)
        time.sleep(0.002)


def has_gone(pid):
    """Of a process that may be nobody's child. Its first thread may end before the others."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
        return state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


class Mount:
    """A store and its mount point. `options` are mount options, or none."""

    def __init__(self, store, plain, options=""):
        self.store = store
        self.plain = plain
        self.options = options
        os.makedirs(store, exist_ok=True)
        os.makedirs(plain, exist_ok=True)
        self.pid = None

    def mount(self):
        """What mounting said."""
        words = [GZIPFS, self.store, self.plain]
        if self.options:
            words += ["-o", self.options]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failure("mount: " + done.stderr)
        with open(self.store + "/.gzipfs/lock") as file:
            self.pid = int(file.read().split()[0])
        return done.stderr

    def kill(self):
        """kill -9. The mount point is still to be freed, once nobody tries to use it."""
        os.kill(self.pid, signal.SIGKILL)
        wait_for("the daemon is gone", lambda: has_gone(self.pid))
        try:
            os.statvfs(self.plain)  # not from a cache
            raise Failure("the mount answers though its daemon is dead")
        except OSError as error:
            if error.errno not in (107, 103):  # ENOTCONN, ECONNABORTED
                raise Failure(f"a dead mount answers {error}")
        self.pid = None

    def free(self):
        subprocess.run(["umount", "-l", self.plain], check=True)

    def end(self):
        done = subprocess.run([GZIPFS, "umount", self.plain], capture_output=True, text=True,
                              timeout=120)
        if done.returncode != 0 or done.stderr:
            raise Failure("umount: " + done.stderr)
        self.pid = None

    def clean_up(self):
        if self.pid and not has_gone(self.pid):
            os.kill(self.pid, signal.SIGKILL)
            wait_for("the daemon is gone", lambda: has_gone(self.pid))
        if os.path.ismount(self.plain) or not os.access(self.plain, os.F_OK):
            subprocess.run(["umount", "-l", self.plain], stderr=subprocess.DEVNULL)

    def logs(self):
        return os.listdir(self.store + "/.gzipfs/log")


def check_store(store, is_settled=False):
    """gzip takes every file; a settled store has no logs, and `gzipfs check` likes it."""
    for path, _, names in os.walk(store):
        if ".gzipfs" in path:
            continue
        for name in names:
            done = subprocess.run(["gzip", "-t", os.path.join(path, name)], capture_output=True)
            if done.returncode != 0:
                raise Failure(f"gzip -t {name}: {done.stderr.decode()}")
    if not is_settled:
        return
    left = [name for kind in ("log", "image") for name in os.listdir(f"{store}/.gzipfs/{kind}")]
    if left:
        raise Failure(f"left in .gzipfs: {left}")
    done = subprocess.run([GZIPFS, "check", store], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure("gzipfs check: " + done.stdout + done.stderr)


def run(name, seed, test):
    """Calls test(scratch, rng), which returns an exit status; ends the program with that, or
    with 77 where no mount can be had. `seed` is printed; what was made is removed."""
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    print(f"seed {seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of what cleans up
    scratch = tempfile.mkdtemp(prefix=f"gzipfs-{name}.", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        status = test(scratch, random.Random(seed))
    except Failure as failure:
        print(f"FAILED: {failure}; GZIPFS_SEED={seed} repeats it, as far as time allows")
        status = 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(status)
