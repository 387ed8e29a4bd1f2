# Sourced by the shell tests that mount a store.
#
# Gives a scratch directory $scratch with an empty $store and $plain in it,
# mount_store and unmount_store, and makes sure that nothing stays mounted or
# running when the test ends, however it ends. Needs $GZIPFS, the program.
set -u

if [ ! -e /dev/fuse ] || [ -z "${GZIPFS-}" ]; then
  echo "skipped: needs /dev/fuse and GZIPFS=the program"
  exit 77
fi

# True in a run with sanitizers, where everything takes ten times as long.
is_sanitized() { [ -n "${ASAN_OPTIONS-}${TSAN_OPTIONS-}" ]; }

scratch=$(mktemp -d "${SCRATCH_PARENT:-${TMPDIR:-/tmp}}/gzipfs-test.XXXXXX") || exit 1
store=$scratch/store
plain=$scratch/plain
mkdir "$store" "$plain"
daemon_pid=

# The daemon's number, as the store's lock file has it.
read_daemon_pid() { daemon_pid=$(head -n 1 "$store/.gzipfs/lock" 2>/dev/null | tr -dc '0-9'); }

mount_store() {
  "$GZIPFS" "$store" "$plain" "$@" || fail "mount failed"
  read_daemon_pid
}

unmount_store() { "$GZIPFS" umount "$plain" || fail "umount failed"; }

# Ends the daemon as a crash would; returns when its mount answers nobody any more.
kill_daemon() {
  kill -9 "$daemon_pid"
  for _ in $(seq 200); do
    stat "$plain" >/dev/null 2>&1 || return
    sleep 0.05
  done
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# same WHAT EXPECTED ACTUAL
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }

clean_up() {
  local status=$?
  cd /
  if mountpoint -q "$plain" 2>/dev/null || ! stat "$plain" >/dev/null 2>&1; then
    timeout 60 "$GZIPFS" umount "$plain" >/dev/null 2>&1 || {
      umount -l "$plain" 2>/dev/null || fusermount3 -uz "$plain" 2>/dev/null
      [ -n "$daemon_pid" ] && kill -9 "$daemon_pid" 2>/dev/null
    }
  fi
  rm -rf --one-file-system "$scratch"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
