// One openat(2) for each part of a path; openat2(2) could do it in one call, but
// not in every container.
#include "tools/tree_place.h"

#include <fcntl.h>

#include <algorithm>

#include "fs/sys/file_ops.h"

namespace gzipfs {

Result<TreePlace> PlaceInTree(const std::string& path) {
  if (!path.starts_with('/')) return Fail(EINVAL);
  FileOps& ops = RealFileOps();
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  Result<UniqueFd> directory = ops.OpenAt(AT_FDCWD, "/", kFlags, 0);
  std::string name = ".";
  for (size_t at = 1; directory && at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) {
      if (name != ".") directory = ops.OpenAt(directory->get(), name.c_str(), kFlags, 0);
      name = path.substr(at, end - at);
    }
    at = end + 1;
  }
  if (!directory) return Fail(directory.error());
  return TreePlace{std::move(*directory), std::move(name)};
}

Result<UniqueFd> OpenInTree(const std::string& path, int flags) {
  const Result<TreePlace> place = PlaceInTree(path);
  if (!place) return Fail(place.error());
  return RealFileOps().OpenAt(place->dir_fd(), place->c_name(), flags | O_NOFOLLOW, 0);
}

Result<struct stat> StatInTree(const std::string& path) {
  const Result<TreePlace> place = PlaceInTree(path);
  if (!place) return Fail(place.error());
  return RealFileOps().StatAt(place->dir_fd(), place->c_name());
}

Result<void> SyncDirectoryInTree(const std::string& path) {
  const Result<UniqueFd> fd = OpenInTree(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return Fail(fd.error());
  return RealFileOps().SyncAll(fd->get());
}

}  // namespace gzipfs
