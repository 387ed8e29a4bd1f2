#!/bin/bash
# A store that is changed behind the mount: who opens a file next sees it as it is,
# who has it open gets ESTALE and never a mixture, other files go on, and what was
# promised by fsync is kept aside. changed_outside.py has the cases.
source "$(dirname "$0")/mount_lib.bash"

for caching in writeback nowriteback; do
  mount_store -o "$caching,cache=1M,log=$scratch/log"
  PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/changed_outside.py" "$plain" "$store" $caching ||
    fail "$caching: see above"
  for said in 'appended.gz: changed behind the mount while it was open' \
    'rewritten.gz: changed behind the mount while it was open' \
    'edited.gz: changed behind the mount while it was open' 'its log is kept as .gzipfs/quarantine' \
    'replaced.gz: removed or replaced behind the mount while it was open'; do
    grep -q "$said" "$scratch/log" || fail "$caching: the log does not say '$said'"
  done
  ! grep -E 'linked.gz: |another.gz: |mine.gz: ' "$scratch/log" || fail "$caching: no change from outside"
  ! grep -q 'other.gz: ' "$scratch/log" || fail "$caching: the log names a file that was left alone"
  find "$store/.gzipfs/quarantine" -name '*.log.*' | grep -q . || fail "$caching: no log was kept"
  unmount_store
  find "$store" -name '*.gz' -exec gzip -t {} + || fail "$caching: the store"
  rm -rf "${store:?}"/* "$store/.gzipfs" "$scratch/log"
done
exit 0
