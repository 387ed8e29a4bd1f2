// What the kernel takes from a file when somebody changes its bytes: its
// capabilities (capabilities(7)) and, of a process without CAP_FSETID, its set-id
// bits. That is meant for programs; when the daemon brings their bytes into a base,
// later, it must not happen once more, and nobody may see that it did for a moment:
// who finds no capabilities before a write takes none away.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "codec/base/mutex.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// The extended attribute that capabilities are in.
inline constexpr char kCapabilityXattr[] = "security.capability";

class KeptPrivileges;

// Reads a file's attributes such that what a KeptPrivileges is about to give back is
// there all the time. One for each file that is written to. Thread-safe. Each call is
// given a descriptor of the file, of any kind.
class PrivilegeView {
 public:
  // As FileOps::Stat.
  Result<struct stat> Stat(FileOps& ops, int fd) const EXCLUDES(mutex_);
  // The value of kCapabilityXattr; ENODATA when there is none.
  Result<std::vector<std::byte>> Capability(int fd) const EXCLUDES(mutex_);

 private:
  friend class KeptPrivileges;

  mutable Mutex mutex_;  // innermost; held across fstat and getxattr alone
  const KeptPrivileges* kept_ GUARDED_BY(mutex_) = nullptr;
};

// Notes a file's privileges when constructed, and gives back what was lost of them
// when destroyed, as far as this process may. Who takes some away on purpose has to
// be kept out meanwhile: it would be undone. One thread.
class KeptPrivileges {
 public:
  // `fd`, of a regular file, and `view` outlive it; the view, if there is one, shows
  // meanwhile what was noted, unless another one's is shown. Nothing happens unless
  // `may_have_any`.
  explicit KeptPrivileges(int fd, PrivilegeView* view = nullptr, bool may_have_any = true);
  ~KeptPrivileges();
  KeptPrivileges(const KeptPrivileges&) = delete;
  KeptPrivileges& operator=(const KeptPrivileges&) = delete;

  // Whether there was something to keep.
  bool has_any() const { return mode_ != 0 || !capability_.empty(); }

 private:
  friend class PrivilegeView;

  const int fd_;
  PrivilegeView* const view_;
  mode_t mode_ = 0;  // with set-id bits, or 0
  std::vector<std::byte> capability_;
};

// Gives `to_fd` what `from_fd` has of privileges and it has not, as far as this
// process may. True when `from_fd` has any.
bool GivePrivileges(int from_fd, int to_fd);

// Whether `from_fd` has privileges that `to_fd` has not, or not the same.
bool HasOtherPrivileges(int from_fd, int to_fd);

// Takes all privileges from the file behind `fd`.
Result<void> RemovePrivileges(int fd);

}  // namespace gzipfs
