#!/bin/bash
# import: plain and foreign files become store members, in place and by copying; a run that
# is killed at any moment loses nothing, and the next one completes it.
source "$(dirname "$0")/mount_lib.bash"
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1
size=2345678 kills=${GZIPFS_KILLS:-12}
is_sanitized && size=234567 kills=2

sample text $size
head -c 300000 /dev/urandom >noise
make_tree() {
  mkdir -p "$1/sub/empty_dir"
  cp text "$1/text"
  cp noise "$1/sub/noise"
  : >"$1/empty"
  printf A >"$1/sub/one"
  gzip -c text >"$1/sub/foreign.gz"
  gzip -c <noise >"$1/other.gz"
  if has bgzip; then bgzip -c text >"$1/bgzf.gz"; else gzip -c text >"$1/bgzf.gz"; fi
  : >"$1/nothing.gz"
  "$GZIPFS" pack -c text >"$1/ours.gz"
  for i in 1 2 3 4 5 6 7 8; do head -c $((i * 9001)) text >"$1/sub/small$i"; done
  ln "$1/text" "$1/sub/text_link"
  ln "$1/other.gz" "$1/sub/other_link.gz"
  ln -s ../text "$1/sub/symlink"
  mkfifo "$1/fifo"
  chmod 640 "$1/text"
  chmod 750 "$1/sub"
  [ "$(id -u)" -ne 0 ] || chown 12:34 "$1/text" "$1/sub/foreign.gz"
  setfattr -n user.color -v green "$1/text" 2>/dev/null
  find "$1" -exec touch -h -d '2001-02-03 04:05:06.789123456' {} +
}
# Every plain file by the name a mount would show: content, mode, owner, time, links.
plain_view() {
  (cd "$1" && find . -path ./.gzipfs -prune -o \( -type f ! -name '.gzipfs-new.*' \) -print |
    LC_ALL=C sort | while read -r name; do
    if [[ $name == *.gz ]]; then sum=$(zcat <"$name" 2>/dev/null | cksum); else sum=$(cksum <"$name"); fi
    # An empty .gz is the empty file.
    [ -s "$name" ] || sum="4294967295 0"
    echo "${name%.gz} $sum $(stat -c '%a %u %g %h %y' "$name")"
  done | LC_ALL=C sort)
}
# All files but the links, fifos and directories end in .gz and have a tail.
all_ours() {
  local plain_left
  plain_left=$(find "$1" -path "$1/.gzipfs" -prune -o -type f ! -name '*.gz' -print)
  same "$1: files left plain" "" "$plain_left"
  expect 0 "" "$GZIPFS" check "$1"
  find "$1" -path "$1/.gzipfs" -prune -o -type f -size +0 -name '*.gz' -print | while read -r file; do
    "$GZIPFS" stat "$file" | grep -q "tail  *valid" || fail "$file has no tail"
  done || exit 1
}

# In place.
make_tree made
cp -a made in_place
before=$(plain_view in_place)
expect 0 "" "$GZIPFS" import --dry-run in_place
grep -q "would import 15 files: " stdout || fail "--dry-run: $(cat stdout)"
same "after --dry-run" "$before" "$(plain_view in_place)"
expect 0 "" "$GZIPFS" import in_place
grep -q "^imported 15 files: .*(ratio .*; 2 already so$" stdout || fail "import: $(cat stdout)"
same "in place" "$before" "$(plain_view in_place)"
[ in_place/text.gz -ef in_place/sub/text_link.gz ] || fail "hard link of a plain file"
[ in_place/other.gz -ef in_place/sub/other_link.gz ] || fail "hard link of a foreign file"
[ -L in_place/sub/symlink ] && [ -p in_place/fifo ] && [ -d in_place/sub/empty_dir ] || fail "others"
[ -z "$(getfattr -n user.color made/text 2>/dev/null)" ] ||
  same attribute green "$(getfattr --only-values -n user.color in_place/text.gz)"
