#!/usr/bin/env python3
"""What other programs make of the files in a store.

Every kind of file the store can hold is made twice, through a mount and by
`gzipfs pack`, and read by gzip, pigz, igzip, libdeflate-gunzip, Python, bgzip
(whole, in parallel, and by ranges after `bgzip -r`) and gzipfs itself. A VCF
written as plain text is queried with tabix and bcftools in the store, and a
store of large blocks is read by every tool that knows gzip alone.

GZIPFS names the program. GZIPFS_BIG=1 makes the big file 1 GiB instead of 96 MiB.
"""
import gzip
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile

GZIPFS = os.environ.get("GZIPFS", "build/gzipfs")
BIG = (1 << 30) if os.environ.get("GZIPFS_BIG") == "1" else (96 << 20)
TOOLS = ("gzip", "zcat", "pigz", "igzip", "libdeflate-gunzip", "bgzip", "tabix", "bcftools",
         "samtools", "htsfile")
GZIP_READERS = {
    "zcat": "zcat {}",
    "gzip -dc": "gzip -dc < {}",
    "pigz -dc": "pigz -dc {}",
    "igzip -dc": "igzip -dc {}",
    "libdeflate-gunzip -c": "libdeflate-gunzip -c {}",
    "gzipfs cat": GZIPFS + " cat {}",
    "gzipfs unpack": GZIPFS + " unpack < {}",
}
BGZF_READERS = {
    "bgzip -dc": "bgzip -dc {}",
    "bgzip -dc -@4": "bgzip -dc -@4 {}",
}
checks = 0


def fail(text):
    raise SystemExit("FAILED: " + text)


def expect(condition, text):
    global checks
    checks += 1
    if not condition:
        fail(text)


def run(command, **options):
    done = subprocess.run(command, shell=isinstance(command, str), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace").strip()


def digest_of(command):
    """Exit status and digest of what a command prints, however much that is."""
    process = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    digest = hashlib.sha256()
    while chunk := process.stdout.read(1 << 20):
        digest.update(chunk)
    error = process.stderr.read().decode(errors="replace").strip()
    return process.wait(), digest.hexdigest(), error


def digest_of_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def text_bytes(count, seed=1):
    rng = random.Random(seed)
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randrange(2, 11)))
             for _ in range(3000)]
    pieces, size = [], 0
    while size < count:
        line = b" ".join(rng.choices(words, k=12)) + b"\n"
        pieces.append(line)
        size += len(line)
    return b"".join(pieces)[:count]


def write_whole(path, data):
    with open(path, "wb") as file:
        file.write(data)


def make_big(path):
    """Text that repeats only after more than a block."""
    piece = text_bytes(5_000_011, seed=5)
    with open(path, "wb") as file:
        size = 0
        while size < BIG:
            size += file.write(piece[:BIG - size])


def make_sparse(path):
    with open(path, "wb") as file:
        file.truncate(40 << 20)
        for at in (0, 65535, 1 << 20, (20 << 20) + 77, (40 << 20) - 3):
            file.seek(at)
            file.write(b"xyz")


def make_appended(path):
    write_whole(path, b"")
    for i in range(50):
        with open(path, "ab") as file:
            file.write(text_bytes(1 + i * 997 % 20000, seed=i))


def make_overwritten(path):
    write_whole(path, text_bytes(3_000_000, seed=9))
    with open(path, "r+b") as file:
        for at, data in ((0, b"HEAD"), (65530, b"over the border of a block"), (1_500_000, bytes(70000))):
            file.seek(at)
            file.write(data)


KINDS = {
    "empty": lambda path: write_whole(path, b""),
    "one": lambda path: write_whole(path, b"x"),
    "n65535": lambda path: write_whole(path, text_bytes(65535)),
    "n65536": lambda path: write_whole(path, text_bytes(65536)),
    "n65537": lambda path: write_whole(path, text_bytes(65537)),
    "noise": lambda path: write_whole(path, random.Random(3).randbytes(1_000_003)),
    "zeros": lambda path: write_whole(path, bytes(10 << 20)),
    "sparse": make_sparse,
    "big": make_big,
    "appended": make_appended,
    "overwritten": make_overwritten,
}


