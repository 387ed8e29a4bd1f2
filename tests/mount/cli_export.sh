#!/bin/bash
# export: one member for readers that stop after the first, plain files, whole trees.
source "$(dirname "$0")/cli_lib.bash"
here=$(cd "$(dirname "$0")" && pwd -P)
cd "$scratch" || exit 1
big=2345678
is_sanitized && big=234567

sample text $big
head -c 500000 /dev/urandom >noise
{ cat text noise; head -c 300000 /dev/zero; head -c 70001 text; } >mixed
: >empty
printf A >one

# Files of every kind of member, joined: plain text, stored, zeros, foreign, appended.
"$GZIPFS" pack <mixed >blocks.gz || fail pack
"$GZIPFS" pack -b 256K <mixed >large.gz || fail pack
"$GZIPFS" pack <empty >empty.gz || fail pack
"$GZIPFS" pack <one >one.gz || fail pack
gzip -c mixed >foreign.gz
{ gzip -1 -c text; cat blocks.gz one.gz; gzip -c one empty; } >joined.gz
cat text mixed one one empty >joined
: >nothing.gz
: >nothing
for name in blocks large; do cp mixed "$name"; done
cp mixed foreign
readers=$(python3 "$here/single_member_readers.py" --list)
echo "readers that are here: $readers"
for name in blocks large empty one foreign joined nothing; do
  rm -f out.gz
  expect 0 "" "$GZIPFS" export "$name.gz" -o out.gz
  zcat out.gz | cmp - "$name" || fail "$name: zcat"
  gzip -t out.gz || fail "$name: gzip -t"
  same "$name: gzip -l" "$(stat -c %s "$name")" "$(gzip -l out.gz | awk 'NR == 2 { print $2 }')"
  case $name in large | joined) quick= ;; *) quick=--quick ;; esac # the others take seconds
  python3 "$here/single_member_readers.py" $quick out.gz "$name" || fail "$name: another reader"
  "$GZIPFS" export "$name.gz" | cmp - out.gz || fail "$name: standard output"
  "$GZIPFS" export -p 1 "$name.gz" | cmp - out.gz || fail "$name: one thread"
  "$GZIPFS" export --plain "$name.gz" | cmp - "$name" || fail "$name: plain"
done
[ "$(stat -c %s out.gz)" -eq 20 ] || fail "nothing: $(stat -c %s out.gz) bytes"
"$GZIPFS" export blocks.gz >joined_blocks.gz
[ "$(stat -c %s joined_blocks.gz)" -lt "$(stat -c %s blocks.gz)" ] || fail "larger than before"
# The same readers do stop after the first member: so this could have failed.
python3 "$here/single_member_readers.py" --stop blocks.gz mixed || fail "readers that go on"

