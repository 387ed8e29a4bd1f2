#!/bin/bash
# Many open files, paths of 4,095 bytes, 64 busy threads (limits.py). LIMITS_OPEN sets how many
# files, LIMITS_SECONDS how long the threads are busy.
[ -w /dev/shm ] && SCRATCH_PARENT=${SCRATCH_PARENT:-/dev/shm}
source "$(dirname "$0")/mount_lib.bash"

open_files=4000
is_sanitized && open_files=1500
open_files=${LIMITS_OPEN:-$open_files}
[ "$(ulimit -H -n)" -ge $((open_files + 500)) ] || open_files=$(($(ulimit -H -n) - 500))
mount_store -o level=fast,log="$scratch/log"
timeout 250 python3 "$(dirname "$0")/limits.py" "$plain" "$open_files" \
  "${LIMITS_SECONDS:-1}" || { tail "$scratch/log"; fail "limits.py"; }
sum=$(sha256sum <"$plain/busy/shared")
unmount_store
same "what all threads wrote to" "$sum" "$(gzip -dc "$store/busy/shared.gz" | sha256sum)"
gzip -t "$store"/busy/*.gz || fail "a file is not gzip"
exit 0
