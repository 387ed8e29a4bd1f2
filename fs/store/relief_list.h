// The files that can give memory back when the dirty budget is spent.
#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "codec/base/mutex.h"

namespace gzipfs {

// Something that holds dirty blocks.
class Relievable {
 public:
  virtual ~Relievable() = default;
  // Moves some blocks out of memory; true when any went. Called without locks.
  virtual bool Relieve() = 0;
};

// Thread-safe.
class ReliefList {
 public:
  using Ticket = std::list<std::weak_ptr<Relievable>>::iterator;

  Ticket Add(std::weak_ptr<Relievable> item) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return items_.insert(items_.end(), std::move(item));
  }
  void Remove(Ticket ticket) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    items_.erase(ticket);
  }
  // Asks one after the other, each call beginning behind the one that helped
  // last; true as soon as one helped.
  bool Relieve() EXCLUDES(mutex_) {
    size_t tries = 0;
    {
      MutexLock lock(mutex_);
      tries = items_.size();
    }
    for (; tries > 0; --tries) {
      std::shared_ptr<Relievable> item;
      {
        MutexLock lock(mutex_);
        if (items_.empty()) return false;
        items_.splice(items_.end(), items_, items_.begin());
        item = items_.back().lock();
      }
      if (item && item->Relieve()) return true;
    }
    return false;
  }

 private:
  Mutex mutex_;
  std::list<std::weak_ptr<Relievable>> items_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
