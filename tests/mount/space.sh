#!/bin/bash
# fallocate, copy_file_range, and lseek to data and holes: the same calls in a mount and
# in a plain directory beside it. space.py has the cases.
source "$(dirname "$0")/mount_lib.bash"

reference=$scratch/reference
for caching in writeback nowriteback; do
  mount_store -o "level=1,$caching,log=$scratch/log"
  mkdir "$reference"
  PYTHONDONTWRITEBYTECODE=1 timeout $((100 + ${GZIPFS_SPACE_SECONDS:-3})) python3 "$(dirname "$0")/space.py" "$plain" \
    "$reference" "$store" "$caching" || { cat "$scratch/log"; fail "$caching: see above"; }
  unmount_store
  for file in "$reference"/*; do
    gzip -dc "$store/${file##*/}.gz" | cmp - "$file" || fail "$caching: ${file##*/}"
  done
  rm -rf "${store:?}"/* "$store/.gzipfs" "$reference" "$scratch/log"
done

# A sparse file of 100 GiB: its data is found, and copied, without reading its holes.
gib=100
is_sanitized && gib=4
mount_store
truncate -s "${gib}G" "$plain/sparse" || fail "truncate"
printf 'in the middle' | dd of="$plain/sparse" bs=1 seek=$(((gib << 29) + 99)) conv=notrunc \
  status=none || fail "write in the middle"
"$GZIPFS" sync "$plain" || fail "sync"
begin=$(date +%s%N)
cp --sparse=auto "$plain/sparse" "$plain/copy" || fail "cp"
took=$((($(date +%s%N) - begin) / 1000000))
echo "cp of a sparse file of $gib GiB: $took ms"
[ "$took" -le 60000 ] || fail "cp took $took ms: were the holes read?"
same "size of the copy" $((gib << 30)) "$(stat -c %s "$plain/copy")"
same "middle of the copy" "in the middle" \
  "$(dd if="$plain/copy" bs=1 skip=$(((gib << 29) + 99)) count=13 status=none)"
begin=$(date +%s%N)
tar -C "$plain" --sparse -cf "$scratch/sparse.tar" sparse || fail "tar"
took=$((($(date +%s%N) - begin) / 1000000))
echo "tar --sparse of it: $took ms, $(stat -c %s "$scratch/sparse.tar") bytes"
[ "$(stat -c %s "$scratch/sparse.tar")" -le 1000000 ] || fail "tar took holes for data"
unmount_store
exit 0
