// Closing of a descriptor.
//
// close(2) is called once and its result is not looked at: Linux has let go of
// the descriptor even when it answers EINTR, and the errors of written data
// are asked for with fsync(2), which is where a caller can still act on them.
#include "fs/sys/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include "fs/sys/retry.h"

namespace gzipfs {

void UniqueFd::Reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<UniqueFd> Duplicate(int fd) {
  const int copy = RetryInterrupted([&] { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); });
  if (copy < 0) return Fail(errno);
  return UniqueFd(copy);
}

}  // namespace gzipfs
