// Attributes as programs see them.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>

#include "fs/store/content.h"
#include "fs/sys/credentials.h"
#include "fs/vfs/inode.h"

namespace gzipfs {

// Leaves an owner or a group alone (chown(2)).
inline constexpr uid_t kSameUid = static_cast<uid_t>(-1);
inline constexpr gid_t kSameGid = static_cast<gid_t>(-1);

// What a SETATTR wants changed. Times may be UTIME_NOW (in tv_nsec). An owner
// set to kSameUid counts as a change of the owner all the same, as on any
// filesystem: the change time moves and set-id bits go. Of anything but a
// regular file, no change at all means that.
struct AttrChanges {
  std::optional<mode_t> mode{};
  std::optional<uid_t> uid{};
  std::optional<gid_t> gid{};
  std::optional<uint64_t> plain_bytes{};
  std::optional<timespec> atime{};
  std::optional<timespec> mtime{};

  bool is_empty() const { return !mode && !uid && !gid && !plain_bytes && !atime && !mtime; }
};

// The attributes of an inode with base `base`. Owner, mode, times, links and
// blocks are the base's; size and st_ino are what programs know.
struct stat ShownAttr(const Inode& inode, const struct stat& base, uint64_t plain_bytes);

// The same for a file in gzip form that is open: its content knows better.
// `change_time_ns`: when its bytes were last changed.
Result<struct stat> ShownAttrOfOpen(const Inode& inode, const Content& content,
                                    int64_t change_time_ns);

// The mode of the base `base`, not a directory, without the set-id bits that it
// loses when it is given to another owner, or when somebody who is not
// privileged changes its bytes: set-user-id; set-group-id where it is one, with
// group execution; and without that where `caller` is not in the file's group.
mode_t ModeWithoutSetIds(const Caller& caller, const struct stat& base);

// `time` with UTIME_NOW replaced by the time now.
timespec ResolveTime(const timespec& time);

}  // namespace gzipfs
