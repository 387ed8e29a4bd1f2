"""Small pieces of a large file: random reads, durable writes, many writers."""

import os
import shutil

from bench_frame import NotRun, Workload, output_of
from bench_mounts import MIB, Btrfs, Gzipfs, Passthrough, Plain
from bench_stream import CHUNK, PASSTHROUGH


class RandomRead(Workload):
    """random-read: 4 KiB anywhere in a file that no cache holds, after a fresh mount."""
    name = "random-read"
    COUNT = 4000

    def prepare(self):
        with Gzipfs(self.bench, self.name, self.bench.ram) as ours:
            shutil.copyfile(self.bench.input(), os.path.join(ours.path, "data"))

    def read_cold(self, side, seed):
        with side as mounted:
            seconds = output_of(self.bench.tool("io_bench"), "random-read",
                                os.path.join(mounted.path, "data"), str(self.COUNT), str(seed))
            return self.COUNT / seconds[0]

    def read_btrfs(self, seed):
        side = Btrfs(self.bench.ram, "zlib")
        with side as mounted:
            if not os.path.exists(os.path.join(mounted.path, "data")):
                shutil.copyfile(self.bench.input(), os.path.join(mounted.path, "data"))
                mounted.sync()
        return self.read_cold(side, seed)

    def round(self, number):
        self.samples.add("ours", self.read_cold(
            Gzipfs(self.bench, self.name, self.bench.ram), number))
        self.try_side("btrfs", lambda: self.read_btrfs(number))

    def clean_up(self):
        for name in ("btrfs.image", "store"):
            path = os.path.join(self.bench.ram, name)
            shutil.rmtree(path) if os.path.isdir(path) else remove(path)

    def rows(self):
        return [self.samples.row("cold random reads of 4 KiB", "1/s", "ours", "btrfs",
                                 "btrfs compress=zlib", at_least=2)]


def remove(path):
    if os.path.exists(path):
        os.unlink(path)


