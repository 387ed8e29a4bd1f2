// The base inodes that have a redo log.
#pragma once

#include <atomic>
#include <cstdint>
#include <unordered_set>

#include "codec/base/mutex.h"

namespace gzipfs {

// Who opens a base that is in here has to read its log: recovery could not bring
// it into the base, or must not (read-only store, damaged log), or the file was
// closed with an error. Thread-safe; usually empty, and then it costs one atomic
// load to see that.
class LogTable {
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
