// Owns a file descriptor.
#pragma once

#include <utility>

#include "codec/base/result.h"

namespace gzipfs {

// Closes its descriptor when it goes. Movable, not copyable; one thread at a
// time, as any value.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { Reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset();

 private:
  int fd_ = -1;
};

// Another descriptor for the same open file (F_DUPFD_CLOEXEC).
Result<UniqueFd> Duplicate(int fd);

}  // namespace gzipfs
