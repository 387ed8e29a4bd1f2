"""What every workload of tests/bench/run shares: scratch space, input, samples, rows."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

ARCHIVE = "/usr/src/linux-source-6.1.tar.xz"


class NotRun(Exception):
    """A peer, or a whole workload, that this machine cannot run; the text says why."""


@dataclass
class Row:
    """One line of the table: ours against theirs.

    `at_least`, `at_most`: what is asked for of the ratio, or of ours where there are no
    others. `ours` and `theirs` are samples, one for each round; `reason` says why a side
    has none.
    """
    what: str
    peer: str
    unit: str
    ours: list
    theirs: list = field(default_factory=list)
    at_least: float = None
    at_most: float = None
    reason: str = ""

    def median(self, side):
        samples = self.ours if side == "ours" else self.theirs
        return statistics.median(samples) if samples else None

    def ratios(self):
        """Of each round by itself: what else the machine did in it falls on both."""
        return [a / b for a, b in zip(self.ours, self.theirs) if b]

    def value(self):
        """What is compared with the figure asked for."""
        if not self.peer:
            return self.median("ours")
        ratios = self.ratios()
        return statistics.median(ratios) if ratios else None

    def holds(self):
        value = self.value()
        if value is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most)


class Samples:
    """Samples by name, and why there are none."""

    def __init__(self):
        self._values = {}
        self._reasons = {}

    def add(self, name, value):
        self._values.setdefault(name, []).append(value)

    def skip(self, name, reason):
        self._reasons[name] = str(reason)

    def of(self, name):
        return self._values.get(name, [])

    def row(self, what, unit, ours, theirs="", peer="", **asked):
        return Row(what, peer, unit, self.of(ours), self.of(theirs) if theirs else [],
                   reason=self._reasons.get(ours) or self._reasons.get(theirs, ""), **asked)


class Bench:
    """Directories, programs and results of one run. For a `with`."""

    def __init__(self, top, gzipfs, options):
        self.top = top
        self.gzipfs = gzipfs
        self.options = options
        self.rows = []
        self.notes = []
        self.peak_rss = {}  # bytes, by workload
        self._inputs = {}

    def __enter__(self):
        self.ram = tempfile.mkdtemp(prefix="gzipfs-bench.", dir=self.options.ram)
        self.disk = tempfile.mkdtemp(prefix="gzipfs-bench.", dir=self.options.disk)
        return self

    def __exit__(self, *_):
        for directory in (self.ram, self.disk):
            shutil.rmtree(directory, ignore_errors=True)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def add_rows(self, rows):
        self.rows.extend(rows)

    def see_rss(self, workload, byte_count):
        self.peak_rss[workload] = max(self.peak_rss.get(workload, 0), byte_count)

    def tool(self, name):
        """A program built from tests/bench."""
        return os.path.join(self.top, "build", name)

    def require_disk(self):
        """NotRun where --disk is a directory in RAM."""
        with open("/proc/mounts", encoding="utf-8") as mounts:
            table = [line.split() for line in mounts]
        place = os.path.realpath(self.disk)
        best = max((entry for entry in table if (place + "/").startswith(
            entry[1].rstrip("/") + "/")), key=lambda entry: len(entry[1]))
        if best[2] in ("tmpfs", "ramfs"):
            raise NotRun(f"{self.disk} is not on a disk (--disk)")

    def passthrough(self):
        made = subprocess.run([os.path.join(self.top, "tests", "bench", "passthrough")],
                              stdout=subprocess.PIPE, text=True, check=False)
        if made.returncode != 0:
            raise NotRun("passthrough_ll does not compile")
        return made.stdout.strip()

    def input(self):
        """Text in RAM: the first --mib MiB of the kernel's source as tar."""
        byte_count = self.options.mib << 20
        return self._make("input", f"input-{self.options.mib}",
                          f"{self._text_command()} | head -c {byte_count}")

    def source_tar(self, file_count):
        """A tar file in RAM of the first `file_count` files of the kernel's source."""
        if not os.path.exists(ARCHIVE):
            raise NotRun(f"{ARCHIVE} is not there")
        stem = f"files-{file_count}"
        return self._make(stem, stem, self._tar_command(file_count))

    def _text_command(self):
        if os.path.exists(ARCHIVE):
            return f"xz -dc {ARCHIVE}"
        self.note(f"{ARCHIVE} is not there: the input is text of this machine")
        return ("find /usr/include /usr/share/doc /usr/lib/python3 -type f -print0 | "
                "xargs -0 cat 2>/dev/null")

    def _tar_command(self, file_count):
        tree = os.path.join(self.disk, "tree")
        # Enough of the archive for so many files, unpacked and packed once more.
        return (f"mkdir {tree} && xz -dc {ARCHIVE} | head -c 400M | "
                f"tar -C {tree} -xf - 2>/dev/null; cd {tree} && "
                f"find . -type f | sort | head -{file_count} | tar -cf - -T - ; "
                f"cd / && rm -rf {tree}")

    def _make(self, name, cached_name, command):
        """Runs `command` once for its output; kept in build/bench for the next run."""
        if name in self._inputs:
            return self._inputs[name]
        kept = os.path.join(self.options.out, cached_name)
        if not os.path.exists(kept):
            subprocess.run(f"({command}) >'{kept}.new' && mv '{kept}.new' '{kept}'", shell=True,
                           check=True)
        path = os.path.join(self.ram, name)
        shutil.copyfile(kept, path)
        self._inputs[name] = path
        return path


def seconds_of(command, to=subprocess.DEVNULL):
    """Wall seconds of `command`, which must succeed; its output goes to the file `to`."""
    begin = time.monotonic()
    subprocess.run(command, stdout=to, check=True)
    return time.monotonic() - begin


def output_of(*command):
    """The numbers that one of our workload programs prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    return [float(word) for word in done.stdout.split()]


class Workload:
    """One workload: prepare, `rounds` times round, clean_up, rows."""
    name = ""

    def __init__(self, bench):
        self.bench = bench
        self.samples = Samples()

    def prepare(self):
        pass

    def round(self, number):
        raise NotImplementedError

    def clean_up(self):
        pass

    def rows(self):
        raise NotImplementedError

    def try_side(self, name, measure):
        """Adds what `measure` returns to `name`, or why it cannot be measured."""
        try:
            self.samples.add(name, measure())
        except NotRun as reason:
            self.samples.skip(name, reason)
