// The base inodes whose redo logs nobody has taken over yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <unordered_set>

#include "codec/base/mutex.h"

namespace gzipfs {

// Logs that recovery could not bring into their bases, or must not (read-only
// store, damaged log), and those of files that were closed with an error. Who
// opens such a file has to read its log. Thread-safe; usually empty, and then
// it costs one atomic load to see that.
class LeftLogs {
 public:
  void Add(uint64_t base_ino) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    inos_.insert(base_ino);
    count_ = inos_.size();
  }
  void Remove(uint64_t base_ino) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    inos_.erase(base_ino);
    count_ = inos_.size();
  }
  bool Contains(uint64_t base_ino) const EXCLUDES(mutex_) {
    if (count_.load() == 0) return false;
    MutexLock lock(mutex_);
    return inos_.contains(base_ino);
  }

 private:
  mutable Mutex mutex_;
  std::atomic<size_t> count_{0};
  std::unordered_set<uint64_t> inos_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
