#!/bin/bash
# The rules of POSIX on names, owners, modes and times: every call once in a mount
# and once in a plain directory beside it, by several users. posix.py compares.
#
# In memory where that can be had: thousands of small files are made and removed.
[ -w /dev/shm ] && SCRATCH_PARENT=${SCRATCH_PARENT:-/dev/shm}
source "$(dirname "$0")/mount_lib.bash"

[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root"; exit 77; }
(mknod "$scratch/device" c 1 3 && : >"$scratch/device") 2>/dev/null ||
  { echo "skipped: needs to make and use devices"; exit 77; }

chmod 755 "$scratch"  # other users go through it
seconds=110
is_sanitized && seconds=220
options=allow_other,suid,dev

# everything DIRECTORY: what is below it, without what no filesystem has to keep
everything() {
  (cd "$1" && find . -type d -printf '%p %y %m %U:%G %n %T@\n' -o \
    -printf '%p %y %m %U:%G %n %s %T@ %l\n' | sort
    find . ! -type l -print0 | sort -z | xargs -0 getfacl -npE --
    find . -print0 | sort -z | xargs -0 getfattr -hd -m - -e hex --)
}

# Of the two ways of caching, which differ in the kernel above all, each sanitizer has one.
cachings=(writeback nowriteback)
[ -n "${ASAN_OPTIONS-}" ] && cachings=(writeback)
[ -n "${TSAN_OPTIONS-}" ] && cachings=(nowriteback)
for caching in "${cachings[@]}"; do
  reference=$scratch/$caching
  mount_store -o "$options,$caching"
  mkdir "$plain/$caching" "$reference"
  PYTHONDONTWRITEBYTECODE=1 GZIPFS_POSIX_SECONDS=${GZIPFS_POSIX_SECONDS:-$seconds} \
    python3 "$(dirname "$0")/posix.py" "$plain/$caching" "$reference" "$caching" ||
    fail "$caching: differences"
  unmount_store
  diff <(cd "$reference" && find . | sort) \
    <(cd "$store/$caching" && find . | sed 's/\.gz$//' | sort) || fail "$caching: in the store"
  # The last case left its files there.
  mount_store -o "$options,$caching"
  diff <(everything "$reference/lasting") <(everything "$plain/$caching/lasting") ||
    fail "$caching: after mounting again"
  unmount_store
done
exit 0
