"""The filesystems that take turns: each a context manager that mounts and unmounts.

All give `path`, the directory to work in. They unmount, and end what they started,
however the block is left.
"""

import os
import resource
import shutil
import subprocess
import time

from bench_frame import NotRun

READ_AHEAD_KIB = 1024  # what gzipfs sets; passthrough_ll gets the same
MIB = 1 << 20


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def unmount(path):
    """umount(8), tried again while somebody (a desktop's indexer) looks in."""
    for _ in range(50):
        if subprocess.run(["umount", path], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        if subprocess.run(["fusermount3", "-u", path], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", path], check=False)


def set_read_ahead(path):
    """As gzipfs does for itself. False without root."""
    device = os.stat(path).st_dev
    knob = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    try:
        with open(knob, "w", encoding="ascii") as file:
            file.write(str(READ_AHEAD_KIB))
        return True
    except OSError:
        return False


def cpu_seconds_of(pid):
    """User and system time of a process so far; proc(5)."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def process_with(words):
    """The process whose arguments are these."""
    wanted = "\0".join(words).encode() + b"\0"
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as arguments:
                if arguments.read() == wanted:
                    return int(name)
        except OSError:
            continue
    raise RuntimeError(f"{words[0]} does not run")


class Gzipfs:
    """A store `directory`/store mounted on `directory`/plain."""

    def __init__(self, bench, workload, directory, options=""):
        self.bench = bench
        self.workload = workload
        self.store = os.path.join(directory, "store")
        self.path = os.path.join(directory, "plain")
        self.options = ",".join(filter(None, (bench.options.options, options)))

    def __enter__(self):
        os.makedirs(self.store, exist_ok=True)
        os.makedirs(self.path, exist_ok=True)
        log = os.path.join(self.bench.options.out, "gzipfs.log")
        options = ",".join(filter(None, (f"log={log}", self.options)))
        run(self.bench.gzipfs, self.store, self.path, "-o", options)
        with open(os.path.join(self.store, ".gzipfs", "lock"), encoding="ascii") as lock:
            self.pid = int("".join(c for c in lock.readline() if c.isdigit()))
        return self

    def __exit__(self, *_):
        try:
            self.bench.see_rss(self.workload, self.peak_rss())
        except OSError:
            self.bench.note(f"{self.workload}: the daemon did not live to the end")
        done = subprocess.run([self.bench.gzipfs, "umount", self.path], check=False)
        if done.returncode != 0:
            unmount(self.path)

    def sync(self):
        run(self.bench.gzipfs, "sync", self.path)

    def peak_rss(self):
        """Bytes, VmHWM of proc(5)."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0

    def written_bytes(self):
        """What the daemon has written to files, if they are on a disk; proc(5)."""
        with open(f"/proc/{self.pid}/io", encoding="ascii") as counters:
            for line in counters:
                if line.startswith("write_bytes:"):
                    return int(line.split()[1])
        return 0

    def cpu_seconds(self):
        return cpu_seconds_of(self.pid)


class Passthrough:
    """libfuse's passthrough_ll with the writeback cache, on `directory`/backing."""

    def __init__(self, bench, directory):
        self.program = bench.passthrough()
        self.backing = os.path.join(directory, "backing")
        self.path = os.path.join(directory, "pass")

    def __enter__(self):
        os.makedirs(self.backing, exist_ok=True)
        os.makedirs(self.path, exist_ok=True)
        # It keeps a descriptor for each file it knows, and its own session: the
        # kernel's scheduler shares out a busy machine by sessions.
        command = [self.program, "-o", f"writeback,source={self.backing}", self.path]
        subprocess.run(command, check=True, preexec_fn=self._raise_limit)
        self.pid = process_with(command)
        set_read_ahead(self.path)
        return self

    @staticmethod
    def _raise_limit():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def __exit__(self, *_):
        unmount(self.path)

    def cpu_seconds(self):
        return cpu_seconds_of(self.pid)

    def sync(self):
        run("sync", "-f", self.path)


class Btrfs:
    """btrfs on a loop device whose file is in `directory`; made at first use."""

    def __init__(self, directory, compress, mib=4096):
        self.image = os.path.join(directory, "btrfs.image")
        self.path = os.path.join(directory, "btrfs")
        self.compress = compress
        self.mib = mib

    def __enter__(self):
        if os.geteuid() != 0:
            raise NotRun("btrfs: needs root")
        if not shutil.which("mkfs.btrfs"):
            raise NotRun("btrfs: no mkfs.btrfs")
        os.makedirs(self.path, exist_ok=True)
        if not os.path.exists(self.image):
            with open(self.image, "wb") as image:
                image.truncate(self.mib * MIB)
            run("mkfs.btrfs", "-q", "-f", self.image)
        done = subprocess.run(["mount", "-t", "btrfs", "-o", f"loop,compress={self.compress}",
                               self.image, self.path], stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode != 0:
            raise NotRun(f"btrfs: {done.stderr.strip()}")
        return self

    def __exit__(self, *_):
        unmount(self.path)

    def sync(self):
        run("sync", "-f", self.path)


class Plain:
    """A directory as it is."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "directory")

    def __enter__(self):
        os.makedirs(self.path, exist_ok=True)
        return self

    def __exit__(self, *_):
        pass

    def sync(self):
        run("sync", "-f", self.path)
