// SIGTERM, SIGINT and SIGHUP end a mount in good order.
#pragma once

#include <pthread.h>

#include <string>
#include <thread>

#include "codec/base/mutex.h"
#include "fs/fuse/session_mount.h"

namespace gzipfs {

// Keeps the signals that end a process from this thread and all it starts
// from now on, for good: they only pend. SIGPIPE is ignored.
void BlockEndSignals();

// Waits for those signals on a thread of its own. At the first one it has the
// kernel hand over what it has gathered of unwritten data, while the mount
// still serves, and then ends the serving. Later ones change nothing.
// REQUIRES: BlockEndSignals() was called before any thread was started.
class EndSignals {
 public:
  // `mount` must outlive it.
  EndSignals(FuseMount& mount, std::string mount_point);
  // To be destroyed after Serve has returned.
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

 private:
  void WaitForSignal() EXCLUDES(mutex_);
  void EndServing() EXCLUDES(mutex_);

  FuseMount& mount_;
  const std::string mount_point_;
  Mutex mutex_;
  CondVar stop_changed_;
  bool stops_ GUARDED_BY(mutex_) = false;
  std::jthread waiter_;
};

}  // namespace gzipfs
