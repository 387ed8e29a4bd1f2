// The kernel names our store as the source of the mount.
#include "tools/store_path.h"

#include <filesystem>

#include "fs/sys/mounts.h"

namespace gzipfs {

Result<std::string> FindStoreFile(const std::string& path) {
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  if (error) return Fail(error);
  const Result<std::vector<MountEntry>> mounts = ReadMounts();
  if (!mounts) return path;
  const std::optional<MountEntry> mount = FindMountOf(*mounts, real);
  if (!mount || mount->type != kMountType || !mount->source.starts_with('/')) return path;
  const std::string base = mount->source + real.substr(mount->mount_point.size());
  for (const std::string& name : {base, base + ".gz"}) {
    if (std::filesystem::exists(std::filesystem::symlink_status(name, error))) return name;
  }
  return Fail(ENOENT);
}

}  // namespace gzipfs
