#!/bin/bash
# check --repair and --deep: files with real damage of each kind, held against
# gzip, zcat and a mount.
source "$(dirname "$0")/mount_lib.bash"
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

snapshot() { find "$@" -type f -exec sha256sum {} + -exec stat -c '%n %s %y %Z %i' {} + | sort; }
check() {  # STATUS ARGUMENT...: check exits so and says nothing on stderr
  local status=$1
  shift
  expect "$status" "" "$GZIPFS" check "$@"
}
says() { grep -Eq -- "$1" stdout || fail "check says not '$1' but: $(cat stdout)"; }
flip() {  # FILE OFFSET [MASK]
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf %x $((byte ^ ${3:-1})))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
offset_of() { "$GZIPFS" ls "$1" | awk -v p="$2" '$1 == p && $6 == "data" { print $2 }'; }
# reads FILE PLAIN BEGIN END: of the mounted FILE exactly plain bytes BEGIN to
# END - 1 cannot be read, block by block; all others are those of PLAIN.
reads() {
  python3 - "$@" <<'PYTHON' || fail "reading $1"
import errno, os, sys
path, plain_path, begin, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
plain = open(plain_path, "rb").read()
fd = os.open(path, os.O_RDONLY)
assert os.fstat(fd).st_size == len(plain), (os.fstat(fd).st_size, len(plain))
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
for at in range(0, len(plain), 65536):
    want = plain[at:at + 65536]
    lost = begin <= at < end
    try:
        got = os.pread(fd, len(want), at)
        assert not lost, "plain offset %d can be read" % at
        assert got == want, "other bytes at %d" % at
    except OSError as error:
        assert lost and error.errno == errno.EIO, (at, error)
PYTHON
}

sample text 3000000
block=65536
"$GZIPFS" pack -o good.gz text || fail pack
good_size=$(stat -c %s good.gz)
first_tail=$("$GZIPFS" ls good.gz | awk '$6 == "tail" { print $2; exit }')

# A store with damage of every kind; compressed as pack does it, so that offsets are the same.
mount_store -o level=6
cp text "$plain/torn" && cp text "$plain/tail" && cp text "$plain/data"
cp text "$plain/header" && cp text "$plain/isize" && cp text "$plain/whole"
cp text "$plain/lost" && cp text "$plain/garbage" && cp text "$plain/both"
unmount_store
cd "$store" || exit 1
head -c $((first_tail - 1000)) ../good.gz >torn.gz
flip tail.gz $((good_size - 2 * 28 + 5))
flip data.gz $(($(offset_of data.gz $((7 * block))) + 500))
header=$(offset_of header.gz $((9 * block)))
flip header.gz "$header" 255
isize=$(($(offset_of isize.gz $((12 * block))) - 4))
flip isize.gz $isize 2
echo garbage >>garbage.gz
# Damage to data, and no tail.
flip both.gz $(($(offset_of both.gz $((3 * block))) + 500))
flip both.gz $((good_size - 2 * 28 + 5))
# A header is damaged and no index leads past it.
flip lost.gz "$(offset_of lost.gz $((20 * block)))" 255
truncate -s "$first_tail" lost.gz
gzip -c ../text | head -c 20000 >foreign.gz
cat ../good.gz ../good.gz >joined.gz
echo "not gzip" >raw.gz
echo x >collide && gzip -c collide >collide.gz
touch -d '2001-02-03 04:05:06' -- *.gz
chmod 640 torn.gz
cd ..

# Without --repair nothing is touched, whatever is asked for.
before=$(snapshot "$store")
for options in "" --deep; do
  # shellcheck disable=SC2086
  check 4 $options "$store"
  same "the store after check $options" "$before" "$(snapshot "$store")"
done
says "^$store/data.gz: plain bytes 458752 to 524287, member at file offset [0-9]+: "
says "^$store/header.gz: plain bytes $((9 * block)) to $((10 * block - 1)), member at file offset $header: "
says "^$store/isize.gz: plain bytes $((11 * block)) to $((12 * block - 1)), member at file offset "
says "^$store/both.gz: plain bytes $((3 * block)) to $((4 * block - 1)), "
says "^$store/both.gz: the tail at its end is damaged"
says "^$store/torn.gz: .* bytes from file offset .*ends inside a gzip member$"
says "^$store/tail.gz: the tail at its end is damaged"
says "^$store/garbage.gz: 8 bytes from file offset $good_size on"
says "^$store/lost.gz: .* from file offset .* on"
says "^$store/lost.gz: behind that: 25 readable members at file offsets [0-9]+ to $((first_tail - 1)), $((3000000 - 21 * block)) plain bytes$"
says "^$store/foreign.gz: .*ends inside a gzip member$"
says "^$store/joined.gz: note: joined from several files"
says "^$store/raw.gz: note: is not gzip; shown as it is$"
says "^$store/collide.gz: note: collide is there, too; a mount shows collide.gz under its full name$"
says "^13 files checked, .*: 9 damaged, 3 notes; 1 more not kept as gzip"

