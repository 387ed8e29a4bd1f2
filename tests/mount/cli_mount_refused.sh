#!/bin/bash
# Everything that keeps a store from being mounted: one sentence, status 32,
# nothing changed.
source "$(dirname "$0")/mount_lib.bash"
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

mkdir full outer outer/inner other
touch full/file file
# The lock file of a store that is in use says by whom, so it may change.
snapshot() {
  find store full outer other file ! -name lock -printf '%p %y %m %T@ %C@\n' | sort
}

refused() {  # PATTERN ARGUMENT...
  local pattern=$1 before
  shift
  before=$(snapshot)
  expect 32 "gzipfs: $pattern" "$GZIPFS" "$@"
  same "files after '$*'" "$before" "$(snapshot)"
}

refused "the store nothere does not exist; make it with 'mkdir nothere'" nothere plain
refused "the store $scratch/file is not a directory" file plain
refused "the store file/x is not a directory" file/x plain
refused "the mount point nothere does not exist; make it with 'mkdir nothere'" store nothere
refused "the mount point $scratch/file is not a directory" store file
refused "the mount point $scratch/full is not empty; what is in it would be hidden" store full
refused "the store and the mount point are the same directory, $store" store store
refused "the store $scratch/outer/inner is inside the mount point $scratch/outer" outer/inner outer
refused "the mount point $scratch/outer/inner is inside the store $scratch/outer" outer outer/inner
ln -s outer/inner link
refused "the mount point $scratch/outer/inner is inside the store $scratch/outer" outer link
refused "the log /nothere/log cannot be written: No such file or directory" \
  store plain -o log=/nothere/log
refused "the log $plain/log is inside the mount point $plain" store plain -o log=plain/log
refused "the log $store/log is inside the store $store" store plain -o log=store/log
refused "the store nothere does not exist*" nothere plain -f
refused "the store nothere does not exist*" mount nothere plain -o ro -d

# A store that is mounted, and one that was made otherwise.
mount_store
refused "the store $store is already mounted (by process $daemon_pid)" store other
refused "the store $store is already mounted (by process $daemon_pid)" store other -f
refused "$store is already mounted on $plain" store plain
refused "the store $store is mounted on $plain already" outer plain
unmount_store
refused "the store $store was made with block_size=64K, which stays" \
  store plain -o block_size=1M

# A daemon that has died leaves its mount behind.
mount_store
kill_daemon
expect 32 "gzipfs: the daemon that served $plain has died; free it with 'gzipfs umount $plain'" \
  "$GZIPFS" "$store" "$plain"
expect 1 "gzipfs sync: $plain: Transport endpoint is not connected" "$GZIPFS" sync "$plain"
expect 0 "gzipfs umount: note: the daemon of $plain had died; it is unmounted now" \
  "$GZIPFS" umount "$plain"

# umount and sync name what is no mount.
expect 1 "gzipfs umount: $store is not a gzipfs mount" "$GZIPFS" umount "$store"
expect 1 "gzipfs umount: / is not a gzipfs mount" "$GZIPFS" umount /
expect 1 "gzipfs umount: nothere: No such file or directory" "$GZIPFS" umount nothere
expect 1 "gzipfs sync: $store is not in a gzipfs mount" "$GZIPFS" sync "$store"

# What takes another user or another /dev.
[ "$(id -u)" -eq 0 ] && has unshare && has setpriv || {
  echo "skipped: the rest needs root, unshare and setpriv"
  exit 77
}
as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod 755 "$scratch" store plain
cp "$GZIPFS" program && chmod 755 program
# shellcheck disable=SC2016
with_devices='mount -t tmpfs none "$0/other" && mknod -m "$1" "$0/other/fuse" c 10 229 &&
  mount --bind "$0/other/fuse" /dev/fuse && shift && exec "$@"'
if unshare -m sh -c "$with_devices" "$scratch" 666 true 2>/dev/null; then
  with=(unshare -m sh -c "$with_devices" "$scratch")
  expect 32 "gzipfs: the store $store cannot be written: Permission denied; -o ro would*" \
    "${with[@]}" 666 "${as_user[@]}" ./program store plain
  mkdir mine && chown 65534 mine
  expect 32 "gzipfs: the mount point $plain is not yours to write*" \
    "${with[@]}" 666 "${as_user[@]}" ./program mine plain
  chown 65534 plain
  if ! grep -q '^[[:space:]]*user_allow_other' /etc/fuse.conf 2>/dev/null; then
    expect 32 "gzipfs: allow_other is for root alone unless /etc/fuse.conf says*" \
      "${with[@]}" 666 "${as_user[@]}" ./program mine plain -o allow_other
  fi
  expect 32 "gzipfs: /dev/fuse cannot be used: Permission denied" \
    "${with[@]}" 600 "${as_user[@]}" ./program mine plain
  same "the user's store" "" "$(ls -A mine)"
fi
if unshare -m mount -t tmpfs none /dev 2>/dev/null; then
  mkdir untouched
  expect 32 "gzipfs: /dev/fuse is missing; load the kernel's FUSE module with 'modprobe fuse'" \
    unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' sh "$GZIPFS" untouched "$plain"
  same "the store" "" "$(ls -A untouched)"
fi
exit 0
