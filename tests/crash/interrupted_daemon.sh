#!/bin/bash
# The model test and the kill test of a mount, with a daemon whose system calls are
# interrupted and fall short at random (syscall_shim.cc): nobody may notice.
# GZIPFS_MODEL_SECONDS (6), GZIPFS_KILLS (5), GZIPFS_FAULT_SEED.
if [ ! -e /dev/fuse ] || [ "$(id -u)" -ne 0 ] || [ ! -e "${GZIPFS_FAULTS-}" ]; then
  echo "skipped: needs root, /dev/fuse and GZIPFS_FAULTS=the library (none with sanitizers)"
  exit 77
fi
tests=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/gzipfs-faults.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
export GZIPFS_FAULT_SEED=${GZIPFS_FAULT_SEED:-$RANDOM} GZIPFS_FAULT_COUNTS=$scratch/counts
echo "GZIPFS_FAULT_SEED=$GZIPFS_FAULT_SEED"

# For the program alone: Python does not expect this.
printf '#!/bin/sh\nLD_PRELOAD="%s" exec "%s" "$@"\n' "$GZIPFS_FAULTS" "$GZIPFS" >"$scratch/gzipfs"
chmod +x "$scratch/gzipfs"
export GZIPFS=$scratch/gzipfs
export GZIPFS_MODEL_SECONDS=${GZIPFS_MODEL_SECONDS:-6} GZIPFS_KILLS=${GZIPFS_KILLS:-5}

python3 "$tests/model/mount_model.py" || exit 1
python3 "$tests/crash/kill_daemon.py" || exit 1
awk '{ interrupted += $1; short += $2 }
  END {
    printf "%d calls interrupted, %d short\n", interrupted, short
    exit interrupted < 100 || short < 100
  }' \
  "$scratch/counts" || { echo "FAILED: there were no faults to speak of" >&2; exit 1; }
