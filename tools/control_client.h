// Talks to the daemon of a mount, as fs/fuse/control.h lays down.
#pragma once

#include <string>

#include "codec/base/result.h"
#include "fs/fuse/control.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// A directory of a mount, held open: while it is, unmounting finds it busy.
// One thread at a time.
class ControlClient {
 public:
  // ENOTTY when `directory` is not in a gzipfs mount.
  static Result<ControlClient> Open(const std::string& directory);

  // What the daemon said about itself when the client was opened.
  const ControlStatus& status() const { return status_; }
  // Returns when every file is settled; the first error there was.
  Result<void> Settle();

 private:
  UniqueFd fd_;
  ControlStatus status_{};
};

}  // namespace gzipfs
