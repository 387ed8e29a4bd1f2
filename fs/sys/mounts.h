// What is mounted where, as /proc/self/mountinfo has it: learnt without asking
// any of the filesystems, which may not answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"

namespace gzipfs {

// What the kernel calls our mounts.
inline constexpr std::string_view kMountType = "fuse.gzipfs";

struct MountEntry {
  std::string device;       // "MAJ:MIN", as below /sys/class/bdi
  std::string mount_point;
  std::string type;         // "ext4", "fuse.gzipfs"
  std::string source;       // a device; of our mounts, the store
};

// Every mount this process sees, in the order of mounting.
Result<std::vector<MountEntry>> ReadMounts();

// The same from the text of a mountinfo file; lines it cannot read are left out.
std::vector<MountEntry> ParseMounts(std::string_view text);

// The mount that `path` (absolute, without symlinks) lies in: the one with the
// longest mount point, of several on one the last.
std::optional<MountEntry> FindMountOf(const std::vector<MountEntry>& mounts,
                                      std::string_view path);

// True when `path` is `directory` or lies below it; both absolute, clean.
bool IsInside(std::string_view path, std::string_view directory);

}  // namespace gzipfs