class Durable(Workload):
    """durable: 4 KiB anywhere and fsync; 200 bytes at the end and fsync."""
    name = "durable"
    SECONDS = 3

    def prepare(self):
        self.directory = os.path.join(self.bench.ram, "durable")
        os.makedirs(self.directory)
        with Gzipfs(self.bench, self.name, self.directory) as ours:
            shutil.copyfile(self.bench.input(), os.path.join(ours.path, "data"))
        with Passthrough(self.bench, self.directory) as theirs:
            shutil.copyfile(self.bench.input(), os.path.join(theirs.path, "data"))

    def measure(self, side, what, name, seed):
        return output_of(self.bench.tool("durable_bench"), what, os.path.join(side.path, name),
                         str(self.SECONDS), str(seed))[0]

    def round(self, number):
        for what, name in (("overwrite", "data"), ("append", "lines")):
            with Passthrough(self.bench, self.directory) as theirs:
                self.samples.add(what + " theirs", self.measure(theirs, what, name, number))
            with Gzipfs(self.bench, self.name, self.directory) as ours:
                self.samples.add(what, self.measure(ours, what, name, number))
                ours.sync()

    def clean_up(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def rows(self):
        row = self.samples.row
        return [row("overwrite 4 KiB anywhere, fsync", "1/s", "overwrite", "overwrite theirs",
                    PASSTHROUGH, at_least=0.5),
                row("append 200 bytes, fsync", "1/s", "append", "append theirs", PASSTHROUGH,
                    at_least=0.5)]


class Download(Workload):
    """download: 16 processes write ranges of one preallocated file, 1 KiB at a time.

    The rate is that of a store in RAM. What is written to the store is counted once, with
    the store on a disk, because the kernel counts it nowhere else.
    """
    name = "download"
    PROCESSES = 16

    def prepare(self):
        self.bench.input()
        self.mib = 2 * self.bench.options.mib

    def measure(self, side):
        path = os.path.join(side.path, "download")
        seconds = output_of(self.bench.tool("io_bench"), "download", path, self.bench.input(),
                            str(self.mib * MIB), str(self.PROCESSES))[0]
        return self.mib / seconds

    def download(self, side):
        """MiB/s; what was downloaded goes afterwards."""
        with side as mounted:
            rate = self.measure(mounted)
            os.unlink(os.path.join(mounted.path, "download"))
        return rate

    def count_written(self):
        """Bytes written to the store, of those that are there in the end."""
        self.bench.require_disk()
        directory = os.path.join(self.bench.disk, "download")
        os.makedirs(directory)
        try:
            with Gzipfs(self.bench, self.name, directory) as ours:
                before = ours.written_bytes()
                self.measure(ours)
                ours.sync()
                written = ours.written_bytes() - before
                stored = os.path.getsize(os.path.join(ours.store, "download.gz"))
            return written / stored
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def round(self, number):
        directory = os.path.join(self.bench.ram, "download")
        os.makedirs(directory)
        try:
            self.samples.add("plain", self.download(Plain(directory)))
            self.try_side("pass", lambda: self.download(Passthrough(self.bench, directory)))
            self.samples.add("ours", self.download(Gzipfs(self.bench, self.name, directory)))
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        if number == 0:
            self.try_side("written", self.count_written)

    def rows(self):
        what = f"{self.PROCESSES} processes download one file"
        return [self.samples.row(what, "MiB/s", "ours", "plain", "a plain directory",
                                 at_least=0.7),
                self.samples.row(what, "MiB/s", "ours", "pass", PASSTHROUGH),
                self.samples.row(what + ": written bytes of stored ones", "x", "written",
                                 at_most=2.2)]


class Latency(Workload):
    """latency: stat of a sparse file of 100 GiB, and its first byte at a random place.

    Of stat the first one after a mount is told by itself: it finds the kernel, the daemon and
    the processor's caches without anything of it. So are those of passthrough_ll, with nothing
    asked for: what the kernel's two requests (the root's attributes, the name) take by themselves.
    """
    name = "latency"
    BYTES = 100 << 30
    STATS = 5

    def prepare(self):
        self.directory = os.path.join(self.bench.ram, "latency")
        os.makedirs(self.directory)
        with Gzipfs(self.bench, self.name, self.directory) as ours:
            with open(os.path.join(ours.path, "big"), "wb") as big:
                big.truncate(self.BYTES)

    def stat(self, mounted, name):
        first, others = output_of(self.bench.tool("io_bench"), "stat",
                                  os.path.join(mounted.path, "big"), str(self.STATS))
        self.samples.add(name + " first", first * 1e3)
        self.samples.add(name, others * 1e3)

    def stat_theirs(self):
        with Passthrough(self.bench, self.directory) as theirs:
            with open(os.path.join(theirs.backing, "big"), "wb") as big:
                big.truncate(self.BYTES)
            self.stat(theirs, "stat theirs")

    def round(self, number):
        with Gzipfs(self.bench, self.name, self.directory) as ours:
            self.stat(ours, "stat")
            offset = (number * 7919 + 1) * CHUNK * 11 % self.BYTES
            self.samples.add("byte", output_of(
                self.bench.tool("io_bench"), "first-byte", os.path.join(ours.path, "big"),
                str(offset))[0] * 1e3)
        try:
            self.stat_theirs()
        except NotRun as reason:
            self.samples.skip("stat theirs", reason)

    def clean_up(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def rows(self):
        row = self.samples.row
        what = "stat of a file of 100 GiB"
        return [row(what, "ms", "stat", at_most=0.1),
                row(what + ", the first after a mount", "ms", "stat first", at_most=0.1),
                row(what, "ms", "stat", "stat theirs", PASSTHROUGH),
                row(what + ", the first after a mount", "ms", "stat first", "stat theirs first",
                    PASSTHROUGH),
                row("open it and read a byte", "ms", "byte", at_most=10)]
