// The redo log of one file while it is written: what makes fsync durable in
// logged mode by one sequential write and one fdatasync.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fs/store/log_format.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// The name of the log of base inode `ino`, and of the log that will follow it
// when an image has been copied over that base.
std::string LogName(uint64_t ino);
std::string NextLogName(uint64_t ino);
// The number in a LogName or NextLogName; nullopt for any other name.
std::optional<uint64_t> InoOfLogName(const std::string& name);

// Reads what identifies the file behind `fd`, or its first `byte_count` bytes
// (ESTALE when it is shorter).
Result<BaseIdentity> IdentityOfPrefix(FileOps& ops, int fd, uint64_t byte_count);
Result<BaseIdentity> IdentityOf(FileOps& ops, int fd);

// One thread at a time.
class RedoLog {
 public:
  // Makes an empty log in `log_dir_fd`, which must outlive it. EEXIST when one
  // with that name is there.
  static Result<std::unique_ptr<RedoLog>> Create(FileOps& ops, int log_dir_fd, std::string name,
                                                 const BaseIdentity& base);
  // Goes on with a log that was read: behind `committed_bytes`, the end of
  // record `last_sequence`, which is durable. What is behind is cut off.
  static Result<std::unique_ptr<RedoLog>> Resume(FileOps& ops, int log_dir_fd, std::string name,
                                                 UniqueFd fd, const LogHeader& header,
                                                 uint64_t committed_bytes, uint64_t last_sequence);

  // Adds a record; large ones are written at once. An error is Commit's too.
  void Add(LogRecordType type, uint64_t plain_offset, std::span<const std::byte> payload);
  // Writes what was added and syncs: all of it counts when this returns. After
  // a failed write what was added since the last Commit is gone again, and the
  // log may be used on; after a failed sync (is_failed) it may not.
  Result<void> Commit();

  // Removes the log's name. Its file goes with this object.
  Result<void> Remove();
  // The log gets another name, taking the place of a log that has it.
  Result<void> Rename(std::string name);

  // Whether kZero may be added: not to a log that an earlier version began.
  bool takes_zeros() const { return version_ >= kLogVersion; }
  bool is_failed() const { return is_failed_; }
  uint64_t committed_bytes() const { return committed_bytes_; }

 private:
  RedoLog(FileOps& ops, int log_dir_fd, std::string name, UniqueFd fd, const LogHeader& header)
      : ops_(ops), log_dir_fd_(log_dir_fd), name_(std::move(name)), fd_(std::move(fd)),
        salt_(header.salt), version_(header.version) {}
  void WriteBuffer(bool is_last);
  void Rewind();

  FileOps& ops_;
  const int log_dir_fd_;
  std::string name_;
  const UniqueFd fd_;
  const uint64_t salt_;
  const int version_;
  std::vector<std::byte> buffer_;     // added, not written
  uint64_t written_bytes_ = 0;
  uint64_t zeroed_bytes_ = 0;         // zeros are written up to here; 0: none
  uint64_t committed_bytes_ = 0;
  uint64_t sequence_ = 0;             // of the last record added
  uint64_t committed_sequence_ = 0;
  bool entry_is_durable_ = false;
  bool is_failed_ = false;
  std::error_code error_;             // of a write since the last Commit
};

}  // namespace gzipfs
