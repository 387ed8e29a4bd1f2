// Files that many threads write at once, each under a temporary name beside its
// target, until it is complete.
//
// The name tells a later run that it may be removed: it is of a shape of its own,
// and its writer holds a lock on it for as long as he lives.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// What to do where an owner may not be given to a file.
enum class OwnerRule : uint8_t {
  kMust,         // EPERM
  kIfPermitted,  // it stays, and set-user-ID and set-group-ID bits are left out
};

// Gives the object behind `to_fd` owner, mode, extended attributes (ACLs among
// them) and times of the one behind `from_fd`, whose status is `like`. Descriptors
// may be O_PATH; of a symlink the mode is left out.
Result<void> CopyObjectStatus(int from_fd, const struct stat& like, int to_fd, OwnerRule rule);

// Move-only; removes what it has written unless that has appeared. One thread at
// a time.
class NewFile {
 public:
  // A new, locked file in `directory`, readable and writable by its owner alone.
  static Result<NewFile> Create(const std::string& directory);
  // The same in a directory that is found as tools/tree_place.h finds it.
  static Result<NewFile> CreateInTree(const std::string& directory);
  ~NewFile();
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;

  int fd() const { return fd_.get(); }
  const std::string& temporary_path() const { return path_; }

  // Gives it the last part of `target` as its name, in the same directory; `replaces`: in
  // the place of another file, else EEXIST when there is one.
  Result<void> Appear(const std::string& target, bool replaces);

 private:
  NewFile() = default;
  static Result<NewFile> CreateIn(Result<UniqueFd> directory, const std::string& path);

  UniqueFd directory_;  // O_PATH
  UniqueFd fd_;
  std::string name_;    // in it; empty once it has another one
  std::string path_;
};

// A name such as NewFile gives, for a link to be renamed.
std::string TemporaryName();

// True for names that NewFile gives.
bool IsTemporaryName(std::string_view name);

// Removes `path` (absolute, in a tree as tools/tree_place.h has it), of such a name, if its
// writer is gone; false when he is not.
Result<bool> RemoveLeftover(const std::string& path);

}  // namespace gzipfs
