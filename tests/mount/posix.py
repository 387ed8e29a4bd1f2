#!/usr/bin/env python3
"""The rules of POSIX, as Linux has them: a mount against a plain directory beside it.

    posix.py MOUNT REFERENCE writeback|nowriteback [WORD...]

Carries out the cases of posix_*.py in both directories, each in a process of its own, and compares
the answers and the attributes afterwards. Prints a line for each difference and exits 1 if there
was one. With WORDs only the cases of these names. Needs root, and a mount with the options
allow_other, suid and dev.
"""
import collections
import multiprocessing
import os
import re
import sys
import time

import posix_acls
import posix_attrs
import posix_lasting
import posix_names
import posix_open
from posix_calls import LIBC
from posix_side import Side

DEADLINE_SECONDS = int(os.environ.get("GZIPFS_POSIX_SECONDS", "120"))
MOST_PRINTED = 100
PR_SET_CHILD_SUBREAPER = 36
CASES = (posix_names.CASES + posix_attrs.CASES + posix_acls.CASES +
         posix_open.CASES + posix_lasting.CASES)  # in this order

# Lines that are no failure, and why; what follows in the same part is not compared.
KNOWN = [
    # An exchange of a file, which is "x.gz" in the store, with anything else, which keeps its
    # name there, would take two renames.
    r"rename\(.*, 2\) -> EINVAL, on the plain directory ok$",
    # Whether the set-group-id bit goes with an ACL is for each filesystem to say: tmpfs drops it
    # of owners outside the group, ext4 and FUSE do not.
    r"(setacl\('ann', ''\)|removeacl\('ann',\)) -> (lacks|has  ) .* [46]775 ",
]
# Without the writeback cache the kernel asks the same for chown(-1, -1) of a regular file as
# before a write, when set-id bits may have to go. It is taken for the latter.
KNOWN_WITHOUT_WRITEBACK = [r"chown\(.*-1, -1\) -> (lacks|has  ) .*: regular",
                           r"chown\(.*-1, -1\) -> ok, on the plain directory EPERM",
                           # The change time moves once more when the last bytes reach the store.
                           r"rename\('it', 'new'\) -> (lacks|has  ) .* 1 bytes .* ctime"]


class Difference(Exception):
    pass


def carry_out(top, wanted, pipe):
    """Runs the cases below `top`; tells the parent what is under way and what was found."""
    os.umask(0)

    class ToldSide(Side):
        def fresh(self, title, directory=None):
            pipe.send(("begun", title))
            return super().fresh(title, directory)

    side = ToldSide(top, lambda title, notes: pipe.send((title, notes)))
    for case in CASES:
        if not wanted or case.__name__ in wanted:
            case(side)
    side.finish(side.directory)  # which stays: to be seen after unmounting
    pipe.send(None)


class Runner:
    """The process that works on one side."""

    def __init__(self, name, top, wanted):
        self.name, self.doing = name, "nothing"
        self.pipe, its_end = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=carry_out, args=(top, wanted, its_end))
        self.process.start()
        its_end.close()

    def next(self, deadline):
        """The title and notes of its next part, or None after the last one."""
        while True:
            if not self.pipe.poll(max(0, deadline - time.monotonic())):
                raise Difference("%s: still at '%s' after %d s" %
                                 (self.name, self.doing, DEADLINE_SECONDS))
            try:
                told = self.pipe.recv()
            except EOFError:
                raise Difference("%s: ended during '%s'" % (self.name, self.doing)) from None
            if told is None or told[0] != "begun":
                return told
            self.doing = told[1]


def differences(mount, reference):
    """One line for each difference between the notes of a part."""
    for (what, answer, seen), (_, expected, expected_seen) in zip(mount, reference):
        if answer != expected:
            yield "%s -> %s, on the plain directory %s" % (what, answer, expected)
        for here in sorted(set(seen) | set(expected_seen)):
            if here not in seen:
                yield "%s -> lacks %s" % (what, here)
            elif here not in expected_seen:
                yield "%s -> has   %s" % (what, here)
    if len(mount) != len(reference):
        yield "%d calls, on the plain directory %d" % (len(mount), len(reference))


def compare(runners, deadline):
    """Prints what differs; returns how many parts, calls and differences there are."""
    counts = collections.Counter()
    while True:
        mount, reference = (runner.next(deadline) for runner in runners)
        if mount is None or reference is None or mount[0] != reference[0]:
            if mount is not reference:
                raise Difference("one side did more than the other: '%s' and '%s'" %
                                 tuple(runner.doing for runner in runners))
            return counts
        counts["parts"] += 1
        counts["calls"] += len(reference[1])
        for line in differences(mount[1], reference[1]):
            if any(re.search(known, line) for known in KNOWN):
                counts["known differences"] += 1
                break
            counts["differences"] += 1
            if counts["differences"] <= MOST_PRINTED:
                print("%s: %s" % (mount[0], line), flush=True)


def wait_for_orphans():
    """The processes that runners left behind are at work in the mount until they are gone."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def main():
    began = time.monotonic()
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    mount, reference, caching, *wanted = sys.argv[1:]
    if caching == "nowriteback":
        KNOWN.extend(KNOWN_WITHOUT_WRITEBACK)
    os.chdir("/")
    runners = [Runner("the mount", mount, wanted), Runner("the plain directory", reference, wanted)]
    try:
        counts = compare(runners, began + DEADLINE_SECONDS)
    except Difference as difference:
        print(difference)
        failed = True
    else:
        print(", ".join("%d %s" % (counts[word], word) for word in
                        ("parts", "calls", "known differences", "differences")) +
              ", %.1f s" % (time.monotonic() - began))
        failed = counts["differences"] > 0
    for runner in runners:
        runner.process.kill()
        runner.process.join()
    wait_for_orphans()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
