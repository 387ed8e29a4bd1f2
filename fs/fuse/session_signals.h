// SIGTERM, SIGINT, SIGHUP and SIGQUIT end a mount in good order; a second one hurries.
#pragma once

#include <pthread.h>

#include <functional>
#include <string>
#include <thread>

#include "codec/base/mutex.h"
#include "fs/fuse/session_mount.h"

namespace gzipfs {

// Keeps the signals that end a process from this thread and all it starts
// from now on, for good: they only pend. SIGPIPE is ignored.
void BlockEndSignals();

// Both are called on threads of the caller's.
struct EndActions {
  // Has the kernel hand over what it has gathered of unwritten data; may wait for
  // those who serve, until the mount is taken down.
  std::function<void()> collect;
  // Makes everything end soon. Must not wait.
  std::function<void()> hurry;
};

// Waits for those signals on a thread of its own. At the first one it collects, while
// the mount still serves, and then ends the serving. The second one hurries, whatever
// the daemon is at by then. Later ones change nothing.
// REQUIRES: BlockEndSignals() was called before any thread was started.
class EndSignals {
 public:
  // `mount` and what the actions use must outlive it.
  EndSignals(FuseMount& mount, std::string mount_point, EndActions actions);
  // To be destroyed when there is nothing left to hurry. REQUIRES: the mount was
  // taken down, so that what waits for an answer of it waits no more.
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  // Serve has returned: its thread is not to be woken any more.
  void ServingEnded() EXCLUDES(mutex_);

 private:
  void WaitForSignals() EXCLUDES(mutex_);
  void EndServing() EXCLUDES(mutex_);
  bool has_ended() EXCLUDES(mutex_);

  FuseMount& mount_;
  const std::string mount_point_;
  const EndActions actions_;
  Mutex mutex_;
  CondVar ended_changed_;
  bool has_ended_ GUARDED_BY(mutex_) = false;
  std::jthread ender_;  // of the waiter's making
  std::jthread waiter_;
};

}  // namespace gzipfs
