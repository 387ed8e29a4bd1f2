#!/bin/bash
# The daemon's peak memory while eight threads overwrite, sync and read a file that is far
# larger than what the daemon may keep of it: what is allowed and little more (memory.py).
[ -w /dev/shm ] && SCRATCH_PARENT=${SCRATCH_PARENT:-/dev/shm}
source "$(dirname "$0")/mount_lib.bash"

is_sanitized && { echo "skipped: sanitizers keep what is freed"; exit 77; }
dirty_mib=16
cache_mib=8
options=level=fast,dirty=${dirty_mib}M,cache=${cache_mib}M,log=$scratch/log
mount_store -o "$options"
python3 "$(dirname "$0")/memory.py" make "$plain/data" || fail "making the file"
unmount_store
mount_store -o "$options"
timeout 250 python3 "$(dirname "$0")/memory.py" change "$plain/data" ||
  { tail "$scratch/log"; fail "memory.py"; }
"$GZIPFS" sync "$plain" || fail "sync"
peak_kib=$(awk '/VmHWM/ { print $2 }' "/proc/$daemon_pid/status")
sum=$(sha256sum <"$plain/data")
unmount_store
same "what was written" "$sum" "$(gzip -dc "$store/data.gz" | sha256sum)"
# 8 MiB of programs and stacks, 6 MiB for compressors and requests on their way, 14 MiB
# for what lies between blocks in use.
allowed_kib=$(((dirty_mib + cache_mib + 28) * 1024))
echo "peak $peak_kib KiB, allowed $allowed_kib"
[ "$peak_kib" -le "$allowed_kib" ] || fail "memory: $peak_kib KiB"