def check_readers(stored, plain, readers):
    expected = digest_of_file(plain)
    for name, command in readers.items():
        status, digest, error = digest_of(command.format(stored))
        expect(status == 0, "%s of %s: exit %d: %s" % (name, stored, status, error))
        expect(digest == expected, "%s of %s gives other bytes" % (name, stored))
        expect(not error, "%s of %s complains: %s" % (name, stored, error))
    status, _, error = run("gzip -t " + stored)
    expect(status == 0 and not error, "gzip -t %s: %s" % (stored, error))
    digest = hashlib.sha256()
    with gzip.open(stored) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    expect(digest.hexdigest() == expected, "Python's gzip of %s gives other bytes" % stored)
    status, _, error = run([GZIPFS, "check", stored])
    expect(status == 0, "gzipfs check %s: %s" % (stored, error))


def check_ranges(stored, plain):
    """bgzip -t accepts the file, -r makes an index of it, -b reads with that."""
    size = os.path.getsize(plain)
    status, _, error = run(["bgzip", "-t", stored])
    expect(status == 0 and not error, "bgzip -t %s: %s" % (stored, error))
    status, _, error = run(["bgzip", "-r", stored])
    expect(status == 0, "bgzip -r %s: %s" % (stored, error))
    rng = random.Random(size)
    places = {0, 65535, 65536, max(size - 10, 0)} | {rng.randrange(size + 1) for _ in range(8)}
    with open(plain, "rb") as file:
        for at in sorted(place for place in places if place < size):
            count = rng.choice((1, 100, 70000))
            file.seek(at)
            expected = file.read(count)
            status, got, error = run(["bgzip", "-b", str(at), "-s", str(len(expected)), stored])
            expect(status == 0 and got == expected,
                   "bgzip -b %d -s %d %s: exit %d %s" % (at, len(expected), stored, status, error))
            status, got, error = run([GZIPFS, "cat", stored, "--range", "%d:%d" % (at, count)])
            expect(status == 0 and got == expected, "gzipfs cat --range %d of %s" % (at, stored))
    os.unlink(stored + ".gzi")
    status, kind, error = run(["htsfile", stored])
    expect(status == 0 and (b"BGZF" in kind or size == 0),
           "htsfile %s: %s %s" % (stored, kind.decode(), error))


def vcf_text():
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=1,length=9000000>",
             "##contig=<ID=2,length=9000000>",
             '##INFO=<ID=N,Number=1,Type=Integer,Description="Number">',
             "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for chromosome in (1, 2):
        for i in range(20000):
            lines.append("%d\t%d\trs%d\tA\tG\t50\tPASS\tN=%d" % (chromosome, 100 + i * 400, i, i))
    return "\n".join(lines) + "\n"


def check_vcf(store, plain):
    text = vcf_text()
    with open(os.path.join(plain, "calls.vcf"), "w") as file:
        file.write(text)
    stored = os.path.join(store, "calls.vcf.gz")
    status, _, error = run(["tabix", "-p", "vcf", stored])
    expect(status == 0, "tabix -p vcf: " + error)
    records = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    for chromosome, begin, end in (("1", 1, 500), ("2", 4000000, 4100000), ("1", 8000000, 8000100),
                                   ("2", 7999000, 9000000)):
        region = "%s:%d-%d" % (chromosome, begin, end)
        expected = "".join("\t".join(r) + "\n" for r in records
                           if r[0] == chromosome and begin <= int(r[1]) <= end)
        status, got, error = run(["tabix", stored, region])
        expect(status == 0 and got.decode() == expected, "tabix %s: %s" % (region, error))
        status, got, error = run(["bcftools", "view", "-H", stored, region])
        expect(status == 0 and got.decode() == expected, "bcftools view %s: %s" % (region, error))
    sam = ["@HD\tVN:1.6\tSO:coordinate", "@SQ\tSN:1\tLN:9000000"]
    sam += ["r%d\t0\t1\t%d\t60\t10M\t*\t0\t0\tACGTACGTAC\t*" % (i, 1 + i * 50) for i in range(20000)]
    with open(os.path.join(plain, "reads.sam"), "w") as file:
        file.write("\n".join(sam) + "\n")
    stored = os.path.join(store, "reads.sam.gz")
    status, _, error = run(["samtools", "index", stored])
    expect(status == 0, "samtools index: " + error)
    status, got, error = run(["samtools", "view", "-c", stored, "1:500001-600000"])
    expect(status == 0 and got.strip() == b"2000", "samtools view: %s %s" % (got, error))


