// A walk through the whole store: directories are read, files only seen.
#include "fs/store/recovery_places.h"

#include <dirent.h>
#include <fcntl.h>

#include <unordered_set>

#include "fs/store/store.h"
#include "fs/sys/at.h"

namespace gzipfs {

Result<UniqueFd> OpenDirectoryPath(FileOps& ops, int root_fd, const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  Result<UniqueFd> dir = ops.OpenAt(root_fd, ".", kFlags, 0);
  for (size_t begin = 0; dir && begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    dir = ops.OpenAt(dir->get(), path.substr(begin, end - begin).c_str(), kFlags, 0);
    begin = end + 1;
  }
  return dir;
}

Result<UniqueFd> RecoveryPlace::Open(FileOps& ops, int root_fd, int flags) const {
  const Result<UniqueFd> dir = OpenDirectoryPath(ops, root_fd, dir_path_);
  if (!dir) return Fail(dir.error());
  return ops.OpenAt(dir->get(), name_.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
}

void RecoveryPlace::Hold(FileOps& ops, int root_fd) {
  Result<UniqueFd> dir = OpenDirectoryPath(ops, root_fd, dir_path_);
  if (dir) dir_ = std::move(*dir);
}

Result<void> RecoveryPlace::WithPlace(
    const std::function<Result<void>(int dir_fd, const char* name)>& action) {
  if (!dir_) return Fail(ENOENT);
  return action(dir_.get(), name_.c_str());
}

void RecoveryPlace::BaseReplaced(const struct stat& new_base) { static_cast<void>(new_base); }

namespace {

// Calls `see` with every regular file outside the private directory, its
// directory and that one's path; ends when it returns false.
Result<void> WalkFiles(FileOps& ops, int root_fd,
                       const std::function<bool(const DirectoryItem& item, int dir_fd,
                                                const std::string& dir_path)>& see) {
  std::vector<std::string> unread{""};
  while (!unread.empty()) {
    const std::string path = std::move(unread.back());
    unread.pop_back();
    const Result<UniqueFd> dir = OpenDirectoryPath(ops, root_fd, path);
    if (!dir) return Fail(dir.error());
    const auto items = ops.List(dir->get());
    if (!items) return Fail(items.error());
    for (const DirectoryItem& item : *items) {
      if (path.empty() && item.name == kPrivateDirName) continue;
      if (item.type == DT_DIR) unread.push_back(path.empty() ? item.name : path + "/" + item.name);
      if (item.type == DT_REG && !see(item, dir->get(), path)) return {};
    }
  }
  return {};
}

bool IsBefore(const timespec& a, const timespec& b) {
  return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

}  // namespace

Result<PlaceMap> FindPlacesOf(FileOps& ops, int root_fd, std::span<const uint64_t> inos) {
  const std::unordered_set<uint64_t> wanted(inos.begin(), inos.end());
  PlaceMap places;
  GZIPFS_TRY(WalkFiles(ops, root_fd,
                       [&](const DirectoryItem& item, int, const std::string& dir_path) {
                         if (wanted.contains(item.ino)) {
                           places.try_emplace(item.ino, dir_path, item.name);
                         }
                         return places.size() < wanted.size();
                       }));
  return places;
}

Result<std::vector<RecoveryPlace>> FindChangedSince(FileOps& ops, int root_fd,
                                                    const timespec& since,
                                                    const std::string& suffix) {
  std::vector<RecoveryPlace> places;
  GZIPFS_TRY(WalkFiles(ops, root_fd,
                       [&](const DirectoryItem& item, int dir_fd, const std::string& dir_path) {
                         if (!item.name.ends_with(suffix)) return true;
                         const auto attributes = ops.StatAt(dir_fd, item.name.c_str());
                         if (attributes && !IsBefore(attributes->st_ctim, since)) {
                           places.emplace_back(dir_path, item.name);
                         }
                         return true;
                       }));
  return places;
}

}  // namespace gzipfs
