// What the kernel takes from a file when somebody changes its bytes: its
// capabilities (capabilities(7)) and, of a process without CAP_FSETID, its set-id
// bits. That is meant for programs; when the daemon brings their bytes into a base,
// later, it must not happen once more.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace gzipfs {

// Notes a file's privileges when constructed, and gives back what was lost of them
// when destroyed, as far as this process may. Who takes some away on purpose has to
// be kept out meanwhile: it would be undone. One thread.
class KeptPrivileges {
 public:
  // `fd`, of a regular file, outlives it. Nothing happens unless `may_have_any`.
  explicit KeptPrivileges(int fd, bool may_have_any = true);
  ~KeptPrivileges();
  KeptPrivileges(const KeptPrivileges&) = delete;
  KeptPrivileges& operator=(const KeptPrivileges&) = delete;

  // Whether there was something to keep.
  bool has_any() const { return mode_ != 0 || !capability_.empty(); }

 private:
  const int fd_;
  mode_t mode_ = 0;  // with set-id bits, or 0
  std::vector<std::byte> capability_;
};

}  // namespace gzipfs