# The mount answers EIO for what is lost, and all else is right.
mount_store -o ro
reads "$plain/data" text $((7 * block)) $((8 * block))
reads "$plain/header" text $((9 * block)) $((10 * block))
reads "$plain/isize" text $((11 * block)) $((12 * block))
reads "$plain/both" text $((3 * block)) $((4 * block))
reads "$plain/whole" text 0 0
unmount_store

# Repaired is what can be.
check 5 --repair "$store"
for name in torn tail garbage joined; do
  says "^$store/$name.gz: repaired: "
  gzip -t "$store/$name.gz" || fail "gzip -t $name.gz"
done
says "^$store/torn.gz: repaired: .* kept as $store/.gzipfs/quarantine/torn.gz.rest; it has a right tail now$"
says "^$store/both.gz: repaired: it has a right tail now$"
says "^$store/both.gz: still: plain bytes $((3 * block)) to $((4 * block - 1)), "
says "^$store/header.gz: left as it is: its index leads past the damage"
says "^$store/lost.gz: left as it is: 25 readable members are behind file offset"
says "^$store/foreign.gz: left as it is: a damaged member begins at file offset 0"
for name in tail garbage; do zcat "$store/$name.gz" | cmp - text || fail "zcat $name.gz"; done
cat text text | cmp - <(zcat "$store/joined.gz") || fail "zcat joined.gz"
head -c "$(zcat "$store/torn.gz" | wc -c)" text | cmp - <(zcat "$store/torn.gz") || fail "torn.gz"
same "the cut and the kept" "$(head -c $((first_tail - 1000)) good.gz | sha256sum)" \
  "$( (head -c $((first_tail - 1000 - $(stat -c %s "$store/.gzipfs/quarantine/torn.gz.rest"))) \
    "$store/torn.gz"; cat "$store/.gzipfs/quarantine/torn.gz.rest") | sha256sum)"
same "time and mode" "2001-02-03 640" \
  "$(stat -c '%y %a' "$store/torn.gz" | sed 's/ .* / /')"
echo garbage | cmp - "$store/.gzipfs/quarantine/garbage.gz.rest" || fail "garbage was not kept"
same "untouched files" \
  "$(echo "$before" | grep -E '(data|header|isize|lost|foreign|whole|raw|collide).gz')" \
  "$(snapshot "$store" | grep -E '(data|header|isize|lost|foreign|whole|raw|collide).gz')"
after=$(snapshot "$store" | grep -v /lock)
check 4 --repair "$store"
says "^$store: note: .gzipfs/quarantine/torn.gz.rest was put aside: what a repair cut off"
same "the store, repaired twice" "$after" \
  "$(snapshot "$store" | grep -v /lock)"
mount_store
reads "$plain/data" text $((7 * block)) $((8 * block))
reads "$plain/header" text $((9 * block)) $((10 * block))
reads "$plain/both" text $((3 * block)) $((4 * block))
reads "$plain/tail" text 0 0
echo more >>"$plain/torn" || fail "the repaired file cannot be written"

# Not beside a mount, and the mount's pid is told; nothing changes.
expect 8 "gzipfs check: the store $store is already mounted (by process $daemon_pid)" \
  "$GZIPFS" check --repair "$store"
expect 8 "gzipfs check: the store $store is already mounted (by process $daemon_pid)" \
  "$GZIPFS" check --repair "$store/tail.gz"
unmount_store

# A single file in a store, and one outside of any.
mkdir alone
head -c 100000 good.gz >alone/file.gz
cp alone/file.gz "$store/single.gz"
check 1 --repair "$store/single.gz"
says "kept as $store/.gzipfs/quarantine/single.gz.rest"
check 1 --repair alone/file.gz
says "kept as $scratch/alone/file.gz.rest"
gzip -t alone/file.gz && gzip -t "$store/single.gz" || fail "gzip -t"
same "files beside it" "file.gz file.gz.rest" "$(echo alone/* | sed 's#alone/##g')"
check 0 alone "$store/single.gz"

# Logs: one that waits for the next mount, one of a file that is gone.
mount_store
head -c 1000000 text >"$plain/changed" && head -c 1000000 text >"$plain/gone"
cp text "$plain/open" # settled
python3 - "$plain" <<'PYTHON' || fail "writing"
import os, sys
for name in ("changed", "gone"):
    fd = os.open(sys.argv[1] + "/" + name, os.O_RDWR)
    os.pwrite(fd, b"CHANGED", 500000)
    os.fsync(fd)
