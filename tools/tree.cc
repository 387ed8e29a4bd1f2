// Each directory is opened from the one it was listed in, and objects are found as
// tools/tree_place.h says.
#include "tools/tree.h"

#include <fcntl.h>

#include <algorithm>

#include "fs/store/store.h"
#include "fs/sys/at.h"
#include "fs/sys/file_ops.h"
#include "tools/tree_place.h"

namespace gzipfs {
namespace {

constexpr mode_t kUnfinishedMode = 0700;

struct TreeWalk {
  const std::string& root;
  const TreeComplaint& complain;
  std::vector<std::string>* temporaries;
  std::vector<TreeEntry> entries;

  // The directory `name` in the one open as `parent_fd`.
  void Enter(int parent_fd, const std::string& name, const std::string& path) {
    const std::string full = PathBelow(root, path);
    FileOps& ops = RealFileOps();
    const Result<UniqueFd> fd =
        ops.OpenAt(parent_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (!fd) return complain(full, fd.error());
    Result<std::vector<DirectoryItem>> items = ops.List(fd->get());
    if (!items) return complain(full, items.error());
    std::sort(items->begin(), items->end(),
              [](const DirectoryItem& a, const DirectoryItem& b) { return a.name < b.name; });
    for (const DirectoryItem& item : *items) Add(fd->get(), path, item.name);
  }

  void Add(int dir_fd, const std::string& directory, const std::string& name) {
    const std::string path = directory.empty() ? name : directory + "/" + name;
    const Result<struct stat> status = RealFileOps().StatAt(dir_fd, name.c_str());
    if (!status) return complain(PathBelow(root, path), status.error());
    if (temporaries != nullptr && S_ISREG(status->st_mode) && IsTemporaryName(name)) {
      temporaries->push_back(PathBelow(root, path));
      return;
    }
    const bool is_directory = S_ISDIR(status->st_mode);
    if (is_directory && name == kPrivateDirName) return;
    entries.push_back({path, *status});
    if (is_directory) Enter(dir_fd, name, path);
  }
};

Result<void> CopyStatusByPath(const std::string& from, const struct stat& status,
                              const std::string& to) {
  const Result<UniqueFd> from_fd = OpenInTree(from, O_PATH);
  if (!from_fd) return Fail(from_fd.error());
  const Result<UniqueFd> to_fd = OpenInTree(to, O_PATH);
  if (!to_fd) return Fail(to_fd.error());
  return CopyObjectStatus(from_fd->get(), status, to_fd->get(), OwnerRule::kIfPermitted);
}

}  // namespace

std::vector<TreeEntry> ListTree(const std::string& root, const TreeComplaint& complain,
                                std::vector<std::string>* temporaries) {
  TreeWalk walk{root, complain, temporaries, {}};
  const Result<TreePlace> place = PlaceInTree(root);
  const Result<struct stat> status =
      place ? RealFileOps().StatAt(place->dir_fd(), place->c_name()) : Fail(place.error());
  if (!status) {
    complain(root, status.error());
    return {};
  }
  walk.entries.push_back({"", *status});
  if (S_ISDIR(status->st_mode)) walk.Enter(place->dir_fd(), place->name, "");
  return std::move(walk.entries);
}

Result<void> MakeLike(const std::string& from, const struct stat& status,
                      const std::string& to) {
  const Result<TreePlace> place = PlaceInTree(to);
  if (!place) return Fail(place.error());
  if (S_ISDIR(status.st_mode)) {
    const Result<void> made = MakeDirectoryAt(place->dir_fd(), place->c_name(), kUnfinishedMode);
    if (made) return {};
    const Result<struct stat> there = RealFileOps().StatAt(place->dir_fd(), place->c_name());
    return there && S_ISDIR(there->st_mode) ? Result<void>() : made;
  }
  if (S_ISLNK(status.st_mode)) {
    const Result<UniqueFd> fd = OpenInTree(from, O_PATH);
    if (!fd) return Fail(fd.error());
    const Result<std::string> target = ReadLinkOf(fd->get());
    if (!target) return Fail(target.error());
    GZIPFS_TRY(MakeSymlinkAt(target->c_str(), place->dir_fd(), place->c_name()));
  } else {
    GZIPFS_TRY(MakeNodeAt(place->dir_fd(), place->c_name(),
                          (status.st_mode & S_IFMT) | kUnfinishedMode, status.st_rdev));
  }
  return CopyStatusByPath(from, status, to);
}

Result<void> CompleteDirectory(const std::string& from, const struct stat& status,
                               const std::string& to) {
  return CopyStatusByPath(from, status, to);
}

std::string PathBelow(const std::string& directory, const std::string& path) {
  if (path.empty()) return directory;
  return directory.ends_with('/') ? directory + path : directory + "/" + path;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace gzipfs
