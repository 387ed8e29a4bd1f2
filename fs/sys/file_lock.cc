// flock rather than a record lock: it belongs to the open file, not to the
// process, and is seen through every path and mount namespace.
#include "fs/sys/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "fs/sys/retry.h"

namespace gzipfs {

Result<void> TryLockFile(int fd, LockKind kind) {
  const int operation = (kind == LockKind::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  return CheckCall([&] { return ::flock(fd, operation); });
}

bool HasWriter(int fd) {
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
    (void)::fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN;
}

}  // namespace gzipfs
