#!/bin/bash
# A user who is not root mounts a store of his own, works in it, and nobody else sees it; set-id
# bits are his to give. With allow_other by root, nobody can do more than the modes say.
#
# In a mount namespace of its own, where /dev/fuse is for everybody.
if [ "$(id -u)" -eq 0 ] && [ -z "${IN_NAMESPACE-}" ]; then
  IN_NAMESPACE=1 exec unshare -m --propagation private bash "$0" "$@"
fi
source "$(dirname "$0")/mount_lib.bash"
leave() {
  local status=$?
  umount -l /dev/fuse /etc/passwd 2>/dev/null
  umount -l "$scratch/devices" 2>/dev/null
  (exit "$status")  # clean_up goes by it
  clean_up
}
trap leave EXIT

[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root, to become somebody else"; exit 77; }
for command in setpriv fusermount3; do
  command -v "$command" >/dev/null || { echo "skipped: needs $command"; exit 77; }
done
devices=$scratch/devices
mkdir "$devices"
mount -t tmpfs none "$devices" && mknod -m 666 "$devices/fuse" c 10 229 &&
  mount --bind "$devices/fuse" /dev/fuse && : <>/dev/fuse ||
  { echo "skipped: cannot make a /dev/fuse"; exit 77; }

# fusermount3 wants to know the user's name.
{ cat /etc/passwd && echo 'tester:x:61001:61001::/:/bin/sh'; } >"$scratch/passwd" &&
  mount --bind "$scratch/passwd" /etc/passwd || fail "cannot add a user"

user=(setpriv --reuid=61001 --regid=61001 --groups=61001,61009 --reset-env)
other=(setpriv --reuid=61002 --regid=61002 --clear-groups --reset-env)
chmod 755 "$scratch"
mkdir "$scratch/logs"
chown 61001:61001 "$store" "$plain" "$scratch/logs"
cp "$GZIPFS" "$scratch/program"
program=$scratch/program
cd "$plain" || exit

# refused COMMAND...: it must fail.
refused() { if "$@" 2>/dev/null; then fail "was allowed: $*"; fi; }

for caching in writeback nowriteback; do
  "${user[@]}" "$program" "$store" "$plain" -o "$caching,log=$scratch/logs/$caching" \
    2>"$scratch/err" || fail "an ordinary user cannot mount: $(cat "$scratch/err")"
  read_daemon_pid
  same "the daemon's user" 61001 "$(stat -c %u "/proc/$daemon_pid")"
  options=$(findmnt -no OPTIONS "$plain")
  for option in nosuid nodev user_id=61001; do
    case ,$options, in *,$option,*) ;; *) fail "$option is not among $options" ;; esac
  done
  # His alone: root, too, stays out.
  refused ls "$plain"
  refused "${other[@]}" ls "$plain"

  export plain caching
  "${user[@]}" env plain="$plain" caching="$caching" bash -euc '
    cd "$plain"
    mkdir -p "dir-$caching" && cd "dir-$caching"
    head -c 300000 /dev/urandom >data && cp data copy && cmp data copy
    printf changed | dd of=copy bs=1 seek=70000 conv=notrunc status=none
    # Bits given before the last bytes reach the store stay.
    cat /bin/true >set-id && exec 5>>set-id && echo >&5 && chmod 6755 set-id && exec 5>&-
    ln -s data link && mkfifo fifo && ln data hard
    touch -d "2001-02-03 04:05:06.789012345" copy
    chgrp 61009 data
    setfacl -m u:61002:r copy 2>/dev/null || :
    setfattr -n user.colour -v red copy 2>/dev/null || :
  ' || fail "an ordinary user in his mount"
  refused "${user[@]}" chown 0 "$plain/dir-$caching/data"
  refused "${user[@]}" mknod "$plain/dir-$caching/null" c 1 3
  refused "${user[@]}" chgrp 7 "$plain/dir-$caching/data"
  same "set-id bits while mounted" 6755 "$("${user[@]}" stat -c %a "$plain/dir-$caching/set-id")"
  (cd "$scratch" && "${user[@]}" "$program" umount "$plain") ||
    fail "an ordinary user cannot unmount"
  same "in the store" "61001:61001 6755" "$(stat -c '%u:%g %a' "$store/dir-$caching/set-id.gz")"
  same "times" "2001-02-03 04:05:06.789012345 +0000" \
    "$(TZ=UTC stat -c %y "$store/dir-$caching/copy.gz")"
  : >"$scratch/plain file"
  if setfacl -m u:61002:r "$scratch/plain file" 2>/dev/null; then
    getfacl -np "$store/dir-$caching/copy.gz" | grep -q '^user:61002:r--' || fail "his ACL"
  fi
  gzip -t "$store/dir-$caching"/*.gz || fail "in the store"
done

# What is root's to give: everybody enters, and the modes decide.
cd "$scratch" || exit
for place in "$store" "$scratch/reference"; do
  mkdir -p "$place/shared"
  chown 61001:61009 "$place/shared"
  chmod 3770 "$place/shared"
done
mount_store -o allow_other
"${user[@]}" sh -c 'umask 077; cd "$1/shared"; echo secret >secret; echo all >all; chmod 666 all' \
  sh "$plain" || fail "the owner cannot write"
for call in 'ls $1/shared' 'cat $1/shared/secret' 'cat $1/shared/all' 'echo >$1/shared/new' \
  'rm -f $1/shared/all' 'mv $1/shared/all $1/' 'ln $1/shared/all $1/dir-writeback/x'; do
  refused "${other[@]}" sh -c "$call" sh "$plain"
done
same "owner in the store" 61001:61009 "$(stat -c %u:%g "$store/shared/secret.gz")"

# The daemon's own directory is behind no path, handle, link or rename.
mkdir "$plain/in"
for call in 'ls $1/.gzipfs' 'cat $1/.gzipfs/lock' 'cd $1/in/../.gzipfs' 'mkdir $1/.gzipfs' \
  'mv $1/in $1/.gzipfs' 'mv $1/.gzipfs $1/in' 'rmdir $1/.gzipfs' 'ln -s x $1/.gzipfs' \
  'echo >$1/.gzipfs' 'chmod 777 $1/.gzipfs' 'ls $1//.//.gzipfs/../.gzipfs' \
  'ln $1/shared/all $1/.gzipfs' 'mkfifo $1/.gzipfs' 'ls /proc/self/cwd/.gzipfs'; do
  (cd "$plain" && refused sh -c "$call" sh "$plain") || exit 1
done
ln -s .gzipfs/lock "$plain/link" && refused cat "$plain/link"
ls -a "$plain" | grep -F .gzipfs && fail "it is listed"
mkdir "$plain/in/.gzipfs" && echo mine >"$plain/in/.gzipfs/lock" ||
  fail "the name is taken below the top"
# Nor by a handle (open_by_handle_at(2)), made up from what a file's handle looks like.
python3 - "$plain" "$store" <<'PYTHON' || fail "handles"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
plain, store = sys.argv[1:]


def handle_of(path):
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    if libc.name_to_handle_at(-100, path.encode(), buffer, ctypes.byref(mount), 0) != 0:
        return None
    size, kind = struct.unpack_from("Ii", buffer.raw)
    return kind, buffer.raw[8:8 + size]


def open_handle(kind, data):
    buffer = ctypes.create_string_buffer(struct.pack("Ii", len(data), kind) + data)
    fd = os.open(plain, os.O_RDONLY)
    got = libc.open_by_handle_at(fd, buffer, os.O_RDONLY)
    os.close(fd)
    return got


known = handle_of(plain + "/in/.gzipfs/lock")
if known is None:
    sys.exit(0)  # a kernel that has none for FUSE
kind, data = known
if kind != 0x81 or len(data) != 12:  # FILEID_INO64_GEN of fs/fuse/inode.c
    sys.exit("handles are of another kind: %x, %r" % known)
if open_handle(kind, data) < 0:
    sys.exit("a handle as the kernel gave it does not open")
hidden = os.stat(store + "/.gzipfs"), os.stat(store + "/.gzipfs/lock")
for number in list(range(1, 200)) + [each.st_ino for each in hidden]:
    for generation in (0, 1):
        got = open_handle(kind, struct.pack("III", number >> 32, number & 0xffffffff, generation))
        if got >= 0:
            found = os.fstat(got)
            if any(found.st_ino == each.st_ino for each in hidden):
                sys.exit("node %d is the private directory" % number)
            where = os.readlink("/proc/self/fd/%d" % got)
            if where.startswith(plain + "/.gzipfs"):
                sys.exit("node %d is %s" % (number, where))
            os.close(got)
PYTHON
unmount_store
exit 0