all_ours in_place
expect 0 "" "$GZIPFS" import in_place
grep -q "^imported 0 files: .*; 19 already so$" stdout || fail "second run: $(cat stdout)"

# Into a store, whose block size counts; twice; a mount shows the same tree.
expect 0 "" "$GZIPFS" import made/ --to "$store" -b 256K
same "made after copying" "$before" "$(plain_view made)"
same "copied" "$before" "$(plain_view "$store")"
"$GZIPFS" stat "$store/text.gz" | grep -q "block size .*256 KiB" || fail "block size"
all_ours "$store"
expect 0 "" "$GZIPFS" import made/ --to "$store"
grep -q "^imported 0 files: .*; 17 done before$" stdout || fail "second copy: $(cat stdout)"
expect 0 "" "$GZIPFS" import made --to "$store" -v
cmp <(cd made && find . | sort) <(cd "$store/made" && find . | sed 's/^\(.*\)\.gz$/\1/' | sort |
  sed 's,^\./\(bgzf\|nothing\|other\|ours\|sub/foreign\|sub/other_link\)$,&.gz,') || fail "names"
same "modes of directories" "$(cd made && find . -type d -printf '%p %m %T@\n' | sort)" \
  "$(cd "$store/made" && find . -type d -printf '%p %m %T@\n' | sort)"
mount_store
expect 1 "gzipfs import: the store * is already mounted (by process $daemon_pid)" \
  "$GZIPFS" import noise --to "$store"
expect 1 "gzipfs import: the store * is already mounted (by process $daemon_pid)" \
  "$GZIPFS" import "$plain/sub"
cmp "$plain/text" text && cmp "$plain/sub/noise" noise && cmp "$plain/bgzf" text ||
  fail "through a mount"
unmount_store

# What is left alone, and said.
mkdir odd
cp text odd/both; gzip -c noise >odd/both.gz
echo "no gzip" >odd/false.gz
gzip -c text | head -c 1000 >odd/cut.gz
cp noise odd/good
cp text odd/linked; ln odd/linked outside
sum=$(cd odd && cksum both false.gz cut.gz linked)
timeout 60 "$GZIPFS" import odd >stdout 2>stderr
same "exit status" 1 $?
for what in "both: * is there, too; both left alone" "false.gz: ends in .gz and is no gzip" \
  "cut.gz: *ends inside" "linked: has 1 more name outside"; do
  grep -q "gzipfs import: .*/odd/${what//\*/.*}" stderr || fail "not said: $what: $(cat stderr)"
done
same "left alone" "$sum" "$(cd odd && cksum both false.gz cut.gz linked)"
zcat odd/good.gz | cmp - noise || fail "beside what is left alone"
same "both.gz" "$(cksum <noise)" "$(zcat odd/both.gz | cksum)"
grep -q "; 4 left alone" stdout || fail "$(cat stdout)"
mkdir busy; cp text busy/open
exec 7>>busy/open
expect 1 "gzipfs import: *busy/open: is open for writing; left alone" "$GZIPFS" import busy
exec 7>&-
expect 0 "" "$GZIPFS" import --keep busy
cmp busy/open text && zcat busy/open.gz | cmp - text || fail --keep

# A file that changes meanwhile is left alone.
mkdir changing
head -c 60000000 /dev/zero | tr '\0' x >changing/file
"$GZIPFS" import -l 12 -p 1 changing 2>stderr >/dev/null &
pid=$!
for _ in $(seq 500); do ls -A changing | grep -q gzipfs-new && break; sleep 0.01; done
ls -A changing | grep -q gzipfs-new && echo more >>changing/file && seen=yes
wait $pid
status=$?
if [ -n "${seen-}" ] && [ ! -e changing/file.gz ]; then
  same "a changing file: status" 1 $status
  grep -q "file: changed while it was imported; left alone" stderr || fail "$(cat stderr)"
  same "a changing file" more "$(tail -n 1 changing/file | tail -c 5)"
