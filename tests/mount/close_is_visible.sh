#!/bin/bash
# What was written front to back, appended or rewritten is whole in the store
# as soon as the writer's close has returned, also with little memory for
# unwritten bytes and a compressor that is slower than the writer.
source "$(dirname "$0")/mount_lib.bash"

megabytes=64
is_sanitized && megabytes=4
python3 - "$scratch/input" "$megabytes" <<'PYTHON' || fail "making the input"
import random, sys
rng = random.Random(5)
words = [bytes(rng.choices(b"abcdefghij", k=rng.randrange(2, 9))) for _ in range(2000)]
with open(sys.argv[1], "wb") as file:
    while file.tell() < int(sys.argv[2]) << 20:
        file.write(b" ".join(rng.choices(words, k=20000)) + b"\n")
PYTHON

for options in level=9,dirty=16M level=6 level=9,dirty=2M,nowriteback,threads=1; do
  mount_store -o "$options"
  # Another file keeps memory busy meanwhile.
  (for i in {1..50}; do dd if=/dev/urandom of="$plain/other" bs=4k count=1 seek=$((i * 77)) \
    conv=notrunc status=none; done) &
  cp "$scratch/input" "$plain/file" || fail "cp, $options"
  zcat "$store/file.gz" | cmp - "$scratch/input" || fail "after cp, $options"
  cat "$scratch/input" >"$plain/file" || fail "rewriting, $options"
  zcat "$store/file.gz" | cmp - "$scratch/input" || fail "after rewriting, $options"
  head -c 3000000 "$scratch/input" >>"$plain/file" || fail "appending, $options"
  zcat "$store/file.gz" | cmp - <(cat "$scratch/input"; head -c 3000000 "$scratch/input") ||
    fail "after appending, $options"
  wait
  rm "$plain/file" "$plain/other"
  unmount_store
done
