// How the daemon tells whoever started it that the mount answers, or why not.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "codec/base/mutex.h"
#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// The starting side of the daemon: one report, through a pipe, or to stderr
// where the daemon is in the foreground. Thread-safe.
class StartReport {
 public:
  // In the foreground.
  StartReport() = default;
  // In the background: `pipe_fd` is the writing end.
  explicit StartReport(UniqueFd pipe_fd) : pipe_fd_(std::move(pipe_fd)) {}

  // The mount answers. Reports after the first one are not made.
  void Ready() EXCLUDES(mutex_);
  // It never will, for the reason that `sentence` (without "gzipfs: ") gives.
  void Fail(std::string_view sentence) EXCLUDES(mutex_);
  // True once Ready was reported.
  bool was_ready() const EXCLUDES(mutex_);

 private:
  enum class State : uint8_t { kOpen, kReady, kFailed };
  void Send(char kind, std::string_view text) REQUIRES(mutex_);

  mutable Mutex mutex_;
  UniqueFd pipe_fd_ GUARDED_BY(mutex_);  // empty in the foreground
  State state_ GUARDED_BY(mutex_) = State::kOpen;
};

// Says "gzipfs: sentence" on stderr.
void SayOnStderr(std::string_view sentence);

// What became of a fork: in the child a report to fill, in the parent the
// child and the other end of the pipe.
struct DaemonFork {
  pid_t child_pid = 0;  // 0 in the child
  UniqueFd pipe_fd;     // in the child for writing, in the parent for reading
};

// Forks; the child leaves session and directory of its parent behind.
// REQUIRES: this process has one thread.
Result<DaemonFork> ForkDaemon();

// In the parent: waits for the report. Nothing when the daemon is ready, else
// why it is not.
tl::expected<void, std::string> AwaitReport(int pipe_fd);

}  // namespace gzipfs
