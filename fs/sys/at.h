// The system calls that change or walk the store's name space, relative to
// directory descriptors.
//
// Thin: one call each, EINTR retried, errno as the error. What belongs to file
// contents, and is to be seen by fault injection, is in file_ops.h.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

Result<void> MakeDirectoryAt(int dir_fd, const char* name, mode_t mode);
Result<void> MakeNodeAt(int dir_fd, const char* name, mode_t mode, dev_t device);
Result<void> MakeSymlinkAt(const char* target, int dir_fd, const char* name);
Result<void> LinkAt(int from_dir_fd, const char* from, int to_dir_fd, const char* to);

// A further name for the object behind `fd`, by way of /proc/self/fd.
Result<void> LinkDescriptorAt(int fd, int to_dir_fd, const char* to);

// The target of the symlink behind an O_PATH descriptor.
Result<std::string> ReadLinkOf(int fd);

// Opens what is behind `fd` (O_PATH too) once more, with other flags.
Result<UniqueFd> Reopen(int fd, int flags);

// fallocate(2) with the flags `mode`, for a file that may be written.
Result<void> AllocateSpace(int fd, int mode, uint64_t offset, uint64_t byte_count);

// lseek(2) with SEEK_DATA or SEEK_HOLE; moves the descriptor's position.
Result<uint64_t> SeekSparse(int fd, uint64_t offset, int whence);

// The functions below take descriptors of any kind, O_PATH too, and act on the
// object itself, a symlink included.
Result<void> ChangeMode(int fd, mode_t mode);
// Values of -1 leave the owner or the group alone.
Result<void> ChangeOwner(int fd, uid_t uid, gid_t gid);
// As utimensat(2): UTIME_NOW and UTIME_OMIT are understood.
Result<void> ChangeTimes(int fd, const timespec times[2]);
Result<struct statvfs> StatFilesystem(int fd);

// Writes everything of the filesystem that directory `dir_fd` is on (syncfs(2)).
Result<void> SyncFilesystem(int dir_fd);

// The time that the kernel would give a file now.
timespec FileClockNow();

}  // namespace gzipfs
