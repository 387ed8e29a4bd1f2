// Every system call that touches the store's file contents, behind one
// interface: the seam where tests inject faults and record writes.
//
// The functions retry EINTR and finish short transfers, so that a caller sees
// all or an error. Errors are errno values of the system category.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "codec/base/byte_source.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// One name in a directory.
struct DirectoryItem {
  std::string name;
  uint64_t ino = 0;
  unsigned char type = 0;  // DT_REG, DT_DIR, ...; never DT_UNKNOWN
};

// Thread-safe.
class FileOps {
 public:
  virtual ~FileOps() = default;

  // openat(2) with O_CLOEXEC added.
  virtual Result<UniqueFd> OpenAt(int dir_fd, const char* path, int flags, mode_t mode) = 0;
  // A second descriptor of the same open file, with FD_CLOEXEC.
  virtual Result<UniqueFd> Duplicate(int fd) = 0;
  // Reads until `out` is full or the file ends; returns the bytes read.
  virtual Result<size_t> ReadAt(int fd, uint64_t offset, std::span<std::byte> out) = 0;
  // Writes all of `bytes` at `offset`.
  virtual Result<void> WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Writes all parts one after the other from `offset` on. `parts` is used up.
  virtual Result<void> WriteVectorAt(int fd, uint64_t offset, std::span<iovec> parts) = 0;
  // Copies `byte_count` bytes between files, by reflink or in the kernel where
  // that works (copy_file_range(2)), by reading and writing where not.
  virtual Result<void> CopyRange(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                                 uint64_t byte_count) = 0;
  virtual Result<void> Truncate(int fd, uint64_t byte_count) = 0;
  // fdatasync(2) and fsync(2); a failure is final for the descriptor.
  virtual Result<void> SyncData(int fd) = 0;
  virtual Result<void> SyncAll(int fd) = 0;
  virtual Result<struct stat> Stat(int fd) = 0;
  virtual Result<struct stat> StatAt(int dir_fd, const char* path) = 0;  // never follows
  virtual Result<void> SetTimes(int fd, const timespec times[2]) = 0;    // futimens(3)
  virtual Result<void> SetOwner(int fd, uid_t uid, gid_t gid) = 0;
  virtual Result<void> SetMode(int fd, mode_t mode) = 0;
  virtual Result<void> RenameAt(int from_dir_fd, const char* from, int to_dir_fd, const char* to,
                                unsigned flags) = 0;
  virtual Result<void> UnlinkAt(int dir_fd, const char* path, int flags) = 0;
  // Everything in the directory `dir_fd`, which was opened for reading, but "."
  // and "..", in any order.
  virtual Result<std::vector<DirectoryItem>> List(int dir_fd) = 0;
  // Copies every extended attribute that may be read, POSIX ACLs among them.
  virtual Result<void> CopyAttributes(int from_fd, int to_fd) = 0;
};

// The kernel's calls. One per process is enough; stateless.
FileOps& RealFileOps();

// An open file as the codec's byte source. `fd` and `ops` must outlive it.
class FileSource final : public ByteSource {
 public:
  // `byte_count` is the file's length, or the part of it to be seen.
  FileSource(FileOps& ops, int fd, uint64_t byte_count)
      : ops_(ops), fd_(fd), byte_count_(byte_count) {}
  Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= byte_count_) return 0;
    const auto room = std::min<uint64_t>(out.size(), byte_count_ - offset);
    return ops_.ReadAt(fd_, offset, out.first(room));
  }
  uint64_t Size() const override { return byte_count_; }

 private:
  FileOps& ops_;
  int fd_;
  uint64_t byte_count_;
};

}  // namespace gzipfs
