// posix_spawn rather than fork, so that threads do not matter.
#include "fs/sys/process.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <thread>

#include "fs/sys/stderr_capture.h"
#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

// For the signal handler alone, hence plain bytes: the path, and whether it
// is to be removed.
char removable_path[PATH_MAX];
std::atomic<bool> has_removable_path{false};

void RemoveAndEnd(int signal_number) {
  if (has_removable_path) ::unlink(removable_path);
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

std::atomic<bool> was_interrupted{false};

void NoteInterrupt(int) { was_interrupted = true; }

}  // namespace

std::string BootId() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  return id;
}

void CatchInterrupt() {
  // Comes to who holds a lease when it is broken (HasWriter), and ends a process.
  ::signal(SIGIO, SIG_IGN);
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old {};
    if (::sigaction(signal_number, nullptr, &old) != 0 || old.sa_handler != SIG_DFL) continue;
    struct sigaction action {};
    action.sa_handler = NoteInterrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(signal_number, &action, nullptr);
  }
}

bool WasInterrupted() { return was_interrupted; }

Result<int> WaitForChild(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return Fail(errno);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

uint64_t MachineMemoryBytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  return pages < 0 ? 0 : static_cast<uint64_t>(pages) * static_cast<uint64_t>(::getpagesize());
}

Result<ProgramResult> RunProgram(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  StderrCapture capture;
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (error != 0) return Fail(error);
  const Result<int> status = WaitForChild(pid);
  if (!status) return Fail(status.error());
  return ProgramResult{.exit_status = *status, .error_text = capture.End()};
}

Result<UniqueFd> WatchProcess(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return Fail(errno);
  return fd;
}

Result<void> WaitForExit(int watch_fd) {
  pollfd event{.fd = watch_fd, .events = POLLIN, .revents = 0};
  while (::poll(&event, 1, -1) < 0) {
    if (errno != EINTR) return Fail(errno);
  }
  return {};
}

void LowerThreadPriority() {
  constexpr int kNice = 5;
  // On Linux a number that is no process group's but a thread's means that thread.
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
}

void ShareFreedMemory() {
#ifdef M_ARENA_MAX
  // A block of 64 KiB costs its thread 0.1 ms and a handful of calls of malloc, each of which
  // holds the arena's lock for less than a microsecond.
  constexpr unsigned kCoresPerArena = 8;
  // Blocks, requests and what is made of them are smaller: they are not mapped, faulted in
  // and unmapped each time.
  constexpr int kMappedBytes = 8 << 20;
  constexpr int kKeptFreeBytes = 16 << 20;  // at an arena's end
  const unsigned arena_count = std::max(std::thread::hardware_concurrency() / kCoresPerArena, 1u);
  (void)::mallopt(M_ARENA_MAX, static_cast<int>(arena_count));
  (void)::mallopt(M_MMAP_THRESHOLD, kMappedBytes);
  (void)::mallopt(M_TRIM_THRESHOLD, kKeptFreeBytes);
#endif
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<void> DetachStandardStreams(bool keep_stderr) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return Fail(errno);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fd == STDERR_FILENO && keep_stderr) continue;
    if (::dup2(null.get(), fd) < 0) return Fail(errno);
  }
  return {};
}

void RemoveOnSignal(const std::string& path) {
  has_removable_path = false;
  if (path.empty() || path.size() >= sizeof removable_path) return;
  ::strcpy(removable_path, path.c_str());
  has_removable_path = true;
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    struct sigaction old {};
    if (::sigaction(signal_number, nullptr, &old) != 0 || old.sa_handler != SIG_DFL) continue;
    struct sigaction action {};
    action.sa_handler = RemoveAndEnd;
    ::sigaction(signal_number, &action, nullptr);
  }
}

}  // namespace gzipfs
