#!/bin/bash
# Mounted by mount(8): mount -t fuse.gzipfs, a line in an fstab, umount(8); and what systemd would
# make of that line. In a mount namespace of its own, and with an fstab of its own.
if [ "$(id -u)" -eq 0 ] && [ -z "${IN_NAMESPACE-}" ]; then
  IN_NAMESPACE=1 exec unshare -m --propagation private bash "$0" "$@"
fi
source "$(dirname "$0")/mount_lib.bash"

[ "$(id -u)" -eq 0 ] && command -v mount.fuse3 >/dev/null ||
  { echo "skipped: needs root and mount.fuse3"; exit 77; }

# mount(8) clears the environment: the program has to be in one of the shell's own places.
mount -t tmpfs none /usr/local/sbin && ln -s "$GZIPFS" /usr/local/sbin/gzipfs ||
  { echo "skipped: cannot put gzipfs into /usr/local/sbin of a namespace"; exit 77; }
gone() { ! grep -q '^State:.[RSDT]' "/proc/$daemon_pid/status" 2>/dev/null; }

mount -t fuse.gzipfs "$store" "$plain" -o allow_other,level=fast || fail "mount -t fuse.gzipfs"
read_daemon_pid
same "type" "fuse.gzipfs" "$(findmnt -no FSTYPE "$plain")"
echo text >"$plain/file"
umount "$plain" || fail "umount(8)"
for _ in $(seq 200); do gone && break; sleep 0.05; done
gone || fail "the daemon stays after umount(8)"
same "in the store" text "$(zcat "$store/file.gz")"

# Blanks are \040 in fstab(5); what is for systemd and mount(8) alone is passed over.
mkdir "$scratch/a store" "$scratch/its mount"
for_systemd=x-systemd.automount,x-systemd.idle-timeout=10min,x-systemd.requires-mounts-for=$scratch
cat >"$scratch/fstab" <<FSTAB
# source target type options dump pass
$store $plain fuse.gzipfs rw,allow_other,nofail,_netdev,noatime,$for_systemd 0 0
${scratch// /\\040}/a\040store ${scratch// /\\040}/its\040mount fuse.gzipfs defaults,level=9 0 0
$scratch/nothing $scratch/nowhere fuse.gzipfs noauto 0 0
FSTAB
mount -a -T "$scratch/fstab" || fail "mount -a"
read_daemon_pid
same "by mount -a" text "$(cat "$plain/file")"
case ,$(findmnt -no OPTIONS "$plain"), in *,noatime,*) ;; *) fail "noatime is not passed on" ;; esac
echo spaced >"$scratch/its mount/file" || fail "names with blanks"
mount -a -T "$scratch/fstab" || fail "mount -a once more"
same "mounts" 2 "$(findmnt -rnt fuse.gzipfs | grep -c "$scratch")"
mount -T "$scratch/fstab" "$scratch/nowhere" 2>/dev/null && fail "a store that is not there"
umount "$scratch/its mount" && umount "$plain" || fail "umount(8)"
for _ in $(seq 200); do gone && break; sleep 0.05; done
for _ in $(seq 200); do zcat "$scratch/a store/file.gz" >/dev/null 2>&1 && break; sleep 0.05; done
same "in the other store" spaced "$(zcat "$scratch/a store/file.gz")"

# The units that systemd makes of the line: what it would mount, and when.
generator=/usr/lib/systemd/system-generators/systemd-fstab-generator
if [ -x "$generator" ]; then
  units=$scratch/units
  mkdir "$units"
  if SYSTEMD_FSTAB=$scratch/fstab "$generator" "$units" "$units" "$units" 2>"$scratch/err"; then
    unit=$(ls "$units" | grep -- '-plain\.automount$') || fail "no automount unit: $(ls "$units")"
    for line in "Where=$plain" TimeoutIdleSec=10min; do
      grep -qx "$line" "$units/$unit" || fail "automount unit: $(cat "$units/$unit")"
    done
    unit=${unit%.automount}.mount
    for line in "What=$store" Type=fuse.gzipfs; do
      grep -qx "$line" "$units/$unit" || fail "mount unit: $(cat "$units/$unit")"
    done
  else
    echo "systemd's generator does not run here: $(head -n 1 "$scratch/err")"
  fi
fi
exit 0
