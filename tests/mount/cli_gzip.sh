#!/bin/bash
# pack and unpack beside gzip: the same command line leaves the same files with the same
# contents, owners, modes and times, and the same exit status.
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

sample text 200000
mkdir made
cd made || exit 1
cp ../text a
cp ../text b
chmod 640 a
touch -d '2001-02-03 04:05:06' a
[ "$(id -u)" -ne 0 ] || chown 12:34 a
ln b linked
ln -s a symlink
: >empty
gzip -c a >g.gz
gzip -c b >h.gz
cp g.gz other.zz
cp g.gz arch.tgz
cp g.gz both.gz
cp a both
(cat g.gz; echo garbage) >garbage.gz
(cat g.gz; head -c 999 /dev/zero) >padded.gz
head -c 20000 g.gz >cut.gz
echo "no gzip" >false.gz
: >nothing.gz
mkdir dir dir/sub
cp a dir/one
cp b dir/sub/two
cp g.gz dir/three.gz
mkfifo fifo
cp a setuid
chmod 4755 setuid
cp a -- -odd
cd ..

# What a directory holds: names, kinds, modes, owners, times; contents decompressed.
snapshot() {
  (cd "$1" && find . | LC_ALL=C sort | while read -r name; do
    stat -c '%N %F %h' "$name"
    [ -f "$name" ] && [ ! -L "$name" ] || continue
    # The time only where it is not that of this moment.
    stat -c '%a %u %g' "$name"
    find "$name" -maxdepth 0 ! -newermt '2010-01-01' -printf '%T@\n'
    if [[ $(head -c 2 "$name" | od -An -tx1 | tr -d '\n') == *"1f 8b" ]]; then
      zcat <"$name" 2>/dev/null | cksum
    else
      cksum <"$name"
    fi
  done)
}

# same_as_gzip PACK_COMMAND GZIP_OPTIONS...: run in a copy of made/ by both.
compare() {
  local ours=$1 status_ours=0 status_gzip=0
  shift
  rm -rf by_gzip by_us
  cp -a made by_gzip
  cp -a made by_us
  (cd by_gzip && timeout 60 gzip "$@" <../input >../out_gzip 2>../err_gzip) || status_gzip=$?
  (cd by_us && timeout 60 "$GZIPFS" "$ours" "$@" <../input >../out_us 2>../err_us) ||
    status_us=$?
  status_ours=${status_us:-0}
  unset status_us
  same "$ours $*: status ($(cat err_us))" "$status_gzip" "$status_ours"
  same "$ours $*: files" "$(snapshot by_gzip)" "$(snapshot by_us)"
  case $* in
    "-l "*) same "$ours $*: list" "$(awk '{ print $2, $NF }' out_gzip)" "$(awk '{ print $2, $NF }' out_us)" ;;
    *)
      { zcat -f <out_gzip 2>/dev/null || cat out_gzip; } >plain_gzip
      { zcat -f <out_us 2>/dev/null || cat out_us; } >plain_us
      cmp plain_gzip plain_us || fail "$ours $*: output"
      ;;
  esac
  # Whether something is said is the same as well.
  local said_gzip=no said_us=no
  [ -s err_gzip ] && said_gzip=yes
  [ -s err_us ] && said_us=yes
  same "$ours $*: says something ($(cat err_gzip err_us))" "$said_gzip" "$said_us"
  compared=$((compared + 1))
}
compared=0
cp text input

compare pack a
compare pack -9 a b
compare pack -1v a
compare pack -k a
compare pack -kv a empty
compare pack -f b
compare pack b
compare pack -k b
compare pack -c a b linked symlink
compare pack symlink
compare pack -f symlink
compare pack -c symlink
compare pack nothere
compare pack a nothere empty
compare pack -q nothere a
compare pack dir
compare pack -q dir
compare pack dir a
compare pack -r dir
compare pack -rk dir a
compare pack g.gz
compare pack -q g.gz
compare pack -f g.gz
compare pack -S .zz a other.zz
compare pack both
compare pack -f both
compare pack fifo
compare pack setuid
compare pack -kf setuid
compare pack
compare pack -
compare pack -c
compare pack -9 -c -
compare pack -- -odd
compare pack -n a
compare pack arch.tgz
cp made/g.gz input
for command in unpack pack; do
  compare $command -d g.gz
  compare $command -dk g.gz h.gz
  compare $command -dc g.gz h.gz
  compare $command -d
  compare $command -d -
done
compare unpack -d g
compare unpack -d a
compare unpack -d nothere
compare unpack -d both.gz
compare unpack -df both.gz
compare unpack -dc both.gz cut.gz
compare unpack -d arch.tgz
compare unpack -d -S .zz other.zz
compare unpack -d garbage.gz
compare unpack -dq garbage.gz
compare unpack -d padded.gz
compare unpack -d cut.gz
compare unpack -d g.gz cut.gz
compare unpack -d false.gz
compare unpack -dcf false.gz
compare unpack -d nothing.gz
compare unpack -d dir
compare unpack -dr dir
compare unpack -dv g.gz
compare unpack -t g.gz h.gz
compare unpack -t cut.gz
compare unpack -t a
compare unpack -t garbage.gz
compare unpack -tv g.gz
compare unpack -l g.gz
compare unpack -l g.gz h.gz
compare unpack -l cut.gz
compare unpack -l nothere
cp text input
compare unpack -d
compare unpack -dcf
: >input
compare pack
compare unpack -d
echo "$compared command lines"

# What gzip does not have: the size of all members, and what -v tells.
"$GZIPFS" pack -kc made/a made/b >two.gz
same "-l" "$(($(stat -c %s made/a) + $(stat -c %s made/b)))" \
  "$("$GZIPFS" unpack -l two.gz | awk 'NR == 2 { print $2 }')"
crc=$(python3 -c 'import zlib; print("%08x" % zlib.crc32(open("made/a","rb").read() + open("made/b","rb").read()))')
same "-lv" "$crc" "$("$GZIPFS" unpack -lv two.gz | awk 'NR == 2 { print $2 }')"
"$GZIPFS" pack -kvc -p 2 made/a 2>told >/dev/null
grep -q " 4 blocks, 200000 bytes in, .* MB/s in, .* MB/s out" told || fail "-v: $(cat told)"
grep -q "worker 2: " told || fail "-v: $(cat told)"

# Without the memory to work nothing is left and nothing is lost.
if ! is_sanitized; then
  head -c 20000000 /dev/urandom >large
  tried=0 failed=0
  for mib in 30 60 90 120 160 200 260 340 450; do
    for command in "pack -12 -b 4M -p 6 -k large" "unpack -p 6 -k packed.gz"; do
      [[ $command == pack* ]] || "$GZIPFS" pack -c large >packed.gz
      rm -f large.gz packed
      tried=$((tried + 1))
      # A program that cannot even start says so by a status of its own.
      (ulimit -v $((mib << 10)); timeout 60 "$GZIPFS" $command >/dev/null 2>&1)
      status=$?
      case $command in
        pack*) result=large.gz ;;
        *) result=packed ;;
      esac
      if [ $status -eq 0 ]; then
        { zcat -f <"$result"; } | cmp - large || fail "$mib MiB: $command: wrong result"
      else
        failed=$((failed + 1))
        [ ! -e "$result" ] || fail "$mib MiB: $command: status $status, and a file was left"
        [ -z "$(ls -A | grep gzipfs-new)" ] || fail "$mib MiB: $command: status $status: $(ls -A)"
      fi
    done
  done
  echo "without memory: $failed of $tried failed"
  [ $failed -gt 0 ] || fail "no limit was low enough"
fi
exit 0
