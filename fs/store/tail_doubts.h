// Files whose tails were found to lie, so that they are not believed once more.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include "codec/base/mutex.h"

namespace gzipfs {

inline constexpr size_t kMaxTailDoubts = 1024;

// Thread-safe. Forgets the oldest beyond kMaxTailDoubts: then a lie is found again.
class TailDoubts {
 public:
  // The file as it was when its tail was found to lie.
  void Add(const struct stat& base) EXCLUDES(mutex_) {
    const Key key(base);
    MutexLock lock(mutex_);
    if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) return;
    keys_.push_back(key);
    if (keys_.size() > kMaxTailDoubts) keys_.pop_front();
  }
  bool Has(const struct stat& base) const EXCLUDES(mutex_) {
    const Key key(base);
    MutexLock lock(mutex_);
    return std::find(keys_.begin(), keys_.end(), key) != keys_.end();
  }

 private:
  struct Key {
    explicit Key(const struct stat& base)
        : dev(base.st_dev), ino(base.st_ino), stored_bytes(base.st_size),
          mtime_sec(base.st_mtim.tv_sec), mtime_nsec(base.st_mtim.tv_nsec) {}
    bool operator==(const Key&) const = default;

    dev_t dev;
    ino_t ino;
    off_t stored_bytes;
    time_t mtime_sec;
    long mtime_nsec;
  };

  mutable Mutex mutex_;
  std::deque<Key> keys_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
