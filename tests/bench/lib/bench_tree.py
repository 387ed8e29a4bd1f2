"""Many small files: a source tree is unpacked, listed and removed."""

import os
import shutil
import time

from bench_frame import Workload, seconds_of
from bench_mounts import Btrfs, Gzipfs, Passthrough
from bench_stream import PASSTHROUGH

FILE_COUNT = 15000


class Tree(Workload):
    """tree: untar of 15,000 source files; find and rm -rf of them after a fresh mount."""
    name = "tree"

    def prepare(self):
        self.tar = self.bench.source_tar(FILE_COUNT)
        self.directory = os.path.join(self.bench.ram, "tree")
        os.makedirs(self.directory)

    def unpack(self, side, name):
        with side as mounted:
            tree = os.path.join(mounted.path, "tree")
            os.makedirs(tree)
            seconds = seconds_of(["tar", "-C", tree, "-xf", self.tar])
            seconds += self.seconds_of_sync(mounted)
        self.samples.add(name + " untar", FILE_COUNT / seconds)

    @staticmethod
    def seconds_of_sync(mounted):
        begin = time.monotonic()
        mounted.sync()
        return time.monotonic() - begin

    def list_and_remove(self, side, name):
        with side as mounted:
            tree = os.path.join(mounted.path, "tree")
            self.samples.add(name + " find", FILE_COUNT / seconds_of(
                ["find", tree, "-printf", "%s\n"]))
        with side as mounted:
            tree = os.path.join(mounted.path, "tree")
            self.samples.add(name + " rm", FILE_COUNT / seconds_of(["rm", "-rf", tree]))

    def turn(self, side, name):
        self.unpack(side, name)
        self.list_and_remove(side, name)
        return 0

    def round(self, number):
        self.turn(Gzipfs(self.bench, self.name, self.directory), "ours")
        self.try_side("btrfs", lambda: self.turn(Btrfs(self.directory, "zlib:3"), "btrfs"))
        self.try_side("pass", lambda: self.turn(
            Passthrough(self.bench, self.directory), "pass"))

    def clean_up(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def rows(self):
        row = self.samples.row
        return [row("untar and sync", "files/s", "ours untar", "btrfs untar",
                    "btrfs compress=zlib:3", at_least=1.0),
                row("untar and sync", "files/s", "ours untar", "pass untar", PASSTHROUGH),
                row("find -printf %s, fresh mount", "files/s", "ours find", "pass find",
                    PASSTHROUGH, at_least=0.7),
                row("rm -rf, fresh mount", "files/s", "ours rm", "pass rm", PASSTHROUGH,
                    at_least=0.7)]
