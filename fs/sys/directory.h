// The entries of one directory, in the order and at the positions of the
// filesystem it lies on.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

struct DirectoryEntry {
  std::string name;
  uint64_t ino;
  unsigned char type;     // DT_REG, ..., or DT_UNKNOWN
  int64_t next_position;  // where the entry after this one is found
};

// Owns its descriptor. One thread at a time.
class DirectoryStream {
 public:
  // `fd` was opened for reading (not O_PATH).
  static Result<DirectoryStream> Open(UniqueFd fd);

  // The next entry, "." and ".." included; nullopt at the end.
  Result<std::optional<DirectoryEntry>> Next();

  // Goes to a `next_position`, or to the beginning (0).
  void Seek(int64_t position);
  int fd() const { return ::dirfd(stream_.get()); }

 private:
  struct Closer {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  explicit DirectoryStream(DIR* stream) : stream_(stream) {}

  std::unique_ptr<DIR, Closer> stream_;
};

}  // namespace gzipfs
