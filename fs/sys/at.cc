// Name space calls of the kernel.
//
// Calls that refuse O_PATH descriptors (EBADF, open(2)) go through /proc/self/fd/N for these,
// which leads to exactly the object of the descriptor without following it any further.
#include "fs/sys/at.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/sys/proc_path.h"
#include "fs/sys/retry.h"

namespace gzipfs {

Result<void> MakeDirectoryAt(int dir_fd, const char* name, mode_t mode) {
  return CheckCall([&] { return ::mkdirat(dir_fd, name, mode); });
}

Result<void> MakeNodeAt(int dir_fd, const char* name, mode_t mode, dev_t device) {
  return CheckCall([&] { return ::mknodat(dir_fd, name, mode, device); });
}

Result<void> MakeSymlinkAt(const char* target, int dir_fd, const char* name) {
  return CheckCall([&] { return ::symlinkat(target, dir_fd, name); });
}

Result<void> LinkAt(int from_dir_fd, const char* from, int to_dir_fd, const char* to) {
  return CheckCall([&] { return ::linkat(from_dir_fd, from, to_dir_fd, to, 0); });
}

Result<void> LinkDescriptorAt(int fd, int to_dir_fd, const char* to) {
  const ProcPath path(fd);
  return CheckCall(
      [&] { return ::linkat(AT_FDCWD, path.c_str(), to_dir_fd, to, AT_SYMLINK_FOLLOW); });
}

Result<std::string> ReadLinkOf(int fd) {
  std::string target(PATH_MAX, '\0');
  const ssize_t count =
      RetryInterrupted([&] { return ::readlinkat(fd, "", target.data(), target.size()); });
  if (count < 0) return Fail(errno);
  target.resize(static_cast<size_t>(count));
  return target;
}

Result<UniqueFd> Reopen(int fd, int flags) {
  const ProcPath path(fd);
  const int opened = RetryInterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC); });
  if (opened < 0) return Fail(errno);
  return UniqueFd(opened);
}

Result<void> ChangeMode(int fd, mode_t mode) {
  const auto changed = CheckCall([&] { return ::fchmod(fd, mode); });
  if (changed || ErrnoOf(changed.error()) != EBADF) return changed;
  const ProcPath path(fd);
  return CheckCall([&] { return ::fchmodat(AT_FDCWD, path.c_str(), mode, 0); });
}

Result<void> ChangeOwner(int fd, uid_t uid, gid_t gid) {
  return CheckCall([&] { return ::fchownat(fd, "", uid, gid, AT_EMPTY_PATH); });
}

Result<void> ChangeTimes(int fd, const timespec times[2]) {
  const auto changed = CheckCall([&] { return ::futimens(fd, times); });
  if (changed || ErrnoOf(changed.error()) != EBADF) return changed;
  const ProcPath path(fd);
  return CheckCall([&] { return ::utimensat(AT_FDCWD, path.c_str(), times, 0); });
}

Result<struct statvfs> StatFilesystem(int fd) {
  struct statvfs result;
  GZIPFS_TRY(CheckCall([&] { return ::fstatvfs(fd, &result); }));
  return result;
}

Result<void> AllocateSpace(int fd, int mode, uint64_t offset, uint64_t byte_count) {
  return CheckCall([&] {
    return ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(byte_count));
  });
}

Result<uint64_t> SeekSparse(int fd, uint64_t offset, int whence) {
  const off_t found = ::lseek(fd, static_cast<off_t>(offset), whence);
  if (found < 0) return Fail(errno);
  return static_cast<uint64_t>(found);
}

Result<void> SyncFilesystem(int dir_fd) {
  const int opened = RetryInterrupted(
      [&] { return ::openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (opened < 0) return Fail(errno);
  const UniqueFd fd(opened);
  return CheckCall([&] { return ::syncfs(fd.get()); });
}

timespec FileClockNow() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now;
}

}  // namespace gzipfs
