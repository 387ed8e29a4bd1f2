// Each function asks the hook and then makes the system call that it is named
// after. With GZIPFS_SHIM_LIBRARY, in the library that a daemon is made to load,
// the hook draws lots by GZIPFS_FAULT_SEED, and what was drawn is added to the
// file GZIPFS_FAULT_COUNTS when the process ends.
//
// Left out are calls that the test programs themselves make under way (stat, open),
// and those that cannot be told to be the store's (write, writev).
#include "tests/crash/syscall_shim.h"

#if GZIPFS_HAS_SHIM

#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace gzipfs::crash {
namespace {

std::atomic<ShimHook> current_hook{nullptr};

ShimFault NextFault(bool transfers) {
  const ShimHook hook = current_hook;
  return hook ? hook(transfers) : ShimFault::kNone;
}

// True when the call is to fail, with errno set.
bool IsInterrupted() {
  if (NextFault(false) != ShimFault::kInterrupt) return false;
  errno = EINTR;
  return true;
}

// How much of `byte_count` to transfer; -1, with errno set, when the call is to fail.
ssize_t Allowed(size_t byte_count) {
  switch (NextFault(true)) {
    case ShimFault::kInterrupt: errno = EINTR; return -1;
    case ShimFault::kHalf: return static_cast<ssize_t>(byte_count - byte_count / 2);
    case ShimFault::kOneByte: return byte_count > 0 ? 1 : 0;
    case ShimFault::kNone: break;
  }
  return static_cast<ssize_t>(byte_count);
}

// The first `byte_count` bytes of `parts`.
std::vector<iovec> FirstOf(const iovec* parts, int part_count, size_t byte_count) {
  std::vector<iovec> first;
  for (int i = 0; i < part_count && byte_count > 0; ++i) {
    first.push_back({parts[i].iov_base, std::min(parts[i].iov_len, byte_count)});
    byte_count -= first.back().iov_len;
  }
  return first;
}

size_t SumOf(const iovec* parts, int part_count) {
  size_t sum = 0;
  for (int i = 0; i < part_count; ++i) sum += parts[i].iov_len;
  return sum;
}

ssize_t TransferVector(long number, int fd, const iovec* parts, int part_count, off64_t offset) {
  const ssize_t allowed = Allowed(SumOf(parts, part_count));
  if (allowed < 0) return -1;
  const auto first = FirstOf(parts, part_count, static_cast<size_t>(allowed));
  return ::syscall(number, fd, first.data(), first.size(), offset, 0L);
}

}  // namespace

void SetShimHook(ShimHook hook) { current_hook = hook; }

}  // namespace gzipfs::crash

using gzipfs::crash::Allowed;
using gzipfs::crash::IsInterrupted;
using gzipfs::crash::TransferVector;

extern "C" {

ssize_t pread64(int fd, void* out, size_t byte_count, off64_t offset) {
  const ssize_t allowed = Allowed(byte_count);
  return allowed < 0 ? -1 : ::syscall(SYS_pread64, fd, out, allowed, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t byte_count, off64_t offset) {
  const ssize_t allowed = Allowed(byte_count);
  return allowed < 0 ? -1 : ::syscall(SYS_pwrite64, fd, bytes, allowed, offset);
}

ssize_t preadv64(int fd, const iovec* parts, int part_count, off64_t offset) {
  return TransferVector(SYS_preadv, fd, parts, part_count, offset);
}

ssize_t pwritev64(int fd, const iovec* parts, int part_count, off64_t offset) {
  return TransferVector(SYS_pwritev, fd, parts, part_count, offset);
}

ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset,
                        size_t byte_count, unsigned flags) {
  const ssize_t allowed = Allowed(byte_count);
  if (allowed < 0) return -1;
  return ::syscall(SYS_copy_file_range, from, from_offset, to, to_offset, allowed, flags);
}

int openat64(int dir_fd, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const int mode = va_arg(arguments, int);  // whatever is there when none was given
  va_end(arguments);
  if (IsInterrupted()) return -1;
  return static_cast<int>(::syscall(SYS_openat, dir_fd, path, flags, mode));
}

int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (command == F_DUPFD_CLOEXEC && IsInterrupted()) return -1;
  return static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
}

