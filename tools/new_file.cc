// The random number in a name is 64 bits: nobody else's file is ever met.
#include "tools/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>

#include "fs/sys/at.h"
#include "fs/sys/file_lock.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/xattr.h"
#include "tools/tree_place.h"

namespace gzipfs {
namespace {

constexpr std::string_view kNewPrefix = ".gzipfs-new.";
constexpr std::string_view kNewSuffix = ".tmp";
constexpr size_t kNewDigits = 16;
constexpr mode_t kPrivateMode = 0600;
constexpr mode_t kAllModeBits = 07777;
constexpr mode_t kPlainModeBits = 01777;

bool IsErrno(std::error_code error, int errno_value) {
  return error == std::error_code(errno_value, std::system_category());
}

}  // namespace

Result<void> CopyObjectStatus(int from_fd, const struct stat& like, int to_fd, OwnerRule rule) {
  const bool is_symlink = S_ISLNK(like.st_mode);
  mode_t mode = like.st_mode & kAllModeBits;
  const Result<struct stat> now = RealFileOps().Stat(to_fd);
  if (!now) return Fail(now.error());
  if (now->st_uid != like.st_uid || now->st_gid != like.st_gid) {
    const Result<void> owned = ChangeOwner(to_fd, like.st_uid, like.st_gid);
    const bool may_stay = rule == OwnerRule::kIfPermitted && !owned &&
                          IsErrno(owned.error(), EPERM);
    if (!owned && !may_stay) return owned;
    if (!owned) {
      // The group alone may be one of ours.
      (void)ChangeOwner(to_fd, static_cast<uid_t>(-1), like.st_gid);
      if (!S_ISDIR(like.st_mode)) mode &= kPlainModeBits;
    }
  }
  if (!is_symlink) GZIPFS_TRY(ChangeMode(to_fd, mode));
  const Result<void> attributes = CopyXattrs(from_fd, to_fd);
  if (!attributes) {
    const bool may_miss = rule == OwnerRule::kIfPermitted &&
                          (IsErrno(attributes.error(), EPERM) ||
                           IsErrno(attributes.error(), EOPNOTSUPP));
    if (!may_miss) return attributes;
  }
  const timespec times[2] = {like.st_atim, like.st_mtim};
  return ChangeTimes(to_fd, times);
}

std::string TemporaryName() {
  static std::atomic<uint64_t> count{0};
  thread_local std::random_device random;
  // Different in one process by the count, in others by chance.
  const uint64_t number = (uint64_t{random()} << 32 | random()) + count++;
  return fmt::format("{}{:0{}x}{}", kNewPrefix, number, kNewDigits, kNewSuffix);
}

Result<NewFile> NewFile::Create(const std::string& directory) {
  const std::string path = directory.empty() ? "." : directory;
  return CreateIn(RealFileOps().OpenAt(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY, 0), path);
}

Result<NewFile> NewFile::CreateInTree(const std::string& directory) {
  return CreateIn(OpenInTree(directory, O_PATH | O_DIRECTORY), directory);
}

Result<NewFile> NewFile::CreateIn(Result<UniqueFd> directory, const std::string& path) {
  if (!directory) return Fail(directory.error());
  NewFile file;
  const std::string name = TemporaryName();
  Result<UniqueFd> fd = RealFileOps().OpenAt(directory->get(), name.c_str(),
                                             O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, kPrivateMode);
  if (!fd) return Fail(fd.error());
  file.directory_ = std::move(*directory);
  file.fd_ = std::move(*fd);
  file.name_ = name;
  file.path_ = path + "/" + name;
  // Between these two calls another run may have taken it for a leftover.
  GZIPFS_TRY(TryLockFile(file.fd(), LockKind::kExclusive));
  return file;
}

NewFile::NewFile(NewFile&& other) noexcept
    : directory_(std::move(other.directory_)),
      fd_(std::move(other.fd_)),
      name_(std::exchange(other.name_, {})),
      path_(std::move(other.path_)) {}

NewFile::~NewFile() {
  // Best effort: the reason to go was told already.
  if (!name_.empty()) (void)RealFileOps().UnlinkAt(directory_.get(), name_.c_str(), 0);
}

Result<void> NewFile::Appear(const std::string& target, bool replaces) {
  FileOps& ops = RealFileOps();
  const std::string name = target.substr(target.rfind('/') + 1);
  const int dir_fd = directory_.get();
  const unsigned flags = replaces ? 0 : RENAME_NOREPLACE;
  Result<void> renamed = ops.RenameAt(dir_fd, name_.c_str(), dir_fd, name.c_str(), flags);
  if (!renamed && IsErrno(renamed.error(), EINVAL) && !replaces) {
    // A filesystem without RENAME_NOREPLACE.
    if (ops.StatAt(dir_fd, name.c_str())) return Fail(EEXIST);
    renamed = ops.RenameAt(dir_fd, name_.c_str(), dir_fd, name.c_str(), 0);
  }
  if (renamed) name_.clear();
  return renamed;
}

bool IsTemporaryName(std::string_view name) {
  if (name.size() != kNewPrefix.size() + kNewDigits + kNewSuffix.size()) return false;
  const std::string_view digits = name.substr(kNewPrefix.size(), kNewDigits);
  return name.starts_with(kNewPrefix) && name.ends_with(kNewSuffix) &&
         std::all_of(digits.begin(), digits.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<bool> RemoveLeftover(const std::string& path) {
  FileOps& ops = RealFileOps();
  const Result<TreePlace> place = PlaceInTree(path);
  if (!place) return Fail(place.error());
  const Result<UniqueFd> fd =
      ops.OpenAt(place->dir_fd(), place->c_name(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (!fd) return Fail(fd.error());
  const Result<struct stat> status = ops.Stat(fd->get());
  if (!status) return Fail(status.error());
  if (!S_ISREG(status->st_mode) || !TryLockFile(fd->get(), LockKind::kExclusive)) return false;
  GZIPFS_TRY(ops.UnlinkAt(place->dir_fd(), place->c_name(), 0));
  return true;
}

}  // namespace gzipfs
