#!/usr/bin/env python3
"""A real mount whose daemon is killed with SIGKILL at random moments.

A writer does things to files in the mount and says over a pipe what an fsync has
acknowledged. The daemon is killed; the store is mounted again; everything that
was acknowledged must be there, nothing that was never written may be. Workloads:

  slots    512-byte slots of one file, overwritten at random, fsync after each few
  lines    lines appended to one file, fsync after each few
  files    new files, written, fsynced, some renamed over others and fsynced
  sqlite   rows in a database, in WAL and in rollback-journal mode

GZIPFS=the program, GZIPFS_KILLS=how often (20), GZIPFS_SEED. After every round
zcat must accept every file of the store once it is settled.
"""
import os
import random
import signal
import sqlite3
import struct
import threading
import time
import zlib

from crash_lib import Failure, Mount, check_store, run

KILLS = int(os.environ.get("GZIPFS_KILLS", "20"))
SEED = int(os.environ.get("GZIPFS_SEED", str(random.randrange(1 << 30))))
OPTIONS = ("dirty=4M", "dirty=4M,nowriteback", "dirty=1M")
SLOT_BYTES = 512
SLOT_COUNT = 3000


def slot_bytes(slot, counter):
    head = struct.pack("<QQ", slot, counter)
    body = (head * (SLOT_BYTES // len(head)))[: SLOT_BYTES - 4]
    return body + struct.pack("<I", zlib.crc32(body))


def line_bytes(number):
    return b"line %08d %s\n" % (number, b"x" * (number * 7 % 60))


def row_text(number):
    return "y%d " % number * (number * 13 % 90)


def file_bytes(number):
    return b"".join(line_bytes(number + i) for i in range(number % 4000))


# --- The writers: they run in a child, and `say` what is acknowledged ----------


def write_slots(plain, rng, start, say):
    fd = os.open(plain + "/slots", os.O_RDWR)
    counter = start
    while True:
        batch = []
        for _ in range(rng.choice((1, 1, 1, 5, 40))):
            slot = rng.randrange(SLOT_COUNT)
            counter += 1
            say("try", slot, counter)
            os.pwrite(fd, slot_bytes(slot, counter), slot * SLOT_BYTES)
            batch.append((slot, counter))
        os.fsync(fd)
        for slot, count in batch:
            say("ok", slot, count)


def write_lines(plain, rng, start, say):
    fd = os.open(plain + "/lines", os.O_WRONLY | os.O_APPEND)
    number = start
    while True:
        for _ in range(rng.choice((1, 1, 3, 200))):
            say("try", 0, number + 1)
            os.write(fd, line_bytes(number))
            number += 1
        os.fsync(fd)
        say("ok", 0, number)


def write_files(plain, rng, start, say):
    number = start
    while True:
        number += 1
        name = f"{plain}/files/{rng.randrange(50):03d}"
        fd = os.open(f"{plain}/files/new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(fd, file_bytes(number) + b"%08d" % number)
        os.fsync(fd)
        say("try", int(name[-3:]), number)
        os.rename(f"{plain}/files/new", name)
        os.fsync(fd)
        say("ok", int(name[-3:]), number)
        os.close(fd)


def write_sqlite(plain, rng, start, say, mode):
    database = sqlite3.connect(f"{plain}/{mode}.db", timeout=30, isolation_level=None)
    database.execute(f"pragma journal_mode={mode}")
    database.execute("pragma synchronous=full")
    database.execute("pragma wal_autocheckpoint=50")  # so that kills meet checkpoints, too
    number = start
    while True:
        rows = rng.choice((1, 1, 2, 30))
        say("try", 0, number + rows)
        database.execute("begin immediate")
        for _ in range(rows):
            number += 1
            database.execute("insert into rows values(?, ?)", (number, row_text(number)))
        database.execute("commit")
        say("ok", 0, number)


# --- What must be there afterwards -----------------------------------------------


class Workload:
    """What was tried and what was acknowledged, by key."""

    def __init__(self, name):
        self.name = name
        self.tried = {}
        self.acked = {}

    def hear(self, what, key, value):
        known = self.tried if what == "try" else self.acked
        known[key] = max(value, known.get(key, 0))

    def start(self):
        return max(self.tried.values(), default=0)


class Slots(Workload):
    writer = staticmethod(write_slots)

    def prepare(self, plain):
        with open(plain + "/slots", "wb") as file:
            for slot in range(SLOT_COUNT):
                file.write(slot_bytes(slot, 0))

    def check(self, plain):
        with open(plain + "/slots", "rb") as file:
            data = file.read()
        if len(data) != SLOT_COUNT * SLOT_BYTES:
            raise Failure(f"slots has {len(data)} bytes")
        for slot in range(SLOT_COUNT):
            piece = data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
            found, counter = struct.unpack("<QQ", piece[:16])
            if found != slot or piece != slot_bytes(slot, counter):
                raise Failure(f"slot {slot} is garbage")
            if not self.acked.get(slot, 0) <= counter <= self.tried.get(slot, 0):
                raise Failure(f"slot {slot}: {self.acked.get(slot, 0)} was acknowledged, "
                              f"{counter} is there")


class Lines(Workload):
    writer = staticmethod(write_lines)

    def prepare(self, plain):
        open(plain + "/lines", "wb").close()

    def check(self, plain):
        with open(plain + "/lines", "rb") as file:
            data = file.read()
        number = 0
        at = 0
        while at < len(data):
            line = line_bytes(number)
            if data[at : at + len(line)] != line[: len(data) - at]:
                raise Failure(f"line {number} is garbage: {data[at : at + len(line)]!r}")
            at += len(line)
            number += 1
        whole = number if at == len(data) else number - 1
        if whole < self.acked.get(0, 0):
            raise Failure(f"line {self.acked[0]} was acknowledged, {whole} are there")
        if number > self.tried.get(0, 0):
            raise Failure(f"{number} lines, only {self.tried.get(0, 0)} were written")
        if at > len(data):  # its beginning was not acknowledged: away with it
            with open(plain + "/lines", "r+b") as file:
                file.truncate(at - len(line_bytes(number - 1)))
        self.tried[0] = self.acked[0] = whole


class Files(Workload):
    writer = staticmethod(write_files)

    def prepare(self, plain):
        os.mkdir(plain + "/files")

    def check(self, plain):
        for key, acked in self.acked.items():
            with open(f"{plain}/files/{key:03d}", "rb") as file:
                data = file.read()
            number = int(data[-8:] or b"0")
            if data != file_bytes(number) + b"%08d" % number:
                raise Failure(f"file {key} is garbage")
            if not acked <= number <= self.tried[key]:
                raise Failure(f"file {key}: {acked} was acknowledged, {number} is there")


class Sqlite(Workload):
    def __init__(self, mode):
        super().__init__("sqlite-" + mode)
        self.mode = mode

    def writer(self, plain, rng, start, say):
        write_sqlite(plain, rng, start, say, self.mode)

    def prepare(self, plain):
        database = sqlite3.connect(f"{plain}/{self.mode}.db")
        database.execute(f"pragma journal_mode={self.mode}")
        database.execute("create table rows(number integer primary key, text text)")
        database.commit()
        database.close()

    def check(self, plain):
        database = sqlite3.connect(f"{plain}/{self.mode}.db", timeout=30)
        answer = database.execute("pragma integrity_check").fetchall()
        if answer != [("ok",)]:
            raise Failure(f"integrity_check of {self.name}: {answer[:3]}")
        count = 0
        for number, text in database.execute("select number, text from rows order by number"):
            count += 1
            if number != count or text != row_text(number):
                raise Failure(f"{self.name}: row {number} is the {count}th, with {text[:30]!r}")
        database.close()
        if not self.acked.get(0, 0) <= count <= self.tried.get(0, 0):
            raise Failure(f"{self.name}: {self.acked.get(0, 0)} rows were acknowledged, {count} "
                          "are there")
        self.tried[0] = self.acked[0] = count


# --- A round -------------------------------------------------------------------


def write_until_killed(mount, workload, rng, root, writing):
    """The child's part; its exit status. Errors are right only once the daemon is dead."""
    try:
        workload.writer(mount.plain, rng, workload.start(),
                        lambda *words: os.write(writing, struct.pack("<B3xIQ", words[0] == "ok",
                                                                     *words[1:])))
    except (OSError, sqlite3.Error) as error:
        try:
            os.statvfs(root)  # asks the daemon
        except OSError:
            return 0
        print(f"{workload.name}: {error!r}, and the mount answers", flush=True)
    except BaseException as error:  # a child must not return
        print(f"{workload.name}: {error!r}", flush=True)
    return 1


def run_round(mount, workload, rng):
    reading, writing = os.pipe()
    root = os.open(mount.plain, os.O_RDONLY)
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(write_until_killed(mount, workload, rng, root, writing))
    os.close(root)
    os.close(writing)
    said = bytearray()  # messages of 16 bytes, the first of which says whether it is one
    has_ack = threading.Event()

    def listen():
        while piece := os.read(reading, 1 << 16):
            said.extend(piece)
            if not has_ack.is_set() and any(said[::16]):
                has_ack.set()
    listener = threading.Thread(target=listen)
    listener.start()
    # Some are killed before anything was acknowledged, most are not.
    if rng.random() < 0.7:
        has_ack.wait(20)
    time.sleep(rng.choice((0.01, 0.05, 0.1, 0.3)) * rng.random())
    mount.kill()
    listener.join()
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # SIGBUS: what sqlite has mapped is no longer there.
    if status not in (0, -signal.SIGBUS):
        raise Failure(f"the writer {workload.name} failed: {status}")
    mount.free()
    for is_ok, key, value in struct.iter_unpack("<B3xIQ", said[: len(said) // 16 * 16]):
        workload.hear("ok" if is_ok else "try", key, value)


def test(scratch, rng):
    mount = Mount(scratch + "/store", scratch + "/plain")
    try:
        return kill_often(mount, rng)
    finally:
        mount.clean_up()


def kill_often(mount, rng):
    workloads = [Slots("slots"), Lines("lines"), Files("files"), Sqlite("wal"), Sqlite("delete")]
    recovered = 0
    mount.mount()
    for workload in workloads:
        workload.prepare(mount.plain)
    os.sync()
    mount.end()
    for kill in range(KILLS):
        workload = workloads[kill % len(workloads)]
        mount.options = OPTIONS[kill // len(workloads) % len(OPTIONS)]
        mount.mount()
        run_round(mount, workload, rng)
        recovered += mount.mount().count("recovered")
        workload.check(mount.plain)
        mount.end()
        check_store(mount.store, is_settled=True)
    acked = {w.name: sum(w.acked.values()) if w.name == "slots" else
             max(w.acked.values(), default=0) for w in workloads}
    print(f"{KILLS} kills, {recovered} files recovered from their logs; acknowledged: {acked}")
    if KILLS >= 4 * len(workloads) and min(acked.values()) == 0:
        raise Failure("a workload never got an fsync through")
    return 0


if __name__ == "__main__":
    run("kill", SEED, test)
