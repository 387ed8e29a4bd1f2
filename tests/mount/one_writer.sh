#!/bin/bash
# A store has one writer: whoever comes second, by whatever path or from whatever
# mount namespace, is told which process has it, and disturbs nothing.
source "$(dirname "$0")/mount_lib.bash"
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

# What should not have been mounted, or not stay.
leave() {
  local status=$?
  for path in other bound; do
    mountpoint -q "$scratch/$path" && umount -l "$scratch/$path"
  done
  (exit "$status")  # clean_up goes by it
  clean_up
}
trap leave EXIT

mkdir other parent && ln -s store link && ln -s "$scratch" parent/up
mount_store
echo first >"$plain/file"
first=$daemon_pid

# refused PATH [COMMAND...]: a second mount of PATH, which COMMAND is put before.
refused() {
  local path=$1 real before
  shift
  real=$("$@" realpath "$path")
  before=$(find store ! -name lock -printf '%p %s %T@\n' | sort)
  for options in rw ro; do
    expect 32 "gzipfs: the store $real is already mounted (by process $first)" \
      "$@" "$GZIPFS" "$path" other -o "$options"
    expect 32 "gzipfs: the store $real is already mounted (by process $first)" \
      "$@" "$GZIPFS" "$path" other -f -o "$options"
  done
  same "the store after '$path $*'" "$before" \
    "$(find store ! -name lock -printf '%p %s %T@\n' | sort)"
  same "the lock" "$first" "$(head -n 1 store/.gzipfs/lock | tr -dc 0-9)"
  mountpoint -q other && fail "mounted twice"
  same "the first mount" first "$(cat "$plain/file")"
}

refused store
refused "$store/"
refused link
refused parent/up/store
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
  refused store unshare -m
  # In a namespace that knows the store by another path alone, and not the mount.
  mkdir bound
  # shellcheck disable=SC2016
  refused bound unshare -m sh -c 'mount --bind "$0/store" "$0/bound" && umount -l "$0/plain" &&
    exec "$@"' "$scratch"
  mount --bind store bound && refused bound
  umount bound
  # And the other way round: the first one is where nobody else sees it.
  unmount_store
  unshare -m "$GZIPFS" store "$plain" || fail "in a namespace of its own"
  mountpoint -q "$plain" && fail "seen outside"
  first=$(head -n 1 store/.gzipfs/lock | tr -dc 0-9)
  daemon_pid=$first
  expect 32 "gzipfs: the store $store is already mounted (by process $first)" \
    "$GZIPFS" store other
  kill "$first"
  for _ in $(seq 200); do
    [ -d "/proc/$first" ] || break
    sleep 0.05
  done
else
  echo "left out: bind mounts and mount namespaces, which take root"
  unmount_store
fi

# Who has died has nothing; readers keep no reader away, but each writer.
mount_store
kill_daemon
expect 0 "" "$GZIPFS" store other
same "the file" first "$(cat other/file)"
expect 0 "" "$GZIPFS" umount other
expect 0 "gzipfs umount: note: the daemon of $plain had died*" "$GZIPFS" umount "$plain"
mount_store -o ro
expect 0 "" "$GZIPFS" store other -o ro
expect 0 "" "$GZIPFS" umount other
expect 32 "gzipfs: the store $store is already mounted*" "$GZIPFS" store other
unmount_store
exit 0
