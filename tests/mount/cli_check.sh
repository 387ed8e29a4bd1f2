#!/bin/bash
# check, stat and ls: what they find in good, damaged and foreign files.
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

mkdir -p tree/sub/deep tree/.gzipfs
bytes=20000000 mib=19.1
is_sanitized && bytes=5000000 mib=4.77
sample text $bytes
"$GZIPFS" pack -o tree/ours.gz text || fail pack
head -c 300000 text >small
for i in $(seq 40); do "$GZIPFS" pack -o "tree/sub/$i.gz" small || fail pack; done
gzip -c small >tree/sub/deep/foreign.gz
"$GZIPFS" pack </dev/null >tree/empty.gz
"$GZIPFS" pack -b 512K -o tree/large.gz text
echo raw >tree/raw
echo "no gzip at all" >tree/.gzipfs/private.gz

# A good store: status 0, a summary and nothing else, and nothing changes.
before=$(find tree -type f -exec stat -c '%n %s %y %Z' {} + | sort)
for threads in 1 2 8; do
  expect 0 "" "$GZIPFS" check -p $threads tree
  same "summary lines" 1 "$(wc -l <stdout)"
  grep -q "^44 files checked, .*: no damage; 1 more not kept as gzip, not checked$" stdout ||
    fail "summary: $(cat stdout)"
done
same "the store" "$before" "$(find tree -type f -exec stat -c '%n %s %y %Z' {} + | sort)"
if has script; then
  script -qec "'$GZIPFS' check tree tree tree tree" /dev/null >terminal || fail "on a terminal"
  grep -q "no damage" terminal || fail "on a terminal: $(cat terminal)"
fi

