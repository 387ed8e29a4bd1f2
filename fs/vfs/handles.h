// What an open file description and an open directory are to the mount.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <unordered_map>

#include "codec/base/mutex.h"
#include "fs/sys/directory.h"
#include "fs/vfs/open_file.h"

namespace gzipfs {

// One open(2). Constant after construction, but for `has_flushed`; thread-safe as the
// OpenFile is.
struct FileHandle {
  OpenFileRef file;
  bool may_write;
  bool may_be_mapped;  // mmap(2) wants one that may read
  bool appends;       // O_APPEND, and the kernel leaves it to us where the end is
  bool writes_synced;  // O_SYNC or O_DSYNC
  std::atomic<bool> has_flushed{false};  // there was a close(2) of it: the last, as a rule
};

// One opendir(3). Readers of one handle take turns.
struct DirHandle {
  explicit DirHandle(InodeRef inode, DirectoryStream directory)
      : dir(std::move(inode)), stream(std::move(directory)) {}

  const InodeRef dir;
  Mutex mutex;
  DirectoryStream stream GUARDED_BY(mutex);
  int64_t position GUARDED_BY(mutex) = 0;              // of the next entry
  std::optional<DirectoryEntry> pending GUARDED_BY(mutex);  // read, but did not fit
};

// Owns every handle that the kernel has, because a mount may end without their
// release. Thread-safe; handles are destroyed without its mutex.
template <typename Handle>
class HandleSet {
 public:
  Handle* Add(std::unique_ptr<Handle> handle) EXCLUDES(mutex_) {
    Handle* added = handle.get();
    const MutexLock lock(mutex_);
    handles_.emplace(added, std::move(handle));
    return added;
  }
  std::unique_ptr<Handle> Remove(Handle* handle) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const auto found = handles_.find(handle);
    if (found == handles_.end()) return nullptr;
    auto removed = std::move(found->second);
    handles_.erase(found);
    return removed;
  }

 private:
  Mutex mutex_;
  std::unordered_map<Handle*, std::unique_ptr<Handle>> handles_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
