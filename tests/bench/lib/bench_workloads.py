"""All workloads by name, in the order of the table."""

from bench_alone import Pool
from bench_small_io import Download, Durable, Latency, RandomRead
from bench_stream import DiskWrite, Read, SmallWrite, Write
from bench_tree import Tree

WORKLOADS = {workload.name: workload for workload in (
    Write, DiskWrite, Read, SmallWrite, RandomRead, Durable, Tree, Download, Pool, Latency)}
