#!/usr/bin/env python3
"""pack and unpack beside gzip: one command line, run by both in copies of one directory.

The same files have to be left, with the same contents, owners, modes and times, the
same has to come out, and the exit status has to be the same. Needs $GZIPFS.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zlib

GZIPFS = os.environ["GZIPFS"]
OLD = 981173106  # a time that no program gives to a file


def gunzip(data):
    """The plain bytes of all members; `data` itself where it is no gzip."""
    plain = b""
    rest = data
    while rest[:2] == b"\x1f\x8b":
        member = zlib.decompressobj(wbits=31)
        try:
            plain += member.decompress(rest)
        except zlib.error:
            break
        if not member.eof:
            break
        rest = member.unused_data.lstrip(b"\0")
    return plain if rest is not data else data


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def make(directory):
    """The files that all command lines are tried on."""
    text = b"".join(b"%d lines like this %d\n" % (i, i * i) for i in range(9000))
    zipped = subprocess.run(["gzip", "-nc"], input=text, stdout=subprocess.PIPE, check=True).stdout
    os.makedirs(directory + "/dir/sub")
    for name, data in {
            "a": text, "b": text[::-1], "-odd": text, "both": text, "empty": b"", "setuid": text,
            "g.gz": zipped, "h.gz": zipped, "both.gz": zipped, "other.zz": zipped,
            "arch.tgz": zipped, "garbage.gz": zipped + b"garbage\n",
            "padded.gz": zipped + bytes(999), "cut.gz": zipped[:len(zipped) // 2],
            "false.gz": b"no gzip\n", "nothing.gz": b"", "dir/one": text, "dir/sub/two": text,
            "dir/three.gz": zipped}.items():
        write(os.path.join(directory, name), data)
    os.chmod(directory + "/a", 0o640)
    os.chmod(directory + "/setuid", 0o4755)
    if os.geteuid() == 0:
        os.chown(directory + "/a", 12, 34)
        os.chown(directory + "/g.gz", 12, 34)
    for name in ("a", "g.gz"):
        os.utime(os.path.join(directory, name), (OLD, OLD))
    os.link(directory + "/b", directory + "/linked")
    os.symlink("a", directory + "/symlink")
    os.mkfifo(directory + "/fifo")


def snapshot(directory):
    """Everything that can be told of what is in it."""
    found = {}
    for parent, directories, names in os.walk(directory):
        for name in directories + names:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            told = [stat.S_IFMT(status.st_mode)]
            if stat.S_ISLNK(status.st_mode):
                told.append(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    told.append(zlib.crc32(gunzip(file.read())))
                told += [stat.S_IMODE(status.st_mode), status.st_nlink, status.st_uid,
                         status.st_gid, status.st_mtime == OLD]
            found[os.path.relpath(path, directory)] = told
    return found


def run(command, directory, data):
    done = subprocess.run(command, cwd=directory, input=data, capture_output=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def listing(output):
    """Plain sizes and names of `gzip -l`: ratios and stored sizes may differ."""
    return [(line.split()[1], line.split()[-1]) for line in output.decode().splitlines()]


def compare(top, data, command, *options):
    """What differs between gzip and us, in one sentence; None when nothing does."""
    results = []
    for name, program in (("by_gzip", ["gzip"]), ("by_us", [GZIPFS, command])):
        directory = os.path.join(top, name)
        shutil.rmtree(directory, ignore_errors=True)
        make(directory)
        status, output, said = run([*program, *options], directory, data)
        shown = listing(output) if "-l" in options else gunzip(output)
        results.append((status, bool(said), shown, snapshot(directory), said))
    theirs, ours = results
    for what, one, other in zip(("status", "says something", "output"), theirs, ours):
        if one != other:
            return f"{what}: {str(one)[:90]} of gzip, {str(other)[:90]}: {theirs[4]} {ours[4]}"
    for name in sorted({*theirs[3], *ours[3]}):
        if theirs[3].get(name) != ours[3].get(name):
            return f"{name}: {theirs[3].get(name)} of gzip, {ours[3].get(name)}"
    return None


COMPRESSING = """
a | -9 a b | -1v a | -k a | -kv a empty | -f b | b | -k b | -c a b linked symlink | symlink |
-f symlink | -c symlink | nothere | a nothere empty | -q nothere a | dir | -q dir | dir a | -r dir |
-rk dir a | g.gz | -q g.gz | -f g.gz | -S .zz a other.zz | both | -f both | fifo | setuid |
-kf setuid | | - | -c | -9 -c - | -- -odd | -n a | arch.tgz | -9kv a
"""
DECOMPRESSING = """
-d g.gz | -dk g.gz h.gz | -dc g.gz h.gz | -d | -d - | -d g | -d a | -d nothere | -d both.gz |
-df both.gz | -dc both.gz cut.gz | -d arch.tgz | -d -S .zz other.zz | -d garbage.gz |
-dq garbage.gz | -d padded.gz | -d cut.gz | -d g.gz cut.gz | -d false.gz | -dcf false.gz |
-d nothing.gz | -d dir | -dr dir | -dv g.gz | -t g.gz h.gz | -t cut.gz | -t a | -t garbage.gz |
-tv g.gz | -l g.gz | -l g.gz h.gz | -l cut.gz | -l nothere
"""


def main():
    text = b"what comes by standard input\n" * 1000
    zipped = subprocess.run(["gzip", "-c"], input=text, stdout=subprocess.PIPE, check=True).stdout
    lines = [("pack", text, line.split()) for line in COMPRESSING.split("|")]
    lines += [("unpack", zipped, line.split()) for line in DECOMPRESSING.split("|")]
    lines += [("pack", zipped, line.split()) for line in ("-d", "-dc g.gz h.gz", "-d g.gz")]
    lines += [("unpack", text, ["-d"]), ("unpack", text, ["-dcf"]), ("pack", b"", []),
              ("unpack", b"", ["-d"])]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="gzipfs-test.") as top:
        for command, data, options in lines:
            difference = compare(top, data, command, *options)
            if difference is not None:
                wrong += 1
                print(f"FAILED: {command} {' '.join(options)}: {difference}", file=sys.stderr)
    print(f"{len(lines)} command lines, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
