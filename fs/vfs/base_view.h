// A directory of the store, as the name rules look at it.
#pragma once

#include <string>

#include "fs/sys/file_ops.h"
#include "fs/vfs/inode_table.h"
#include "fs/vfs/name_codec.h"

namespace gzipfs {

// Whether the file behind `fd` begins with the two bytes of RFC 1952. An empty
// file counts as one that does: it may have been cut a moment ago.
Result<bool> BeginsAsGzip(FileOps& ops, int fd);

// Reads the directory `dir_fd`, which outlives it. One thread at a time.
class BaseView final : public DirectoryView {
 public:
  BaseView(FileOps& ops, InodeTable& inodes, int dir_fd)
      : ops_(ops), inodes_(inodes), dir_fd_(dir_fd) {}

  Result<std::optional<struct stat>> Stat(const std::string& store_name) override;
  // Not read from a file that is open, or known in this state, as gzip: its
  // beginning may be about to be written.
  Result<bool> IsGzip(const std::string& store_name, const struct stat& base) override;

  // The descriptor that IsGzip last opened, if it was for `base`: so that the
  // plain size can be read without opening the file once more.
  UniqueFd TakeFd(const struct stat& base);

 private:
  FileOps& ops_;
  InodeTable& inodes_;
  const int dir_fd_;
  UniqueFd last_fd_;
  BaseKey last_key_{};
};

}  // namespace gzipfs
