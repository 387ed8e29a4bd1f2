#!/bin/bash
# Processes that append to, truncate, map and lock one file at once (open_files.py), and what
# the store has of it afterwards. GZIPFS_OPEN_SECONDS: how long each part takes.
source "$(dirname "$0")/mount_lib.bash"
export PYTHONDONTWRITEBYTECODE=1

seconds=${GZIPFS_OPEN_SECONDS:-0.5}
for caching in writeback nowriteback; do
  mount_store -o "$caching,log=$scratch/log"
  mkdir "$plain/$caching"
  timeout $((250 + 5 * ${seconds%.*})) python3 "$(dirname "$0")/open_files.py" \
    "$plain/$caching" "$seconds" || { tail "$scratch/log"; fail "$caching"; }
  for file in "$plain/$caching"/*; do
    sha256sum <"$file" >"$scratch/${file##*/}.sum"
  done
  unmount_store
  for file in "$store/$caching"/*.gz; do
    name=${file##*/}
    same "$caching: $name in the store" "$(cat "$scratch/${name%.gz}.sum")" \
      "$(gzip -dc "$file" | sha256sum)"
  done
done
exit 0
