// The report is one byte for its kind, then its text, then the end of the pipe.
#include "fs/fuse/session_start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

constexpr char kReady = 'R';
constexpr char kFailed = 'F';
constexpr size_t kMaxReportBytes = 4096;

}  // namespace

void SayOnStderr(std::string_view sentence) {
  const std::string line = fmt::format("gzipfs: {}\n", sentence);
  // Nobody is left to be told when stderr itself fails.
  static_cast<void>(WriteStream(STDERR_FILENO, std::as_bytes(std::span(line))));
}

void StartReport::Ready() {
  MutexLock lock(mutex_);
  if (state_ != State::kOpen) return;
  state_ = State::kReady;
  Send(kReady, {});
}

void StartReport::Fail(std::string_view sentence) {
  MutexLock lock(mutex_);
  if (state_ != State::kOpen) return;
  state_ = State::kFailed;
  Send(kFailed, sentence);
}

bool StartReport::was_ready() const {
  MutexLock lock(mutex_);
  return state_ == State::kReady;
}

void StartReport::Send(char kind, std::string_view text) {
  if (!pipe_fd_) {
    if (kind == kFailed) SayOnStderr(text);
    return;
  }
  const std::string report = kind + std::string(text);
  // When the parent has gone there is nobody to hear it.
  static_cast<void>(WriteStream(pipe_fd_.get(), std::as_bytes(std::span(report))));
  pipe_fd_.Reset();
}

Result<DaemonFork> ForkDaemon() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Fail(errno);
  UniqueFd for_reading(ends[0]);
  UniqueFd for_writing(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return Fail(errno);
  if (pid > 0) return DaemonFork{.child_pid = pid, .pipe_fd = std::move(for_reading)};
  ::setsid();
  if (::chdir("/") != 0) return Fail(errno);
  return DaemonFork{.child_pid = 0, .pipe_fd = std::move(for_writing)};
}

tl::expected<void, std::string> AwaitReport(int pipe_fd) {
  std::string report(kMaxReportBytes, '\0');
  const Result<size_t> count = ReadStream(pipe_fd, std::as_writable_bytes(std::span(report)));
  report.resize(count.value_or(0));
  if (report.empty()) return tl::unexpected(std::string("the daemon ended before it had begun"));
  if (report.front() == kReady) return {};
  return tl::unexpected(report.substr(1));
}

}  // namespace gzipfs