# Damage: one sentence, no file.
python3 - <<'PYTHON'
data = bytearray(open("blocks.gz", "rb").read())
data[len(data) // 2] ^= 0x40
open("bad.gz", "wb").write(data)
PYTHON
for form in --plain --single-member; do
  rm -f out
  expect 1 "gzipfs export: $scratch/bad.gz: member at file offset *" \
    "$GZIPFS" export $form bad.gz -o out
  [ ! -e out ] || fail "$form: a partial file was left"
done
head -c 100000 foreign.gz >cut.gz
expect 1 "gzipfs export: *cut.gz: *ends inside a gzip member" "$GZIPFS" export cut.gz -o out
expect 1 "gzipfs export: *noise: not in gzip format" "$GZIPFS" export noise -o out
expect 1 "gzipfs export: nothere.gz: No such file*" "$GZIPFS" export nothere.gz -o out
[ ! -e out ] || fail "a partial file was left"
same "temporary files" "" "$(ls -A | grep gzipfs-new)"
expect 1 "gzipfs export: *blocks.gz: cannot write: No space left on device" \
  sh -c "'$GZIPFS' export blocks.gz >/dev/full"

# What is there is not replaced, unless that is asked for.
echo mine >out.gz
expect 1 "gzipfs export: out.gz: is there already; --force replaces it" \
  "$GZIPFS" export one.gz -o out.gz
same "the old file" mine "$(cat out.gz)"
expect 0 "" "$GZIPFS" export --force one.gz -o out.gz
zcat out.gz | cmp - one || fail "--force"

# A tree: names, links, owners, modes, times, attributes; without the private directory.
mkdir -p store/sub/empty_dir store/.gzipfs
cp blocks.gz store/a.gz
cp one.gz store/sub/b.gz
ln store/a.gz store/sub/a2.gz
echo raw >store/raw
echo x >store/both; cp one.gz store/both.gz
echo "no gzip" >store/odd.gz
ln -s ../a.gz store/sub/link
mkfifo store/fifo
chmod 640 store/a.gz
chmod 750 store/sub
touch -d '2001-02-03 04:05:06.789' store/a.gz store/sub store/sub/empty_dir
touch -h -d '2002-02-03 04:05:06.5' store/sub/link
setfattr -n user.color -v green store/a.gz 2>/dev/null && has_attributes=yes
has setfacl && setfacl -m u:7:r store/sub/b.gz 2>/dev/null && has_acls=yes
[ "$(id -u)" -ne 0 ] || chown 12:34 store/a.gz
expect 0 "" "$GZIPFS" export store -o tree
expect 0 "" "$GZIPFS" export --plain store -o plain
list() { (cd "$1" && find . | sort | tr '\n' ' '); }
same tree ". ./a.gz ./both ./both.gz ./fifo ./odd.gz ./raw ./sub ./sub/a2.gz ./sub/b.gz ./sub/empty_dir ./sub/link " "$(list tree)"
same plain ". ./a ./both ./both.gz ./fifo ./odd.gz ./raw ./sub ./sub/a2 ./sub/b ./sub/empty_dir ./sub/link " "$(list plain)"
zcat tree/a.gz | cmp - mixed || fail "tree/a.gz"
cmp plain/a mixed || fail "plain/a"
cmp plain/sub/b one || fail "plain/sub/b"
same raw raw "$(cat plain/raw)"
cmp plain/both.gz one.gz || fail "a name that another file has"
zcat tree/both.gz | cmp - one || fail "tree/both.gz"
for pair in tree/a.gz plain/a; do
  same "$pair" "$(stat -c '%a %u %g %y' store/a.gz)" "$(stat -c '%a %u %g %y' "$pair")"
  [ -z "${has_attributes-}" ] ||
    same "$pair: attribute" green "$(getfattr --only-values -n user.color "$pair")"
done
[ tree/a.gz -ef tree/sub/a2.gz ] && [ plain/a -ef plain/sub/a2 ] || fail "hard links"
for top in tree plain; do
  same "$top: directories" "$(cd store && stat -c '%n %a %y' sub sub/empty_dir)" \
    "$(cd "$top" && stat -c '%n %a %y' sub sub/empty_dir)"
  same "$top: symlink" "$(cd store/sub && stat -c '%N %y' link)" "$(cd "$top/sub" && stat -c '%N %y' link)"
  [ -p "$top/fifo" ] || fail "$top: fifo"
done
[ -z "${has_acls-}" ] || same acl "$(getfacl -c store/sub/b.gz)" "$(getfacl -c plain/sub/b)"
expect 1 "gzipfs export: tree: is there already*" "$GZIPFS" export store -o tree
expect 0 "" "$GZIPFS" export --force store -o tree
expect 1 "gzipfs export: store/in: lies in what is to be exported*" "$GZIPFS" export store -o store/in
# A file that cannot be exported is told, and the others are there.
cp bad.gz store/sub/bad.gz
expect 1 "gzipfs export: *store/sub/bad.gz: member at*" "$GZIPFS" export store -o second
[ ! -e second/sub/bad.gz ] && cmp second/sub/b.gz tree/sub/b.gz || fail "beside a bad file"

# What a killed daemon has left in a redo log is exported with the base that it belongs to;
# the store is not changed. While somebody writes to the store such a file is refused.
if [ -e /dev/fuse ]; then
  daemon=
  mkdir crashed mnt
  trap 'umount -l "$scratch/mnt" 2>/dev/null; [ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null
    rm -rf --one-file-system "$scratch"' EXIT
  "$GZIPFS" crashed mnt || fail mount
  daemon=$(head -n 1 crashed/.gzipfs/lock | tr -dc 0-9)
  for name in file other; do
    cp mixed mnt/$name || fail "a file in a mount"
  done
  "$GZIPFS" sync mnt || fail sync
  ln mnt/file mnt/link || fail ln  # a log has one file, and that any number of names
  cp mixed changed
  # Its writer still has the files open when it dies: closed, they would be settled.
  python3 - "$GZIPFS" "$daemon" changed mnt/file mnt/other <<'PYTHON' || fail "a change"
import os, signal, subprocess, sys
program, daemon, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
for name in names:
    fd = os.open(name, os.O_RDWR)
    os.pwrite(fd, b"written before the daemon was killed", 100_000)
    os.pwrite(fd, b"the end", os.fstat(fd).st_size + 70_000)
    os.utime(fd, ns=(10**18, 10**18 + 5 * 10**9))
    os.fsync(fd)
logs = [name for name in os.listdir("crashed/.gzipfs/log") if name.endswith(".log")]
assert len(logs) == 2, logs
for name in "file", "link":
    run = subprocess.run([program, "export", f"crashed/{name}.gz", "-o", "refused"],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 1, run
    assert "has changes in a redo log, and its store is in use" in run.stderr, run
os.kill(daemon, signal.SIGKILL)
PYTHON
  daemon=
  [ ! -e refused ] || fail "a file that was refused"
  for _ in $(seq 200); do stat mnt >/dev/null 2>&1 || break; sleep 0.05; done
  umount -l mnt 2>/dev/null || fusermount3 -uz mnt || fail umount
  state() { find crashed -type f -printf '%p %s %T@ %i\n' | sort; }
  before=$(state)
  for form in --plain --single-member; do
    read_it=(zcat); [ $form = --plain ] && read_it=(cat)
    expect 0 "" "$GZIPFS" export $form crashed/file.gz -o left
    "${read_it[@]}" <left | cmp - changed || fail "$form of a file with a log"
    same "$form: time" 1000000005 "$(stat -c %Y left)"
    for name in link other; do
      "$GZIPFS" export $form crashed/$name.gz | "${read_it[@]}" | cmp - changed || fail "$form -c $name"
    done
    rm left
    expect 0 "" "$GZIPFS" export $form crashed -o left
    [ $form = --plain ] || python3 "$here/single_member_readers.py" --quick left/file.gz changed ||
      fail "a single member of a file with a log"
    "${read_it[@]}" <left/other* | cmp - changed || fail "$form of a store with logs"
    rm -r left
  done
  for name in file link; do
    expect 1 "gzipfs import: *crashed/$name.gz: has changes in a redo log; left alone" \
      "$GZIPFS" import crashed/$name.gz --to imported
    "$GZIPFS" check crashed/$name.gz 2>&1 | grep -q "has changes in a redo log" || fail "check $name"
  done
  same "the store" "$before" "$(state)"
  # What cannot be read for another reason than a mount is told with that.
  echo "no JSON" >crashed/.gzipfs/config.json
  expect 1 "gzipfs export: *file.gz: has changes in a redo log, which cannot be read: *config.json is damaged: *" \
    "$GZIPFS" export crashed/file.gz -o left
  [ ! -e left ] || fail "a file whose log cannot be read"
else
  echo "left out: redo logs, which take /dev/fuse"
fi

# A signal removes what is not complete.
mkdir signalled
head -c 30000000 /dev/urandom | gzip -1 >slow.gz
"$GZIPFS" export slow.gz -o signalled/out.gz &
pid=$!
for _ in $(seq 200); do
  [ -n "$(ls -A signalled)" ] && break
  sleep 0.01
done
kill -TERM $pid
wait $pid
status=$?
left=$(ls -A signalled)
case $status in
  0) same "after its end" out.gz "$left" ;;
  1) same "after SIGTERM" "" "$left" ;;
  *) fail "SIGTERM: status $status" ;;
esac
exit 0
