// From a base's attributes to those in the mount.
#include "fs/vfs/attr.h"

#include "codec/base/units.h"
#include "fs/sys/at.h"

namespace gzipfs {
namespace {

// The size of transfers that suits a file in gzip form: one block.
constexpr blksize_t kPreferredBytes = 64 * kKiB;

}  // namespace

struct stat ShownAttr(const Inode& inode, const struct stat& base, uint64_t plain_bytes) {
  struct stat shown = base;
  shown.st_ino = inode.shown_ino();
  if (inode.is_gzip()) {
    shown.st_size = static_cast<off_t>(plain_bytes);
    shown.st_blksize = kPreferredBytes;
  }
  return shown;
}

Result<struct stat> ShownAttrOfOpen(const Inode& inode, const Content& content,
                                    int64_t change_time_ns) {
  const auto base = content.StatBase();
  if (!base) return Fail(base.error());
  struct stat shown = ShownAttr(inode, *base, content.plain_bytes());
  if (const auto mtime = content.pending_mtime()) shown.st_mtim = *mtime;
  if (change_time_ns > Nanoseconds(shown.st_ctim)) {
    shown.st_ctim = {.tv_sec = change_time_ns / 1'000'000'000,
                     .tv_nsec = change_time_ns % 1'000'000'000};
  }
  return shown;
}

// As the kernel does (setattr_should_drop_suidgid in fs/attr.c).
mode_t ModeWithoutSetIds(const Caller& caller, const struct stat& base) {
  const mode_t mode = base.st_mode & ~S_ISUID;
  if ((mode & S_ISGID) == 0) return mode;
  const bool keeps =
      (mode & S_IXGRP) == 0 && (caller.uid == 0 || IsInGroup(caller, base.st_gid));
  return keeps ? mode : mode & ~S_ISGID;
}

timespec ResolveTime(const timespec& time) {
  return time.tv_nsec == UTIME_NOW ? FileClockNow() : time;
}

}  // namespace gzipfs
