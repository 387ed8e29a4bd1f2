#!/usr/bin/env python3
"""Small changes all over a file in a mount.

    memory.py make FILE      writes 128 MiB of text
    memory.py change FILE    overwrites, syncs and reads pages of it, in eight threads
"""
import os
import random
import sys
import threading

FILE_MIB = 128
THREADS = 8
ROUNDS = 2000
PAGE = 4096


def words(rng, byte_count):
    vocabulary = [bytes(rng.choices(b"etaoinshrdlu", k=rng.randrange(2, 9))) for _ in range(2000)]
    text = b" ".join(rng.choices(vocabulary, k=byte_count // 3))
    return text[:byte_count]


def make(path):
    text = words(random.Random(1), 1 << 20)
    with open(path, "wb") as file:
        for i in range(FILE_MIB):
            at = i * 4099
            file.write(text[at:] + text[:at])


def change(path):
    text = words(random.Random(2), 1 << 20)
    page_count = os.path.getsize(path) // PAGE
    errors = []

    def work(number):
        rng = random.Random(number)
        try:
            fd = os.open(path, os.O_RDWR)
            for i in range(ROUNDS):
                begin = rng.randrange(len(text) - PAGE)
                os.pwrite(fd, text[begin:begin + PAGE], rng.randrange(page_count) * PAGE)
                if i % 4 == 0:
                    os.fsync(fd)
                if i % 4 == 1:
                    os.pread(fd, PAGE, rng.randrange(page_count) * PAGE)
            os.close(fd)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if errors:
        sys.exit("memory.py: %s" % errors[0])


if __name__ == "__main__":
    {"make": make, "change": change}[sys.argv[1]](sys.argv[2])
