// A real directory that remembers every call which changes it, so that it can
// be made anew as a crash would leave it.
//
// Files have inode numbers of the disk's own: a file that is made anew has the
// number it had, and the number of a file that is gone is given to the next
// new one, as ext4 does it. What is directly in .gzipfs (lock, configuration),
// outside the store, or without a name from the beginning is not recorded.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "fs/sys/file_ops.h"
#include "tests/crash/disk_model.h"
#include "tests/unit/store/fault_ops.h"

namespace gzipfs::crash {

using test::Call;

// A new directory in memory, where there is such a place.
class ScratchDir {
 public:
  ScratchDir();
  ~ScratchDir();
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Thread-safe but for `before`.
class SimDisk final : public FileOps {
 public:
  SimDisk();  // a store's directories
  // And the files of `state`, in a store that a mount left without saying goodbye.
  explicit SimDisk(const DiskState& state);

  const std::string& path() const { return dir_.path(); }
  // Puts a file there that is durable from the beginning. REQUIRES: no calls
  // are recorded yet.
  void Put(const std::string& path, std::span<const std::byte> bytes);
  // Whatever was done so far is durable, and the record begins here.
  void BeginRecord();
  const DiskState& begin() const { return begin_; }
  // While no call is under way.
  const std::vector<DiskOp>& ops() const { return ops_; }
  size_t op_count() const;
  // As it is now.
  DiskState Now() const;

  // Called before each call that is not a read, with a name of its file ("" if
  // it has none any more); 0, or the errno with which the call is to fail. A
  // write that fails has done its first half.
  std::function<int(Call call, const std::string& path)> before;

  Result<void> LinkAt(int dir_fd, const char* from, const char* to);

  Result<UniqueFd> OpenAt(int dir_fd, const char* path, int flags, mode_t mode) override;
  Result<UniqueFd> Duplicate(int fd) override { return real_.Duplicate(fd); }
  Result<size_t> ReadAt(int fd, uint64_t offset, std::span<std::byte> out) override;
  Result<void> WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes) override;
  Result<void> WriteVectorAt(int fd, uint64_t offset, std::span<iovec> parts) override;
  Result<void> CopyRange(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                         uint64_t byte_count) override;
  Result<void> Truncate(int fd, uint64_t byte_count) override;
  Result<void> SyncData(int fd) override { return Sync(fd, Call::kSyncData); }
  Result<void> SyncAll(int fd) override { return Sync(fd, Call::kSyncAll); }
  Result<struct stat> Stat(int fd) override;
  Result<struct stat> StatAt(int dir_fd, const char* path) override;
  Result<void> SetTimes(int fd, const timespec times[2]) override;
  Result<void> SetOwner(int fd, uid_t uid, gid_t gid) override;
  Result<void> SetMode(int fd, mode_t mode) override;
  Result<void> RenameAt(int from_dir_fd, const char* from, int to_dir_fd, const char* to,
                        unsigned flags) override;
  Result<void> UnlinkAt(int dir_fd, const char* path, int flags) override;
  Result<std::vector<DirectoryItem>> List(int dir_fd) override;
  Result<void> CopyAttributes(int from_fd, int to_fd) override;

 private:
  int Enter(Call call, int fd);
  int Enter(Call call, const std::string& path) { return before ? before(call, path) : 0; }
  Result<void> Write(int fd, uint64_t offset, Buffer bytes, Call call);
  Result<void> Sync(int fd, Call call);
  // Under mutex_.
  FileId FileOf(int fd) const;  // -1: not recorded
  FileId FileAt(const std::string& path) const;
  std::string NameOf(FileId file) const;
  // The path of a name that is recorded; "" for others.
  std::string PathOf(int dir_fd, const char* name) const;
  FileId AddFile(ino_t real_ino, uint64_t ino);
  uint64_t NewIno() const;
  void Number(struct stat& attributes) const;
  void Record(DiskOp op);

  FileOps& real_ = RealFileOps();
  ScratchDir dir_;
  std::map<ino_t, std::string> dirs_;  // real number to path with a slash behind it
  std::string unrecorded_dir_;

  mutable std::mutex mutex_;
  std::map<ino_t, FileId> file_of_;       // by real number; also those without a record: -1
  std::map<ino_t, uint64_t> number_of_;   // by real number
  std::map<std::string, FileId> names_;
  std::map<FileId, ino_t> real_of_;
  FileId next_file_ = 0;
  DiskState begin_;
  std::vector<DiskOp> ops_;
};

}  // namespace gzipfs::crash