# Damage: each kind is one line that names file and place.
damage() {  # NAME OFFSET: one byte of a copy of ours.gz changed
  cp tree/ours.gz "$1"
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
check_says() {  # PATTERN FILE
  expect 4 "" "$GZIPFS" check "$2"
  same "lines" 2 "$(wc -l <stdout)"
  # shellcheck disable=SC2053
  [[ $(head -n 1 stdout) == $1 ]] || fail "check $2 says '$(head -n 1 stdout)', not '$1'"
}
size=$(stat -c %s tree/ours.gz)
member=$("$GZIPFS" ls tree/ours.gz | awk '$1 == 65536 * 7 { print $2 }')
damage flip.gz $((member + 500))
check_says "flip.gz: plain bytes 458752 to 524287, member at file offset $member: *" flip.gz
damage crc.gz $(($("$GZIPFS" ls tree/ours.gz | awk '$1 == 65536 * 8 { print $2 }') - 8))
check_says "crc.gz: plain bytes 458752 to 524287, member at file offset $member: CRC32 mismatch" crc.gz
damage mark.gz $((size - 2 * 28 + 5))
check_says "mark.gz: the tail at its end is damaged or another file's*" mark.gz
damage entry.gz $((size - 8 * 28 + 5))
check_says "entry.gz: the index in its tail contradicts the members" entry.gz
head -c $((size / 2)) tree/ours.gz >cut.gz
check_says "cut.gz: * bytes from file offset * on (plain offset *): ends inside a gzip member" cut.gz
(cat tree/ours.gz; echo garbage) >garbage.gz
check_says "garbage.gz: 8 bytes from file offset $size on (plain offset $bytes): not in gzip*" \
  garbage.gz
check_says "small: not in gzip format" small
gzip -c small | head -c 20000 >foreigncut.gz
check_says "foreigncut.gz: *ends inside a gzip member" foreigncut.gz

# What is no damage is a note.
check_notes() {  # PATTERN FILE
  expect 0 "" "$GZIPFS" check "$2"
  same "lines" 2 "$(wc -l <stdout)"
  # shellcheck disable=SC2053
  [[ $(head -n 1 stdout) == $1 ]] || fail "check $2 says '$(head -n 1 stdout)', not '$1'"
  grep -q "^1 file checked, .*: no damage, 1 note$" stdout || fail "summary: $(cat stdout)"
}
: >zero.gz
check_notes "zero.gz: note: empty, not even an end-of-file marker*" zero.gz
for first in tree/ours.gz tree/empty.gz tree/sub/1.gz tree/sub/deep/foreign.gz; do
  for second in tree/ours.gz tree/sub/1.gz tree/large.gz; do
    cat "$first" "$second" >joined.gz
    check_notes "joined.gz: note: joined from several files, *" joined.gz
    grep -q "the last of them from file offset $(stat -c %s "$first") on" stdout ||
      fail "where it was joined: $(head -n 1 stdout)"
  done
done
cat tree/ours.gz flip.gz >joined.gz
check_says "joined.gz: plain bytes $((bytes + 458752)) to $((bytes + 524287)), *" joined.gz
cat tree/ours.gz mark.gz >joined.gz
check_says "joined.gz: the tail at its end is damaged or another file's*" joined.gz

# Statuses add up as fsck's do.
expect 8 "gzipfs check: nothere: No such file or directory" "$GZIPFS" check nothere
expect 12 "gzipfs check: nothere: No such file or directory" "$GZIPFS" check flip.gz nothere tree
grep -q "^45 files checked, .*: 1 damaged" stdout || fail "summary: $(tail -n 1 stdout)"
mkfifo fifo
expect 8 "" "$GZIPFS" check fifo
expect 8 "gzipfs check: cannot write to standard output: *" sh -c "'$GZIPFS' check tree >/dev/full"

# stat: sizes are exact, and whose file it is.
stat_says() { grep -Eq "^  $1 +$2" stdout || fail "stat: no '$1 $2' in $(cat stdout)"; }
expect 0 "" "$GZIPFS" stat tree/ours.gz
stat_says "plain size" "$bytes bytes \($mib MiB\)"
stat_says "stored size" "$size bytes"
stat_says "block size" "65536 bytes \(64 KiB\)"
stat_says profile bgzf
stat_says writer gzipfs
stat_says tail valid
stat_says index "agrees with the members"
expect 0 "" "$GZIPFS" stat tree/large.gz
stat_says profile large
stat_says "block size" "524288 bytes"
expect 0 "" "$GZIPFS" stat tree/sub/deep/foreign.gz tree/empty.gz
stat_says "plain size" "300000 bytes"
stat_says profile foreign
stat_says "plain size" "0 bytes"
if has bgzip; then
  bgzip -c small >b.gz
  expect 0 "" "$GZIPFS" stat b.gz
  stat_says writer "bgzip"
fi
expect 1 "" "$GZIPFS" stat entry.gz
stat_says index BAD
expect 1 "" "$GZIPFS" stat cut.gz
stat_says DAMAGE ".* ends inside a gzip member"
expect 1 "gzipfs stat: small: not in gzip format" "$GZIPFS" stat small
expect 1 "gzipfs stat: fifo: not a regular file" "$GZIPFS" stat fifo

# ls: the members join without a gap and say what zlib computes.
python3 - "$GZIPFS" <<'PYTHON' || fail "ls"
import subprocess, sys, zlib
text = open("text", "rb").read()
for path in ("tree/ours.gz", "tree/large.gz"):
    raw = open(path, "rb").read()
    lines = subprocess.run([sys.argv[1], "ls", path], capture_output=True, text=True,
                           check=True).stdout.splitlines()[1:]
    plain = stored = 0
    for line in lines:
        plain_offset, file_offset, plain_bytes, member_bytes = map(int, line.split()[:4])
        crc, kind = line.split()[4:]
        assert (plain_offset, file_offset) == (plain, stored), line
        block = zlib.decompress(raw[stored:stored + member_bytes], 31)
        assert block == text[plain:plain + plain_bytes], line
        assert int(crc, 16) == zlib.crc32(block), line
        assert kind == "data" if plain_bytes else kind in ("tail", "eof"), line
        plain += plain_bytes
        stored += member_bytes
    assert (plain, stored) == (len(text), len(raw))
    assert lines[-1].endswith("eof")
PYTHON
expect 0 "" "$GZIPFS" ls tree/sub/deep/foreign.gz
grep -q " 300000 .* foreign$" stdout || fail "ls of a foreign file"
expect 1 "gzipfs ls: cut.gz: file offset *: ends inside a gzip member" "$GZIPFS" ls cut.gz
exit 0
