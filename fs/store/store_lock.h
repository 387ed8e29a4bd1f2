// What the store's lock file says.
//
// Three lines of fixed width: the number of the process that writes to the store;
// the boot id of the kernel it runs on; how that process left the store. A number
// of blanks says that it came to its end and nothing is left to recover. The file
// is as long in every state but the last, so that a store on a full disk can still
// be mounted, and emptied.
#pragma once

#include <string>

#include "fs/sys/file_ops.h"

namespace gzipfs {

struct StoreLockText {
  enum class Left { kNothing, kLogs, kLoss };
  long pid = 0;                // 0: nobody; -1: not known
  std::string boot_id = {};   // 36 bytes, or another word
  Left left = Left::kNothing;  // kLogs: the logs have all that is missing; kLoss: they have not

  std::string Encode() const;
};

// What `lock_fd` says; of a process that is not known when it cannot be read.
StoreLockText ReadStoreLock(FileOps& ops, int lock_fd);

}  // namespace gzipfs