os.kill(int(open(sys.argv[1] + "/../store/.gzipfs/lock").read().split()[0]), 9)
PYTHON
"$GZIPFS" umount "$plain" 2>/dev/null
rm "$store/gone.gz" "$store"/{data,header,isize,lost,foreign,both}.gz
before=$(snapshot "$store")
check 4 --deep "$store"
says "^$store: note: 1 file has changes in a redo log; the next mount brings them in: changed.gz$"
says "^$store: .gzipfs/log/[0-9]+.log: orphaned log: no file has inode"
says "^$store: note: the last mount did not come to its end"
says "no file damaged, 1 damage in .gzipfs"
same "the store with logs" "$before" "$(snapshot "$store")"
check 0 "$store/changed.gz"
says "changed.gz: note: has changes in a redo log; the next mount brings them in$"
check 0 "$store/whole.gz"
same "lines about a file without a log" 1 "$(wc -l <stdout)"
check 1 --repair "$store"
says "^$store: recovered changed.gz"
says "^$store: no file has inode .* its log is kept as .gzipfs/quarantine/"
same "logs" "" "$(ls "$store/.gzipfs/log")"
zcat "$store/changed.gz" | tail -c +500001 | head -c 7 | grep -q CHANGED || fail "the log's change"
check 0 "$store"

# Beside a mount that writes nothing is called damaged.
mount_store
python3 - "$plain/busy" <<'PYTHON' &
import os, sys, time
end = time.time() + 20
with open(sys.argv[1], "wb") as file:
    while time.time() < end and not os.path.exists("stop"):
        file.write(os.urandom(300000))
        file.flush()
        time.sleep(0.03)  # so that it does not outgrow those who check it
PYTHON
writer=$!
status=0
end=$((SECONDS + 6))
for _ in $(seq 30); do
  [ $SECONDS -lt $end ] || break
  timeout 60 "$GZIPFS" check "$store" >stdout 2>stderr || { status=$? && break; }
done
touch stop
wait $writer
[ $status -eq 0 ] || fail "beside a writer: $(cat stdout stderr)"
unmount_store

# An interrupted check says so.
python3 - "$GZIPFS" good.gz <<'PYTHON' || fail "interrupted"
import signal, subprocess, sys, time
run = subprocess.Popen([sys.argv[1], "check", "-p", "1"] + [sys.argv[2]] * 20000,
                       stdout=subprocess.PIPE, text=True)
time.sleep(0.5)
run.send_signal(signal.SIGINT)
out, _ = run.communicate(timeout=60)
assert run.returncode == 32, run.returncode
assert "interrupted, of 20000 files" in out, out
PYTHON

# A configuration that is damaged is named, with what to do.
echo "{ nonsense" >"$store/.gzipfs/config.json"
expect 32 "gzipfs: $store/.gzipfs/config.json is damaged: it should be *remove the file*" \
  "$GZIPFS" "$store" "$plain"
check 4 "$store"
says "^$store: .gzipfs/config.json is damaged"

# The file ends after what its tail tells: cat goes by the members.
cat good.gz good.gz >twice.gz
python3 - good.gz lying.gz "$first_tail" <<'PYTHON'
import struct, sys, zlib
members = open(sys.argv[1], "rb").read()[:int(sys.argv[3])]
def empty(payload):
    return bytes.fromhex("1f8b0804") + payload + bytes.fromhex("06004243 02001b00 0300") + bytes(8)
def number(value):
    return struct.pack("<Q", value)[:6]
entry = struct.pack("<I", 2000000)[:3] + struct.pack("<I", len(members))[:3]
said = number(1) + number(zlib.crc32(entry)) + number(2000000)
flags = bytes([0x47, 16 | 0x20])
check = zlib.crc32(said + flags, zlib.crc32(struct.pack("<Q", len(members))))
tail = [entry, said[:6], said[6:12], said[12:], struct.pack("<I", check) + flags, b"\0\0\0\0\0\xff"]
open(sys.argv[2], "wb").write(members + b"".join(map(empty, tail)))
PYTHON
check 4 lying.gz
says "the index in its tail contradicts the members"
expect 0 "" "$GZIPFS" cat --range 2500000:1000 lying.gz
tail -c +2500001 text | head -c 1000 | cmp - stdout || fail "behind a size that lies"
expect 0 "" "$GZIPFS" stat twice.gz
grep -q "index .*joined from several files" stdout || fail "stat of joined files: $(cat stdout)"
exit 0