int fdatasync(int fd) {
  return IsInterrupted() ? -1 : static_cast<int>(::syscall(SYS_fdatasync, fd));
}

int fsync(int fd) { return IsInterrupted() ? -1 : static_cast<int>(::syscall(SYS_fsync, fd)); }

int ftruncate64(int fd, off64_t byte_count) noexcept {
  return IsInterrupted() ? -1 : static_cast<int>(::syscall(SYS_ftruncate, fd, byte_count));
}

int fallocate64(int fd, int mode, off64_t offset, off64_t byte_count) {
  if (IsInterrupted()) return -1;
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, byte_count));
}

int fchmod(int fd, mode_t mode) noexcept {
  return IsInterrupted() ? -1 : static_cast<int>(::syscall(SYS_fchmod, fd, mode));
}

int fchown(int fd, uid_t uid, gid_t gid) noexcept {
  return IsInterrupted() ? -1 : static_cast<int>(::syscall(SYS_fchown, fd, uid, gid));
}

int futimens(int fd, const timespec times[2]) noexcept {
  if (IsInterrupted()) return -1;
  return static_cast<int>(::syscall(SYS_utimensat, fd, nullptr, times, 0));
}

int renameat2(int from_dir, const char* from, int to_dir, const char* to,
              unsigned flags) noexcept {
  if (IsInterrupted()) return -1;
  return static_cast<int>(::syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

int unlinkat(int dir_fd, const char* path, int flags) noexcept {
  return IsInterrupted() ? -1 : static_cast<int>(::syscall(SYS_unlinkat, dir_fd, path, flags));
}

int flock(int fd, int operation) noexcept {
  return IsInterrupted() ? -1 : static_cast<int>(::syscall(SYS_flock, fd, operation));
}

#ifdef GZIPFS_SHIM_LIBRARY

// Requests of the kernel's are read with it, too.
ssize_t read(int fd, void* out, size_t byte_count) {
  return IsInterrupted() ? -1 : ::syscall(SYS_read, fd, out, byte_count);
}

#endif

}  // extern "C"

#ifdef GZIPFS_SHIM_LIBRARY

namespace gzipfs::crash {
namespace {

constexpr unsigned kInterruptEvery = 8;
constexpr unsigned kShortEvery = 4;

std::atomic<unsigned long> interrupted_count{0};
std::atomic<unsigned long> short_count{0};

unsigned FirstSeed() {
  static std::atomic<unsigned> thread_count{0};
  const char* const text = std::getenv("GZIPFS_FAULT_SEED");
  return (text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : 1) +
         7919 * ++thread_count;
}

// Of this thread.
unsigned Draw(unsigned below) {
  thread_local unsigned seed = FirstSeed();
  return static_cast<unsigned>(::rand_r(&seed)) / 16 % below;
}

ShimFault DrawFault(bool transfers) {
  if (Draw(kInterruptEvery) == 0) {
    ++interrupted_count;
    return ShimFault::kInterrupt;
  }
  if (!transfers || Draw(kShortEvery) != 0) return ShimFault::kNone;
  ++short_count;
  return Draw(3) == 0 ? ShimFault::kOneByte : ShimFault::kHalf;
}

// While the library is loaded.
struct RandomFaults {
  RandomFaults() { SetShimHook(DrawFault); }
  ~RandomFaults() {
    SetShimHook(nullptr);
    const char* const path = std::getenv("GZIPFS_FAULT_COUNTS");
    std::FILE* const file = path ? std::fopen(path, "a") : nullptr;
    if (file == nullptr) return;
    std::fprintf(file, "%lu %lu\n", interrupted_count.load(), short_count.load());
    std::fclose(file);
  }
};

const RandomFaults random_faults;

}  // namespace
}  // namespace gzipfs::crash

#endif

#else

namespace gzipfs::crash {

void SetShimHook(ShimHook) {}

}  // namespace gzipfs::crash

#endif
