#!/bin/bash
# pack and unpack beside gzip (cli_gzip.py), what gzip does not have, and too little memory.
source "$(dirname "$0")/cli_lib.bash"
python3 "$(dirname "$0")/cli_gzip.py" || fail "not as gzip does it"
cd "$scratch" || exit 1
mkdir made
sample made/a 200000
sample made/b 100000

# What gzip does not have: the size of all members, and what -v tells.
"$GZIPFS" pack -kc made/a made/b >two.gz
same "-l" "$(($(stat -c %s made/a) + $(stat -c %s made/b)))" \
  "$("$GZIPFS" unpack -l two.gz | awk 'NR == 2 { print $2 }')"
crc=$(python3 -c 'import zlib; print("%08x" % zlib.crc32(open("made/a","rb").read() + open("made/b","rb").read()))')
same "-lv" "$crc" "$("$GZIPFS" unpack -lv two.gz | awk 'NR == 2 { print $2 }')"
"$GZIPFS" pack -kvc -p 2 made/a 2>told >/dev/null
grep -q " 4 blocks, 200000 bytes in, .* MB/s in, .* MB/s out" told || fail "-v: $(cat told)"
for worker in 1 2; do
  grep -Eq "worker $worker: [0-9]+ jobs so far, [0-9.]+ s, [0-9.]+ MB/s in, [0-9.]+ MB/s out" told ||
    fail "-v: $(cat told)"
done
# A worker's rates are those of the bytes that went through it.
head -c 22500000 /dev/urandom | base64 -w 0 >letters  # 30 MB
"$GZIPFS" pack -1 -kvc -p 1 letters 2>told >letters.packed
"$GZIPFS" unpack -vc -p 1 <letters.packed 2>>told >/dev/null
rm letters letters.packed
awk '/worker 1:/ { ++seen; bytes = $7 * ($9 > $12 ? $9 : $12); if (bytes < 15 || bytes > 45) exit bad = 1 }
  END { exit bad || seen != 2 }' told || fail "rates of a worker: $(cat told)"

# Without the memory to work nothing is left and nothing is lost.
if ! is_sanitized; then
  head -c 12000000 /dev/urandom >large
  tried=0 failed=0
  for mib in 30 60 90 120 160 200 260 340 450; do
    for command in "pack -12 -b 4M -p 6 -k large" "unpack -p 6 -k packed.gz"; do
      [[ $command == pack* ]] || "$GZIPFS" pack -c large >packed.gz
      rm -f large.gz packed
      tried=$((tried + 1))
      # A program that cannot even start says so by a status of its own.
      (ulimit -v $((mib << 10)); timeout 60 "$GZIPFS" $command >/dev/null 2>&1)
      status=$?
      [ $status -ne 124 ] || fail "$mib MiB: $command: hangs"
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
