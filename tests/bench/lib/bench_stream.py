"""A large file written from front to back and read again."""

import os
import shutil

from bench_frame import Workload, output_of, seconds_of
from bench_mounts import Btrfs, Gzipfs, Passthrough, Plain

CHUNK = 1 << 20
BTRFS = "btrfs compress=zlib:1"
PASSTHROUGH = "passthrough_ll"


class Sequential(Workload):
    """Frame of those that write the input to a new file, in RAM."""

    def write_to(self, side, chunk_bytes=CHUNK):
        """MiB/s of a new file with fsync and close. The old one goes beforehand."""
        path = os.path.join(side.path, "data")
        if os.path.exists(path):
            os.unlink(path)
            side.sync()
        return self.measure(side, "write", path, self.bench.input(), str(chunk_bytes))

    def measure(self, side, *words):
        """MiB/s of a workload; what it costs the processors goes to the sample "... cpu"."""
        has_daemon = hasattr(side, "cpu_seconds")
        before = side.cpu_seconds() if has_daemon else 0
        seconds, cpu_seconds = output_of(self.bench.tool("io_bench"), *words)
        if has_daemon:
            cpu_seconds += side.cpu_seconds() - before
            self.samples.add(type(side).__name__ + " cpu",
                             cpu_seconds * 1024 / self.bench.options.mib)
        return self.rate(seconds)

    def rate(self, seconds):
        return self.bench.options.mib / seconds

    def cpu_row(self, what):
        """Of daemon and program together: what counts when all cores are busy."""
        return self.samples.row(what + ": processor time", "s/GiB", "Gzipfs cpu",
                                "Passthrough cpu", PASSTHROUGH)

    def write_mounted(self, side, chunk_bytes=CHUNK):
        with side as mounted:
            return self.write_to(mounted, chunk_bytes)


class Level6(Gzipfs):
    """Counted by itself."""


class Write(Sequential):
    """write: 1 MiB at a time and fsync, against pigz, btrfs and passthrough_ll."""
    name = "write"

    def prepare(self):
        self.bench.input()

    def round(self, number):
        ram = self.bench.ram
        threads = str(len(os.sched_getaffinity(0)))
        packed = os.path.join(ram, "pigz.gz")
        with open(packed, "wb") as to:
            self.samples.add("pigz", self.rate(seconds_of(
                ["pigz", "-6", "-p", threads, "-c", self.bench.input()], to)))
        with Gzipfs(self.bench, self.name, ram) as ours:
            self.samples.add("ours", self.write_to(ours))
            stored = os.path.join(ours.store, "data.gz")
            self.samples.add("stored", os.path.getsize(stored) / (self.bench.options.mib << 20))
        self.try_side("btrfs", lambda: self.write_mounted(Btrfs(ram, "zlib:1")))
        self.try_side("pass", lambda: self.write_mounted(Passthrough(self.bench, ram)))
        self.samples.add("level6", self.write_mounted(
            Level6(self.bench, self.name, ram, "level=6")))
        self.samples.add("alone", self.rate(output_of(
            self.bench.tool("pool_bench"), "alone", self.bench.input(), "6", threads)[0]))

    def rows(self):
        row = self.samples.row
        what = "write and fsync"
        return [row(what, "MiB/s", "ours", "pigz", "pigz -6", at_least=5),
                row(what, "MiB/s", "ours", "btrfs", BTRFS, at_least=4),
                row(what, "MiB/s", "ours", "pass", PASSTHROUGH, at_least=0.7),
                row(what + ", level=6", "MiB/s", "level6", "alone", "libdeflate 6 in memory",
                    at_least=0.9),
                self.cpu_row(what),
                row(what + ", level=6: processor time", "s/GiB", "Level6 cpu"),
                row(what + ": stored bytes of plain ones", "", "stored")]


class SmallWrite(Sequential):
    """small-write: 512 bytes at a time."""
    name = "small-write"

    def prepare(self):
        self.bench.input()

    def round(self, number):
        ram = self.bench.ram
        self.samples.add("ours", self.write_mounted(Gzipfs(self.bench, self.name, ram), 512))
        self.try_side("pass", lambda: self.write_mounted(Passthrough(self.bench, ram), 512))

    def rows(self):
        what = "write of 512 bytes each"
        return [self.samples.row(what, "MiB/s", "ours", "pass", PASSTHROUGH, at_least=0.8),
                self.cpu_row(what)]


class DiskWrite(Sequential):
    """disk: as write, with the store on a real disk, against the plain file there."""
    name = "disk"

    def prepare(self):
        self.bench.input()
        self.bench.require_disk()

    def round(self, number):
        disk = self.bench.disk
        self.samples.add("plain", self.write_mounted(Plain(disk)))
        self.samples.add("ours", self.write_mounted(Gzipfs(self.bench, self.name, disk)))

    def rows(self):
        return [self.samples.row("write and fsync, on disk", "MiB/s", "ours", "plain",
                                 "the plain file", at_least=1.6)]


class Read(Sequential):
    """read: from front to back, nothing cached, against zcat, btrfs and passthrough_ll."""
    name = "read"

    def prepare(self):
        ram = self.bench.ram
        self.packed = os.path.join(ram, "pigz.gz")
        with open(self.packed, "wb") as to:
            seconds_of(["pigz", "-6", "-c", self.bench.input()], to)
        with Gzipfs(self.bench, self.name, ram, "level=6") as ours:
            shutil.copyfile(self.bench.input(), os.path.join(ours.path, "data"))

    def read_cold(self, side):
        """MiB/s; a fresh mount knows nothing of the file."""
        with side as mounted:
            return self.measure(mounted, "read", os.path.join(mounted.path, "data"), str(CHUNK))

    def read_other(self, side):
        with side as mounted:
            path = os.path.join(mounted.path, "data")
            if not os.path.exists(path):
                shutil.copyfile(self.bench.input(), path)
                mounted.sync()
        return self.read_cold(side)

    def round(self, number):
        ram = self.bench.ram
        self.samples.add("ours", self.read_cold(Gzipfs(self.bench, self.name, ram)))
        self.samples.add("zcat", self.rate(seconds_of(["zcat", self.packed])))
        self.try_side("btrfs", lambda: self.read_other(Btrfs(ram, "zlib:1")))
        self.try_side("pass", lambda: self.read_other(Passthrough(self.bench, ram)))

    def rows(self):
        row = self.samples.row
        return [row("cold read", "MiB/s", "ours", "zcat", "zcat", at_least=4),
                row("cold read", "MiB/s", "ours", "btrfs", BTRFS, at_least=1.5),
                row("cold read", "MiB/s", "ours", "pass", PASSTHROUGH, at_least=0.85),
                self.cpu_row("cold read")]
