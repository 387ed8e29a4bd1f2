#!/bin/bash
# cat: whole files and ranges of every kind of gzip file, damaged ones too.
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

sample text 9000000
gzip -c text >gzip.gz
"$GZIPFS" pack -o ours.gz text || fail pack
"$GZIPFS" pack -b 1M -o large.gz text || fail "pack -b 1M"
head -c 3000000 text >part1
tail -c +3000001 text | head -c 3000000 >part2
tail -c +6000001 text >part3
(gzip -c part1; "$GZIPFS" pack -c part2; gzip -c part3) >mixed.gz
"$GZIPFS" pack <part1 >parts.gz && "$GZIPFS" pack <part2 >>parts.gz &&
  "$GZIPFS" pack <part3 >>parts.gz || fail "concatenation"
kinds=(gzip.gz ours.gz large.gz mixed.gz parts.gz)
if has bgzip; then bgzip -c text >bgzip.gz && kinds+=(bgzip.gz); fi

python3 - "$GZIPFS" "${kinds[@]}" <<'PYTHON' || fail "ranges"
import os, random, subprocess, sys
program, kinds = sys.argv[1], sys.argv[2:]
text = open("text", "rb").read()
seed = random.randrange(1 << 30)
print("seed", seed)
rng = random.Random(seed)
fixed = [0, 1, 65535, 65536, 65537, 2999999, 3000000, 6000000, len(text) - 1, len(text), 1 << 40]
count = 4 if {"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ) else 15
for kind in kinds:
    for offset in fixed + [rng.randrange(len(text)) for _ in range(count)]:
        length = rng.choice([0, 1, 100, 65536, 70000, 2000000])
        run = subprocess.run([program, "cat", "--range", f"{offset}:{length}", kind],
                             capture_output=True)
        assert run.returncode == 0 and not run.stderr, (kind, offset, length, run.stderr)
        assert run.stdout == text[offset:offset + length], (kind, offset, length)
PYTHON
for kind in "${kinds[@]}"; do
  for threads in 1 4; do
    expect 0 "" "$GZIPFS" cat -p $threads "$kind"
    cmp stdout text || fail "$kind, $threads threads"
  done
done
expect 0 "" "$GZIPFS" cat --range 8M: ours.gz
tail -c +8388609 text | cmp - stdout || fail "range to the end"
expect 0 "" "$GZIPFS" cat -r 64K:1K ours.gz
tail -c +65537 text | head -c 1024 | cmp - stdout || fail "units"
expect 0 "" "$GZIPFS" cat ours.gz gzip.gz
cat text text | cmp - stdout || fail "two files"
"$GZIPFS" cat - <gzip.gz | cmp - text || fail "standard input"

# A range needs only its own blocks: damage elsewhere does not matter, damage
# in it gives what is before it, never wrong bytes.
offset=$("$GZIPFS" ls ours.gz | awk '$6 == "data" && $1 == 65536 * 20 { print $2 }')
cp ours.gz bad.gz
printf '\xff\xff\xff\xff' | dd of=bad.gz bs=1 seek=$((offset + 300)) conv=notrunc status=none
expect 0 "" "$GZIPFS" cat --range 0:1M bad.gz
head -c 1M text | cmp - stdout || fail "before the damage"
expect 0 "" "$GZIPFS" cat --range 5M:1M bad.gz
tail -c +$((5 * 1048576 + 1)) text | head -c 1M | cmp - stdout || fail "behind the damage"
expect 1 "gzipfs cat: bad.gz: member at file offset $offset (plain offset 1310720): *" \
  "$GZIPFS" cat bad.gz
head -c 1310720 text | cmp - stdout || fail "up to the damage"
expect 1 "gzipfs cat: bad.gz: member at file offset $offset *" \
  "$GZIPFS" cat --range 1310700:100 bad.gz
tail -c +1310701 text | head -c 20 | cmp - stdout || fail "range up to the damage"

# An index that lies costs time, not truth.
cp ours.gz lying.gz
entry=$("$GZIPFS" ls ours.gz | awk '$6 == "tail" { print $2; exit }')
printf '\x01' | dd of=lying.gz bs=1 seek=$((entry + 4)) conv=notrunc status=none
expect 0 "" "$GZIPFS" cat --range 4000000:100000 lying.gz
tail -c +4000001 text | head -c 100000 | cmp - stdout || fail "lying index"

# In a store that has kept a foreign file's index a range is decoded from near its beginning,
# and stat decodes nothing. What is no member any more behind it is told as ever.
# read_bytes COMMAND...: how much it reads, from files and all.
read_bytes() { sh -c '"$@" >stdout 2>stderr; awk "/^rchar/ { print \$2 }" "/proc/$$/io"' sh "$@"; }
mkdir -p store/.gzipfs
head -c 9000000 /dev/urandom | base64 -w 76 >letters
gzip -c letters >store/one.gz
(gzip -c letters; "$GZIPFS" pack -c part2; gzip -c part3) >store/more.gz
cat letters part2 part3 >more
cp store/one.gz store/more.gz .
expect 0 "" "$GZIPFS" index store
for at in 1 131071 131072 5000000 12000000; do
  for length in 1 100 200000 3000000; do
    expect 0 "" "$GZIPFS" cat --range $at:$length store/one.gz
    tail -c +$((at + 1)) letters | head -c $length | cmp - stdout || fail "indexed, $at:$length"
  done
done
size=$(stat -c %s letters)
for at in $((size - 3)) $size $((size + 65536)) $((size + 2999990)) $((size + 3000005)) 99999999; do
  for length in 20 3000010; do
    expect 0 "" "$GZIPFS" cat --range $at:$length store/more.gz
    tail -c +$((at + 1)) more | head -c $length | cmp - stdout || fail "indexed, $at:$length of more"
  done
done
expect 0 "" "$GZIPFS" stat more.gz
grep -v "index " stdout | tail -n +2 >told
expect 0 "" "$GZIPFS" stat store/more.gz
grep -v "index " stdout | tail -n +2 | cmp - told || fail "stat with an index: $(cat stdout)"
grep -q "index  *kept in the store" stdout || fail "stat: $(cat stdout)"
whole=$(stat -c %s store/one.gz)
if [ "$(read_bytes cat store/one.gz)" -ge "$whole" ] 2>/dev/null; then
  for command in "cat --range 11000000:1000" stat; do
    # shellcheck disable=SC2086
    few=$(read_bytes "$GZIPFS" $command store/one.gz)
    # shellcheck disable=SC2086
    many=$(read_bytes "$GZIPFS" $command one.gz)
    [ "$few" -lt $((whole / 2)) ] || fail "$command with an index reads $few of $whole bytes"
    [ "$many" -ge $((whole / 2)) ] || fail "$command without an index reads only $many bytes"
  done
else
  echo "left out: how much is read, which the kernel does not count"
fi
# One that is not about the file as it is, or that lies, costs time alone.
python3 - store/.gzipfs/index/*.idx <<'PYTHON' || fail "no index to be damaged"
import sys
for name in sys.argv[1:]:
    data = bytearray(open(name, "rb").read())
    data[len(data) // 2] ^= 1
    open(name, "wb").write(data)
PYTHON
expect 0 "" "$GZIPFS" cat --range 5000000:100 store/one.gz
tail -c +5000001 letters | head -c 100 | cmp - stdout || fail "damaged index"
rm -r store/.gzipfs/index
expect 0 "" "$GZIPFS" index store
printf tail >>store/one.gz
expect 2 "gzipfs cat: store/one.gz: what follows the data, *" "$GZIPFS" cat --range 12000000: store/one.gz
tail -c +12000001 letters | cmp - stdout || fail "changed since it was indexed"
expect 0 "" "$GZIPFS" index store
expect 2 "gzipfs cat: store/one.gz: what follows the data, *" "$GZIPFS" cat --range 12000000: store/one.gz
tail -c +12000001 letters | cmp - stdout || fail "indexed with bytes behind it"

expect 1 "gzipfs cat: nothere: No such file or directory" "$GZIPFS" cat nothere
expect 1 "gzipfs cat: .: Is a directory" "$GZIPFS" cat .
expect 1 "gzipfs cat: text: not in gzip format" "$GZIPFS" cat text
expect 1 "gzipfs cat: nothere: *" "$GZIPFS" cat nothere ours.gz
cmp stdout text || fail "the file behind the missing one"
expect 1 "gzipfs cat: cannot write to standard output: No space left on device" \
  sh -c "'$GZIPFS' cat ours.gz >/dev/full"
exit 0
