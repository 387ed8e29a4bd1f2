"""What the scripts of this directory share: a mount that does not outlive them, input, times."""

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GZIPFS = os.environ.get("GZIPFS", os.path.join(TOP, "build", "gzipfs"))
KERNEL = "/usr/src/linux-source-6.1.tar.xz"


# So that what was mounted is unmounted.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def fail(sentence):
    print("FAILED: " + sentence, file=sys.stderr)
    sys.exit(1)


@contextlib.contextmanager
def scratch():
    """A directory that goes with the script; below $SCRATCH_PARENT, default /tmp."""
    directory = tempfile.mkdtemp(prefix="gzipfs-acceptance.", dir=os.environ.get("SCRATCH_PARENT"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def mounted(directory, *options):
    """Mounts directory/store on directory/plain; yields both and the daemon's number."""
    store, plain = os.path.join(directory, "store"), os.path.join(directory, "plain")
    for path in (store, plain):
        os.makedirs(path, exist_ok=True)
    subprocess.run([GZIPFS, store, plain, *options], check=True, timeout=60)
    with open(os.path.join(store, ".gzipfs", "lock"), encoding="ascii") as lock:
        pid = int(lock.readline())
    try:
        yield store, plain, pid
    finally:
        ended = subprocess.run([GZIPFS, "umount", plain], timeout=600, check=False)
        if ended.returncode != 0:
            subprocess.run(["umount", "-l", plain], check=False)
            fail("umount")


def seconds(function, *arguments):
    begin = time.monotonic()
    function(*arguments)
    return time.monotonic() - begin


def take_turns(rounds, **functions):
    """Calls them one after the other, `rounds` times; the median seconds of each, by name."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds(function))
    return {name: statistics.median(values) for name, values in times.items()}


def source_text(path, byte_count):
    """Writes so many bytes of source code to `path`: the kernel's, or what is in /usr."""
    if os.path.exists(KERNEL):
        command = f"xz -dc {KERNEL} | head -c {byte_count}"
    else:
        command = ("find /usr/include /usr/share/doc /usr/lib/python3 -type f -print0 | "
                   f"xargs -0 cat 2>/dev/null | head -c {byte_count}")
    with open(path, "wb") as file:
        subprocess.run(["sh", "-c", command], stdout=file, stderr=subprocess.DEVNULL, check=False)
    return os.path.getsize(path)


def is_valid(path):
    """Whether gzip and gzipfs find nothing wrong with a stored file."""
    return (subprocess.run(["gzip", "-t", path], check=False).returncode == 0 and
            subprocess.run([GZIPFS, "check", path], check=False,
                           stdout=subprocess.DEVNULL).returncode == 0)
