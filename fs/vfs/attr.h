// Attributes as programs see them.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>

#include "fs/store/content.h"
#include "fs/vfs/inode.h"

namespace gzipfs {

// What a SETATTR wants changed. Times may be UTIME_NOW (in tv_nsec).
struct AttrChanges {
  std::optional<mode_t> mode{};
  std::optional<uid_t> uid{};
  std::optional<gid_t> gid{};
  std::optional<uint64_t> plain_bytes{};
  std::optional<timespec> atime{};
  std::optional<timespec> mtime{};
};

// The attributes of an inode with base `base`. Owner, mode, times, links and
// blocks are the base's; size and st_ino are what programs know.
struct stat ShownAttr(const Inode& inode, const struct stat& base, uint64_t plain_bytes);

// The same for a file in gzip form that is open: its content knows better.
// `change_time_ns`: when its bytes were last changed.
Result<struct stat> ShownAttrOfOpen(const Inode& inode, const Content& content,
                                    int64_t change_time_ns);

// `time` with UTIME_NOW replaced by the time now.
timespec ResolveTime(const timespec& time);

}  // namespace gzipfs
