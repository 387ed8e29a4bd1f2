#!/bin/bash
# A 100 GiB sparse file: made, stat'ed and read at random without a scan.
# SPARSE_GIB sets another size; with sanitizers it is 1 GiB.
source "$(dirname "$0")/mount_lib.bash"

gib=100
is_sanitized && gib=1
gib=${SPARSE_GIB:-$gib}
size=$((gib << 30))
mount_store
truncate -s "$size" "$plain/big" || fail "truncate"
same "size" "$size" "$(stat -c %s "$plain/big")"
echo "at the start" | dd of="$plain/big" conv=notrunc status=none || fail "write"
printf 'in the middle' | dd of="$plain/big" bs=1 seek=$((size / 2 + 12345)) conv=notrunc \
  status=none || fail "write in the middle"
printf 'end' | dd of="$plain/big" oflag=append conv=notrunc status=none || fail "append"
size=$((size + 3))
unmount_store

stored=$(stat -c %s "$store/big.gz")
echo "$gib GiB of holes take $((stored >> 20)) MiB"
[ "$stored" -le $((size / 65536 * 112 + 10000)) ] || fail "stored size $stored"

mount_store
begin=$(date +%s%N)
same "size after remount" "$size" "$(stat -c %s "$plain/big")"
took=$((($(date +%s%N) - begin) / 1000))
echo "stat after mount: $took us"
[ "$took" -le 1000000 ] || fail "stat took $took us: a scan?"
same "middle" "in the middle" \
  "$(dd if="$plain/big" bs=1 skip=$(((size - 3) / 2 + 12345)) count=13 status=none)"
same "start" "at the start" "$(head -c 12 "$plain/big")"
same "end" "end" "$(tail -c 3 "$plain/big")"
python3 - "$plain/big" <<'PYTHON' || fail "random reads"
import os, random, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(fd).st_size
rng = random.Random(7)
begin = time.time()
for _ in range(1000):
    at = rng.randrange(1 << 20, size - (1 << 20)) & ~4095
    data = os.pread(fd, 4096, at)
    assert len(data) == 4096
    if abs(at - (size - 3) // 2) > 100000:
        assert data == bytes(4096), at
print("1,000 random reads: %.0f ms" % ((time.time() - begin) * 1000))
PYTHON
unmount_store
# Decoding it all takes a second for each GiB.
if [ "$gib" -le 10 ]; then
  "$GZIPFS" check "$store/big.gz" >/dev/null || fail "check"
else
  same "middle, in the store" "in the middle" \
    "$("$GZIPFS" cat "$store/big.gz" --range $(((size - 3) / 2 + 12345)):13)"
  same "end, in the store" "end" "$("$GZIPFS" cat "$store/big.gz" --range $((size - 3)):3)"
fi
