// Blocks that had to leave memory before they could go to the base.
//
// An anonymous file in the private directory: it holds nothing that was
// fsynced and goes with the process.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "codec/base/result.h"
#include "fs/store/dirty_block.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// Reading is thread-safe; appending is for one thread at a time.
class SpillLog : public std::enable_shared_from_this<SpillLog> {
 public:
  // Creates an empty log in the directory `dir`, a path relative to `dir_fd`.
  static Result<std::shared_ptr<SpillLog>> Create(FileOps& ops, int dir_fd,
                                                  const std::string& dir);

  // Writes one block's members; returns where they are.
  Result<LogPlace> Append(std::span<const std::byte> members);
  // Fills `members`, whose size is the place's.
  Result<void> Read(const LogPlace& place, std::span<std::byte> members) const;

  // What was appended so far. For the thread that appends.
  uint64_t size() const { return end_; }

 private:
  SpillLog(FileOps& ops, UniqueFd fd) : ops_(ops), fd_(std::move(fd)) {}

  FileOps& ops_;
  const UniqueFd fd_;
  uint64_t end_ = 0;
};

}  // namespace gzipfs
