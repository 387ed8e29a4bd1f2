// Finding the files that redo logs are for, by their inode numbers.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "fs/store/content.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// A name in the store. While no file is open nobody changes it. The root
// descriptor given to Open and Hold must be the store's.
class RecoveryPlace final : public BasePlace {
 public:
  RecoveryPlace() = default;
  RecoveryPlace(std::string dir_path, std::string name)
      : dir_path_(std::move(dir_path)), name_(std::move(name)) {}

  // Relative to the store's root.
  std::string path() const { return dir_path_.empty() ? name_ : dir_path_ + "/" + name_; }
  Result<UniqueFd> Open(FileOps& ops, int root_fd, int flags) const;

  // Opens the directory, for WithPlace.
  void Hold(FileOps& ops, int root_fd);
  Result<void> WithPlace(
      const std::function<Result<void>(int dir_fd, const char* name)>& action) override;
  std::string Describe() const override { return path(); }
  void BaseReplaced(const struct stat& new_base) override;

 private:
  std::string dir_path_;
  std::string name_;
  UniqueFd dir_;
};

using PlaceMap = std::map<uint64_t, RecoveryPlace>;  // by inode number

// Opens a directory by its path from `root_fd`, however long that is.
Result<UniqueFd> OpenDirectoryPath(FileOps& ops, int root_fd, const std::string& path);

// Every regular file that was changed at or after `since`, by its change time,
// and whose name ends in `suffix`.
Result<std::vector<RecoveryPlace>> FindChangedSince(FileOps& ops, int root_fd,
                                                    const timespec& since,
                                                    const std::string& suffix);

// One place for each of `inos` that a regular file in the store has. The
// private directory is not looked into.
Result<PlaceMap> FindPlacesOf(FileOps& ops, int root_fd, std::span<const uint64_t> inos);

}  // namespace gzipfs
