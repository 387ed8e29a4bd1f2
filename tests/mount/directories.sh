#!/bin/bash
# Large directories, positions in them, types, names of all bytes, nothing stale (directories.py).
# DIRECTORY_ENTRIES sets the number of entries, of which 1,000,000 take some minutes.
[ -w /dev/shm ] && SCRATCH_PARENT=${SCRATCH_PARENT:-/dev/shm}
source "$(dirname "$0")/mount_lib.bash"

entries=3000
is_sanitized && entries=1000
mount_store -o level=fast
timeout "${DIRECTORY_SECONDS:-250}" python3 "$(dirname "$0")/directories.py" "$plain" \
  "${DIRECTORY_ENTRIES:-$entries}" >"$scratch/said" ||
  { grep -v '^name ' "$scratch/said"; fail "directories.py"; }
grep -v '^name ' "$scratch/said"
unmount_store

# Mounted again the names are the same, and of the same kind.
mount_store
python3 - "$plain/names" "$scratch/said" <<'PYTHON' || fail "the names after mounting again"
import os, sys
where, said = os.fsencode(sys.argv[1]), open(sys.argv[2])
wanted = {bytes.fromhex(line.split()[2]): line.split()[1]
          for line in said if line.startswith("name ")}
if set(os.listdir(where)) != set(wanted):
    sys.exit("%r" % sorted(set(os.listdir(where)) ^ set(wanted))[:10])
for name, kind in wanted.items():
    path = os.path.join(where, name)
    is_right = {"directory": os.path.isdir, "symlink": os.path.islink,
                "file": lambda p: open(p, "rb").read() == name}[kind]
    if not is_right(path):
        sys.exit("%r is not the %s that was made" % (name, kind))
PYTHON
unmount_store
exit 0
