"""What needs no peer: how the worker pool grows with its threads."""

import os

from bench_frame import Workload, output_of


class Pool(Workload):
    """pool: N threads of the codec pool against one, level 6, in memory."""
    name = "pool"

    def prepare(self):
        self.bench.input()
        self.threads = len(os.sched_getaffinity(0))

    def rate(self, thread_count):
        return self.bench.options.mib / output_of(
            self.bench.tool("pool_bench"), "pool", self.bench.input(), "6", str(thread_count))[0]

    def round(self, number):
        self.samples.add("one", self.rate(1))
        self.samples.add("all", self.rate(self.threads))

    def rows(self):
        return [self.samples.row(f"codec pool, {self.threads} threads", "MiB/s", "all", "one",
                                 "one thread", at_least=0.9 * self.threads)]
