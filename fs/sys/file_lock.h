// A lock on a file that the kernel drops when its holder dies.
#pragma once

#include <sys/types.h>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

enum class LockKind {
  kShared,     // beside other shared ones
  kExclusive,  // alone
};

// Takes a lock (flock(2)) on the open file `fd`, without waiting; it goes with
// the last descriptor of that open file. EWOULDBLOCK when somebody has one that
// stands against it.
Result<void> TryLockFile(int fd, LockKind kind);

// True when somebody has the file behind `fd`, which was opened for reading, open
// for writing at this moment. False also where that cannot be told (fcntl(2),
// F_SETLEASE: only by the file's owner, and not on every filesystem).
bool HasWriter(int fd);

}  // namespace gzipfs
