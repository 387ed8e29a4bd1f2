// What `gzipfs sync` and `gzipfs umount` say to a running mount: ioctls on any
// directory of it.
#pragma once

#include <sys/ioctl.h>

#include <cstdint>

namespace gzipfs {

// What kControlStatus returns.
struct ControlStatus {
  uint32_t magic;       // kControlMagic: this is a gzipfs mount
  int32_t daemon_pid;   // as seen in the daemon's pid namespace
  uint64_t dirty_bytes;
  uint64_t open_files;
  uint64_t known_inodes;
  uint64_t unsettled_files;  // files whose base is not the whole truth yet
};

inline constexpr uint32_t kControlMagic = 0x73667a67;  // "gzfs"

// Fills a ControlStatus.
inline constexpr unsigned long kControlStatus = _IOR('g', 1, ControlStatus);
// Settles every file, durably; returns when that is done, or the first error.
inline constexpr unsigned long kControlSettle = _IO('g', 2);

}  // namespace gzipfs