fi

# What is no store yet is nobody else's meanwhile: neither to import nor to mount.
mkdir -p taken/sub
head -c 20000000 /dev/zero | tr '\0' y >taken/sub/file
cp text taken/text
"$GZIPFS" import -l 12 -p 1 taken >stdout.first 2>&1 &
pid=$!
for _ in $(seq 500); do find taken | grep -q gzipfs-new && break; sleep 0.01; done
kill -STOP $pid || fail "the import is too fast: $(cat stdout.first)"
real=$(realpath taken)
for path in taken taken/sub taken/text; do
  expect 1 "gzipfs import: the store $real is already mounted (by process $pid)" \
    "$GZIPFS" import $path
done
expect 32 "gzipfs: the store $real is already mounted (by process $pid)" "$GZIPFS" taken "$plain"
kill -CONT $pid
wait $pid || fail "the first import: $(cat stdout.first)"
zcat taken/sub/file.gz | cmp - <(head -c 20000000 /dev/zero | tr '\0' y) || fail "a locked import"
expect 0 "" "$GZIPFS" import --dry-run made
[ ! -e made/.gzipfs ] || fail "--dry-run makes a store"

# What becomes a store holds its directories, also those that are named beside it.
for order in "nested nested/sub" "nested/sub nested"; do
  mkdir -p nested/sub
  cp noise nested/sub/file
  expect 0 "" "$GZIPFS" import $order
  same "stores of '$order'" nested/.gzipfs "$(find nested -name .gzipfs)"
  zcat nested/sub/file.gz | cmp - noise || fail "import $order"
  rm -r nested
done

# Recovery after such an end gives what was copied as it is a tail: it is no collision.
mkdir nothings; : >nothings/nothing.gz; touch -d 2001-02-03 nothings/nothing.gz
expect 0 "" "$GZIPFS" import nothings/ --to unclean
printf '4194304   \nboot %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >unclean/.gzipfs/lock
touch -d 2001-02-03 unclean/nothing.gz  # after it
timeout 60 "$GZIPFS" import nothings/ --to unclean >stdout 2>&1 || fail "after recovery: $(cat stdout)"
grep -q "completed nothing.gz" stdout || fail "no recovery: $(cat stdout)"
grep -q "; 1 done before$" stdout || fail "after recovery: $(cat stdout)"

# Killed at random moments, again and again: every file is there in one form at least, and
# the run that is let go completes the tree.
seed=${GZIPFS_SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed
for mode in place copy; do
  rm -rf victim victim_store
  cp -a made victim
  command=("$GZIPFS" import victim)
  [ $mode = place ] || command=("$GZIPFS" import victim/ --to victim_store)
  killed=0
  for ((i = 0; i < kills; ++i)); do
    "${command[@]}" >/dev/null 2>&1 &
    pid=$!
    sleep "0.$(printf %03d $((RANDOM % 150)))"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null
    # No name may be missing, whatever else there is.
    for name in $(echo "$before" | cut -d' ' -f1); do
      [ -e "victim/$name" ] || [ -e "victim/$name.gz" ] || fail "$mode: $name is lost"
    done
  done
  timeout 60 "${command[@]}" >stdout 2>stderr || fail "$mode, at last: $(cat stdout stderr)"
  # What the last one that was killed had begun.
  ! grep -v ': completed .*, which was being written$' stderr || fail "$mode: see above"
  echo "$mode: $killed kills"
  result=victim
  [ $mode = place ] || result=victim_store
  # Two names of a foreign file may have become two files: all else is the same.
  strip() { sed -E 's,^(\./(sub/)?other(_link)? .* [0-9]+ [0-9]+ [0-9]+) [12] ,\1 N ,'; }
  same "$mode: after the kills" "$(echo "$before" | strip)" "$(plain_view $result | strip)"
  all_ours $result
  same "$mode: leftovers" "" "$(find $result -name '.gzipfs-new.*')"
done
exit 0
