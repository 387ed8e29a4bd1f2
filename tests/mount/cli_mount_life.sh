#!/bin/bash
# From mount to unmount: in the background and in the foreground, by our own
# commands, by mount(8) and umount(8), by signals.
source "$(dirname "$0")/mount_lib.bash"
source "$(dirname "$0")/cli_lib.bash"
cd "$scratch" || exit 1

is_mounted() { mountpoint -q "$plain"; }
wait_until() {  # COMMAND...: at most ten seconds
  for _ in $(seq 200); do
    "$@" 2>/dev/null && return
    sleep 0.05
  done
  fail "never true: $*"
}
has_gone() { ! grep -q '^State:.[RSDT]' "/proc/$1/status"; }
sample text 3000000

# mount returns when the mount answers; sync and umount when all is settled.
expect 0 "" "$GZIPFS" "$store" "$plain" -o log="$scratch/log"
is_mounted || fail "not mounted when mount returned"
read_daemon_pid
grep -q "info: $store is mounted on $plain" log || fail "log: $(cat log)"
case $(stat -f -c %t "$plain") in 65735546) ;; *) fail "not FUSE" ;; esac
findmnt -no SOURCE,FSTYPE,OPTIONS "$plain" >found
grep -q "^$store *fuse.gzipfs *rw,nosuid,nodev" found || fail "findmnt: $(cat found)"
cp text "$plain/a"
expect 0 "" "$GZIPFS" sync "$plain"
zcat store/a.gz | cmp - text || fail "after sync"
if [ "$(id -u)" -eq 0 ]; then
  settings=/sys/class/bdi/$(findmnt -no MAJ:MIN "$plain" | tr -d ' ')
  same "read-ahead" 1024 "$(cat "$settings/read_ahead_kb")"
  # As much as gathers 128 MiB, of what may be dirty: a fifth of the memory.
  percent=$(awk '/MemTotal/ { p = int(128 * 1024 / int($2 / 500)) + 1; print p < 10 ? p : 10 }' \
    /proc/meminfo)
  same "max_ratio" "$percent" "$(cat "$settings/max_ratio")"
fi

# Tools find the store's file behind a path in the mount.
mkdir "$plain/dir" && cp text "$plain/dir/b"
expect 0 "" "$GZIPFS" sync "$plain/dir"
expect 0 "" "$GZIPFS" stat "$plain/dir/b"
same "stat in a mount" "$store/dir/b.gz" "$(head -n 1 stdout)"
expect 0 "" "$GZIPFS" ls "$plain/a"
expect 0 "gzipfs check: note: $store is mounted on $plain; *" "$GZIPFS" check "$plain"
grep -q "^2 files checked" stdout || fail "check in a mount: $(cat stdout)"

# In use: it says so and everything stays.
expect 1 "gzipfs umount: $plain/dir is inside a mount; unmount $plain" "$GZIPFS" umount "$plain/dir"
exec 5>"$plain/open"
expect 1 "gzipfs umount: $plain cannot be unmounted: it is in use: *" "$GZIPFS" umount "$plain"
is_mounted || fail "unmounted although in use"
cat text >&5
exec 5>&-
expect 0 "" "$GZIPFS" umount plain/
is_mounted && fail "still mounted"
has_gone "$daemon_pid" || fail "the daemon is still there when umount returned"
zcat store/open.gz | cmp - text || fail "after umount"
same "logs left" "" "$(ls -A store/.gzipfs/log store/.gzipfs/image | grep -v :)"
grep -q "info: $store is unmounted and settled" log || fail "log: $(cat log)"

# umount(8) and SIGTERM do as much, if not as visibly. More SIGTERMs do no harm.
mount_store
cp text "$plain/c"
umount "$plain" 2>/dev/null || fusermount3 -u "$plain" || fail "umount(8)"
wait_until has_gone "$daemon_pid"
zcat store/c.gz | cmp - text || fail "after umount(8)"
mount_store
exec 5>"$plain/dirty"
cat text >&5
for _ in 1 2 3; do kill -TERM "$daemon_pid"; done
wait_until has_gone "$daemon_pid"
exec 5>&-
is_mounted && fail "mounted after SIGTERM"
zcat store/dirty.gz | cmp - text || fail "after SIGTERM"

# In the foreground; until SIGINT (bash keeps that from what it runs behind &).
for end in umount INT TERM HUP; do
  : >foreground  # what is awaited below must be this mount's
  python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$GZIPFS" mount "$store" "$plain" -f 2>foreground &
  foreground=$!
  wait_until grep -q "is mounted on" foreground
  is_mounted || fail "foreground: not mounted"
  echo "$end" >"$plain/$end"
  if [ $end = umount ]; then unmount_store; else kill -$end $foreground; fi
  wait $foreground
  same "exit status after $end" 0 $?
  is_mounted && fail "mounted after $end"
  same "file" "$end" "$(zcat "store/$end.gz")"
done

# Read-only: nothing in the store changes, not even by mounting it.
mkdir pristine
gzip -c text >pristine/text.gz
expect 0 "" "$GZIPFS" pristine "$plain" -o ro
cmp text "$plain/text" || fail "read-only"
touch "$plain/x" 2>/dev/null && fail "touch in a read-only mount"
unmount_store
same "a store mounted read-only" text.gz "$(ls -A pristine)"

# As mount(8) calls it.
if [ "$(id -u)" -eq 0 ] && has mount.fuse3; then
  mkdir bin && ln -s "$GZIPFS" bin/gzipfs
  PATH=$scratch/bin:$PATH mount.fuse3 "$store" "$plain" -t fuse.gzipfs \
    -o rw,nosuid,noatime,_netdev,nofail,x-test=1,level=fast || fail "mount.fuse3"
  findmnt -no OPTIONS "$plain" | grep -q noatime || fail "noatime was not passed on"
  cmp text "$plain/a" || fail "by mount.fuse3"
  unmount_store
  PATH=$scratch/bin:$PATH mount.fuse3 "$store" "$plain" -t fuse.gzipfs -o frob 2>stderr
  same "mount.fuse3 with a wrong option" 1 $?
  grep -q "unknown option 'frob'" stderr || fail "mount.fuse3: $(cat stderr)"
fi

# Names with blanks, commas and backslashes.
mkdir 'a store, with\n' 'a mount, too'
expect 0 "" "$GZIPFS" 'a store, with\n' 'a mount, too'
cp text 'a mount, too/x y'
expect 0 "" "$GZIPFS" stat 'a mount, too/x y'
same "odd names" "$scratch/a store, with\\n/x y.gz" "$(head -n 1 stdout)"
expect 0 "" "$GZIPFS" umount 'a mount, too'
zcat 'a store, with\n/x y.gz' | cmp - text || fail "odd names"

# Mounting and unmounting over and over leaves nothing behind.
for _ in $(seq 20); do
  mount_store
  [ -s "$plain/a" ] || fail "not there at once"
  unmount_store
  has_gone "$daemon_pid" || fail "a daemon stays"
done
exit 0
