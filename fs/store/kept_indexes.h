// The indexes of foreign files that are kept in the store's private directory.
//
// One file for each, named after the inode number of the file it is about, so
// that it follows renames and is replaced when the file is. All of it is
// derived: an index may be missing, old or damaged, and may be removed at any
// time. They are written under another name and renamed, and never synced: a
// torn one does not pass its checksum. So the daemon and `gzipfs index` may
// both write here, mounted or not.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "codec/base/mutex.h"
#include "codec/index_file.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

inline constexpr char kIndexDirName[] = "index";

// A file with fewer stored bytes is decoded faster than an index is found.
inline constexpr uint64_t kMinKeptFileBytes = 128 * kKiB;
// All of them together; when there are more the oldest ones go.
inline constexpr uint64_t kMaxKeptIndexBytes = 1 * kGiB;
// An index that would take more than this share of its file is not kept.
inline constexpr uint64_t kMaxKeptShareOfFile = 16;

IndexedFile IndexedFileOf(const struct stat& attributes);

// Thread-safe.
class KeptIndexes {
 public:
  // `dir_fd`: the directory, opened for reading, or nothing: then there are none.
  KeptIndexes(FileOps& ops, UniqueFd dir_fd, bool read_only,
              uint64_t limit_bytes = kMaxKeptIndexBytes);

  // The kept layout of the file open as `fd`, whose attributes are `attributes`;
  // nullopt when there is none that holds. Errors are the device's, of the file itself.
  Result<std::optional<FileLayout>> Load(int fd, const struct stat& attributes);
  // Whether there is one, by its header alone.
  bool Has(const struct stat& attributes);
  // Keeps `layout`. ENOTSUP when such a file's is not kept, EROFS; the disk's errors.
  Result<void> Keep(const struct stat& attributes, const FileLayout& layout) EXCLUDES(mutex_);
  // Removes the one of that file.
  void Forget(const struct stat& attributes);

 private:
  Result<UniqueFd> Open(const struct stat& attributes);
  Result<void> Write(const std::string& name, std::span<const std::byte> bytes);
  void Trim(uint64_t added_bytes) EXCLUDES(mutex_);

  FileOps& ops_;
  const UniqueFd dir_fd_;
  const bool read_only_;
  const uint64_t limit_bytes_;
  std::atomic<uint64_t> next_name_{0};
  Mutex mutex_;
  std::optional<uint64_t> total_bytes_ GUARDED_BY(mutex_);  // at least; nullopt: not counted yet
};

}  // namespace gzipfs
