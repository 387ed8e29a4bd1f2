// The layouts of files without a tail, which take decoding them: in memory, from
// what is kept in the store, or by a scan that all who need it share.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <list>
#include <memory>

#include "codec/base/mutex.h"
#include "codec/member_index.h"
#include "fs/store/kept_indexes.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// Layouts of files that are not open any more, or not yet.
inline constexpr uint64_t kMaxForeignIndexBytes = 64 * kMiB;
// A smaller file is decoded faster than it is waited for.
inline constexpr uint64_t kMinSharedFileBytes = 64 * kKiB;

// Thread-safe.
class ForeignIndexes {
 public:
  ForeignIndexes(FileOps& ops, std::unique_ptr<KeptIndexes> kept)
      : ops_(ops), kept_(std::move(kept)) {}

  // As ReadLayout, for the file open as `fd`, with the restart points and the
  // damage of foreign members. What is found is kept if it pays.
  Result<FileLayout> Read(int fd, const struct stat& attributes) EXCLUDES(mutex_);

  // What is known of the file is wrong: forgets it, in the store too.
  void Doubt(const struct stat& attributes) EXCLUDES(mutex_);

 private:
  using LayoutRef = std::shared_ptr<const FileLayout>;
  struct Entry {
    IndexedFile file;
    LayoutRef layout;      // null: somebody finds out
    uint64_t memory_bytes = 0;
  };

  Result<LayoutRef> Share(int fd, const struct stat& attributes, const ByteSource& source)
      EXCLUDES(mutex_);
  Result<FileLayout> Find(int fd, const struct stat& attributes, const ByteSource& source)
      EXCLUDES(mutex_);
  void Publish(const IndexedFile& file, const LayoutRef& layout) EXCLUDES(mutex_);

  FileOps& ops_;
  const std::unique_ptr<KeptIndexes> kept_;
  Mutex mutex_;
  CondVar found_;
  std::list<Entry> entries_ GUARDED_BY(mutex_);  // most recently used first
  uint64_t memory_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace gzipfs