class Mount:
    """A store mounted for a `with` block, unmounted whatever happens."""

    def __init__(self, scratch, name, options=""):
        self.store = os.path.join(scratch, name + "-store")
        self.plain = os.path.join(scratch, name + "-plain")
        self.options = ["-o", options] if options else []

    def __enter__(self):
        os.makedirs(self.store, exist_ok=True)
        os.makedirs(self.plain, exist_ok=True)
        status, _, error = run([GZIPFS, self.store, self.plain, *self.options])
        expect(status == 0, "mount: " + error)
        return self

    def __exit__(self, *_):
        status, _, error = run(["timeout", "120", GZIPFS, "umount", self.plain])
        if status != 0:
            self.abandon()
        expect(status == 0, "umount: " + error)

    def abandon(self):
        """Takes away a mount that does not answer, and ends its daemon."""
        run(["umount", "-l", self.plain])
        try:
            with open(os.path.join(self.store, ".gzipfs", "lock")) as file:
                pid = int(file.read().split()[0])
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                if self.store.encode() in file.read():
                    os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError, IndexError):
            pass  # it has gone by itself


def check_profile(scratch, name, options, is_bgzf):
    reference = os.path.join(scratch, "reference")
    readers = dict(GZIP_READERS, **(BGZF_READERS if is_bgzf else {}))
    with Mount(scratch, name, options) as mount:
        for kind, make in KINDS.items():
            make(os.path.join(mount.plain, kind))
        if is_bgzf:
            check_vcf(mount.store, mount.plain)
    for kind in KINDS:
        stored = os.path.join(mount.store, kind + ".gz")
        check_readers(stored, os.path.join(reference, kind), readers)
        if is_bgzf:
            check_ranges(stored, os.path.join(reference, kind))
    print("%s: through the mount, %d checks so far" % (name, checks), flush=True)
    block = [] if is_bgzf else ["--block-size", "1M"]
    for kind in KINDS:
        if kind == "big" and not is_bgzf:
            continue
        packed = os.path.join(scratch, kind + ".packed.gz")
        source = os.path.join(reference, kind)
        status, _, error = run([GZIPFS, "pack", "--level", "fast", *block, "-o", packed, source])
        expect(status == 0, "pack of %s: %s" % (kind, error))
        check_readers(packed, source, readers)
        if is_bgzf:
            check_ranges(packed, source)
        os.unlink(packed)
    print("%s: packed, %d checks so far" % (name, checks), flush=True)


def main():
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        fail("not installed: %s (tools/setup test)" % ", ".join(missing))
    if not os.path.exists("/dev/fuse"):
        print("skipped: no /dev/fuse")
        return 77
    scratch = tempfile.mkdtemp(prefix="gzipfs-interop.")
    try:
        reference = os.path.join(scratch, "reference")
        os.mkdir(reference)
        for kind, make in KINDS.items():
            make(os.path.join(reference, kind))
        check_profile(scratch, "bgzf", "", is_bgzf=True)
        check_profile(scratch, "large", "block_size=1M,level=1", is_bgzf=False)
        print("%d checks passed" % checks)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
