#!/bin/bash
# find and cat over 40,000 files with 1,024 descriptors: works, and memory
# stays flat. MANY_FILES sets another number; with sanitizers it is 2,000.
source "$(dirname "$0")/mount_lib.bash"

count=40000
is_sanitized && count=2000
count=${MANY_FILES:-$count}
dirs=100
ulimit -S -n 1024 2>/dev/null
ulimit -H -n 1024 || fail "cannot lower the descriptor limit"

# The store is filled from outside, by hand-made gzip files: that is not what
# is tested here.
python3 - "$store" "$count" "$dirs" <<'PYTHON' || fail "filling the store"
import gzip, os, sys
store, count, dirs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for d in range(dirs):
    os.mkdir(f"{store}/d{d}")
for i in range(count):
    with open(f"{store}/d{i % dirs}/file{i}.gz", "wb") as f:
        f.write(gzip.compress(b"file %d\n" % i, 1))
PYTHON

mount_store -o cache=4M
limit=$(awk '/Max open files/ { print $5 }' "/proc/$daemon_pid/limits")
[ "$limit" -le 1024 ] || fail "the daemon has $limit descriptors"

at_first=$(awk '/VmRSS/ { print $2 }' "/proc/$daemon_pid/status")
resident() { awk '/VmRSS/ { print $2 }' "/proc/$daemon_pid/status"; }

same "find" "$count" "$(find "$plain" -type f | wc -l)"
same "find -size" "$count" "$(find "$plain" -type f -size -20c -printf '%s\n' | wc -l)"
first=$(resident)
same "cat" "$count" "$(find "$plain" -type f -print0 | xargs -0 cat | sort -u | wc -l)"
second=$(resident)
find "$plain"/d1? -type f -print0 | xargs -0 cat >/dev/null || fail "second cat"
third=$(resident)
echo "resident: $first KiB after find, $second KiB after cat, $third KiB after another cat of some"
echo "$(((first - at_first) * 1024 / count)) bytes for an inode, $count of them"
# All inodes are known to the kernel: 512 bytes each and the program itself. A
# second pass adds nothing, but further threads of libfuse.
if ! is_sanitized; then
  [ $(((first - at_first - 4000) * 1024 / count)) -le 512 ] ||
    fail "more than 512 bytes for an inode"
  [ "$second" -le $((30000 + count / 2)) ] || fail "memory: $second KiB"
  [ "$third" -le $((second + 10000)) ] || fail "memory grows: $second to $third KiB"
fi
descriptors=$(ls "/proc/$daemon_pid/fd" | wc -l)
[ "$descriptors" -le 512 ] || fail "$descriptors descriptors open while nothing is"
unmount_store
