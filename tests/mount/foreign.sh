#!/bin/bash
# Files that other programs compressed: their sizes, their bytes from any offset,
# what is kept of them, and what damage does.
source "$(dirname "$0")/mount_lib.bash"
has() { command -v "$1" >/dev/null; }
cd "$scratch" || exit 1

# Text that repeats little.
"${PYTHON:-python3}" - >text <<'END'
import random, sys
random.seed(4)
words = [bytes(random.choices(b"abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9)))
         for _ in range(3000)]
for _ in range(3):
    sys.stdout.buffer.write(b" ".join(random.choices(words, k=200000)))
END
head -c 1500000 text >part
: >nothing

# NAME: a stored file; what zcat makes of it is what the mount has to show.
gzip -c text >"$store/plain.gz"
gzip -1 <text >"$store/fast.gz"
gzip -c part >"$store/named.gz"  # has FNAME
has pigz && pigz -p 2 -c text >"$store/pigz.gz"
has pigz && pigz -i -p 2 -c text >"$store/independent.gz"
has bgzip && bgzip -c text >"$store/bgzip.gz"
has igzip && igzip -0 -c text >"$store/igzip.gz"
gzip -c nothing >"$store/empty.gz"
(gzip -c part; gzip -1 -c text; gzip -c nothing; gzip -c part) >"$store/joined.gz"
"$GZIPFS" pack <part >ours.gz || fail pack
(cat ours.gz; gzip -c text; cat ours.gz) >"$store/mixed.gz"
(gzip -c text; head -c 5000 /dev/zero) >"$store/zeros.gz"
(gzip -c text; echo "and then this") >"$store/garbage.gz"
run_bytes=40000000
is_sanitized && run_bytes=10000000
head -c $run_bytes /dev/zero | gzip -9 >"$store/run.gz"
"${PYTHON:-python3}" - part >"$store/header.gz" <<'END'
import sys, zlib, struct
plain = open(sys.argv[1], "rb").read()
header = b"\x1f\x8b\x08\x1e" + struct.pack("<IBB", 1, 0, 3)  # FHCRC, FEXTRA, FNAME, FCOMMENT
header += struct.pack("<H", 300) + b"ab" + struct.pack("<H", 296) + bytes(296)
header += b"a name\0" + b"a comment\0"
header += struct.pack("<H", zlib.crc32(header) & 0xffff)
body = zlib.compressobj(6, zlib.DEFLATED, -15)
sys.stdout.buffer.write(header + body.compress(plain) + body.flush() +
                        struct.pack("<II", zlib.crc32(plain), len(plain)))
END
"${PYTHON:-python3}" - part >"$store/nowisize.gz" <<'END'
import gzip, sys
# What stands where ISIZE would be is the last member's: a single byte's.
sys.stdout.buffer.write(gzip.compress(open(sys.argv[1], "rb").read()) + gzip.compress(b"x"))
END
before=$(cd "$store" && find . -type f -name '*.gz' -exec stat -c '%n %i %s %y' {} + | sort)
sums=$(cd "$store" && sha256sum ./*.gz)

# Every byte, and pieces from anywhere, once decoded and once by what was kept.
cat >compare.py <<'END'
import gzip, os, random, subprocess, sys
store, plain = sys.argv[1:3]
bad = 0
for name in sorted(os.listdir(store)):
    if not name.endswith(".gz"):
        continue
    expected = subprocess.run(["gzip", "-dc", os.path.join(store, name)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    path = os.path.join(plain, name[:-3])
    size = os.stat(path).st_size
    if size != len(expected):
        print(f"{name}: {size} bytes, not {len(expected)}")
        bad += 1
        continue
    fd = os.open(path, os.O_RDONLY)
    rng = random.Random(name)
    for _ in range(60):
        at = rng.randrange(size + 1)
        count = rng.choice((1, 4096, 300000))
        if os.pread(fd, count, at) != expected[at:at + count]:
            print(f"{name}: other bytes at {at}")
            bad += 1
            break
    with open(path, "rb") as file:
        if file.read() != expected:
            print(f"{name}: other bytes")
            bad += 1
    os.close(fd)
sys.exit(bad != 0)
END
log=$scratch/log
rounds=(decoded kept "kept, read-only" "without a cache")
is_sanitized && rounds=(decoded kept)
for round in "${rounds[@]}"; do
  options=log=$log
  [ "$round" = "kept, read-only" ] && options+=,ro
  [ "$round" = "without a cache" ] && options+=,cache=64K
  mount_store -o "$options"
  timeout 250 "${PYTHON:-python3}" compare.py "$store" "$plain" || { cat "$log"; fail "$round"; }
  unmount_store
done
kept=$(find "$store/.gzipfs/index" -name '*.idx' | wc -l)
[ "$kept" -ge 8 ] || fail "only $kept indexes are kept"
grep -q "garbage.gz.*then" "$log" || fail "no warning about garbage: $(cat "$log")"
same "the files" "$before" \
  "$(cd "$store" && find . -type f -name '*.gz' -exec stat -c '%n %i %s %y' {} + | sort)"
same "their bytes" "$sums" "$(cd "$store" && sha256sum ./*.gz)"

# gzipfs index: all of it ahead, what is there is skipped; mounted or not.
rm -r "$store/.gzipfs/index"
"$GZIPFS" index "$store" >out || fail "index: $(cat out)"
grep -q "^$kept files indexed, .*; 0 had an index" out || fail "index: $(cat out), not $kept"
"$GZIPFS" index -p 3 "$store" >out || fail "index again: $(cat out)"
grep -q "^0 files indexed; $kept had an index" out || fail "index again: $(cat out)"
rm "$(find "$store/.gzipfs/index" -name '*.idx' | head -n 1)"
mount_store -o "log=$log"
"$GZIPFS" index "$plain" >out || fail "index of a mount: $(cat out)"
grep -q "^1 file indexed, .*; $((kept - 1)) had an index" out || fail "index: $(cat out)"
cmp -s text "$plain/plain" || fail "after index"
if has script; then
  rm -r "$store/.gzipfs/index"
  mkdir "$store/.gzipfs/index"
  script -qec "'$GZIPFS' index '$store'" /dev/null >terminal || fail "index on a terminal"
  grep -q "files indexed" terminal || fail "index on a terminal: $(cat terminal)"
fi
"$GZIPFS" check "$store" >out 2>/dev/null
grep -q "idx" out && fail "check looks at indexes: $(cat out)"

# A write converts the file, and what was kept of it counts no more.
printf hello | dd of="$plain/plain" bs=1 seek=2500000 conv=notrunc status=none || fail "a write"
cp text changed
printf hello | dd of=changed bs=1 seek=2500000 conv=notrunc status=none
cmp changed "$plain/plain" || fail "after a write"
"$GZIPFS" sync "$plain" || fail sync
gzip -dc "$store/plain.gz" | cmp - changed || fail "in the store"
cmp changed "$plain/plain" || fail "after sync"

# One that is cut off, and one damaged inside: readable up to there, EIO then.
size=$(stat -c %s "$store/fast.gz")
head -c $((size / 2)) "$store/fast.gz" >"$store/cut.gz"
cp "$store/fast.gz" "$store/bad.gz"
"${PYTHON:-python3}" -c 'import random, sys
sys.stdout.buffer.write(random.Random(1).randbytes(20000))' |
  dd of="$store/bad.gz" bs=1 seek=$((size / 2)) conv=notrunc status=none
for name in cut bad; do
  cat "$plain/$name" >got 2>errors && fail "$name reads without an error"
  grep -q "Input/output error" errors || fail "$name: $(cat errors)"
  [ "$(stat -c %s got)" -gt 1000000 ] || fail "$name: only $(stat -c %s got) bytes"
  cmp -n "$(stat -c %s got)" got text || fail "$name: other bytes"
  "$GZIPFS" check "$store/$name.gz" >out 2>/dev/null && fail "check of $name"
  grep -q "$name.gz: .*offset" out || fail "check of $name: $(cat out)"
done

# A member whose CRC32 alone is wrong: nobody knows which of its bytes are, so all are EIO.
first_bytes=$(stat -c %s "$store/fast.gz")
cat "$store/fast.gz" "$store/fast.gz" >"$store/crc.gz"
printf '\0\0\0\0' | dd of="$store/crc.gz" bs=1 seek=$((2 * first_bytes - 8)) conv=notrunc status=none
text_bytes=$(stat -c %s text)
same "size" $((2 * text_bytes)) "$(stat -c %s "$plain/crc")"
page_end=$((text_bytes / 4096 * 4096))  # the kernel reads whole pages
head -c "$page_end" "$plain/crc" | cmp -n "$page_end" - text || fail "before the wrong CRC32"
for at in 0 $((text_bytes / 2)) $((text_bytes - 1)); do
  dd if="$plain/crc" bs=1 count=1 skip=$((text_bytes + at)) >got 2>errors && fail "byte $at is read"
  grep -q "Input/output error" errors || fail "a wrong CRC32: $(cat errors)"
done
"$GZIPFS" check "$store/crc.gz" >out 2>/dev/null && fail "check of a wrong CRC32"
grep -q "crc.gz: plain bytes $text_bytes to .*, member at file offset $first_bytes: CRC32" out ||
  fail "check of a wrong CRC32: $(cat out)"
unmount_store
