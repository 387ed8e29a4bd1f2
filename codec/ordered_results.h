// Results of jobs that finish in any order, taken in the order of their
// serial numbers.
//
// The submitter reserves a number per job, in the order it wants the results;
// the job puts its result under that number; whoever takes gets them in order.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "codec/base/mutex.h"

namespace gzipfs {

// Thread-safe. `T` is movable.
template <typename T>
class OrderedResults {
 public:
  // Reserves the next place; give its number to the job.
  uint64_t NextSerial() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    slots_.emplace_back();
    return first_serial_ + slots_.size() - 1;
  }
  // Fills the place `serial`, once. REQUIRES: NextSerial gave that number.
  void Put(uint64_t serial, T value) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    slots_[serial - first_serial_] = std::move(value);
    if (serial == first_serial_) ready_.NotifyAll();
  }
  // The first result not taken yet, if it is there already.
  std::optional<T> TryTake() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return TakeFirst();
  }
  // The first result not taken yet; waits for it. REQUIRES: pending() > 0.
  T Take() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    for (;;) {
      if (std::optional<T> value = TakeFirst()) return std::move(*value);
      ready_.Wait(mutex_);
    }
  }
  // Places reserved and not taken.
  size_t pending() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return slots_.size();
  }

 private:
  std::optional<T> TakeFirst() REQUIRES(mutex_) {
    if (slots_.empty() || !slots_.front()) return std::nullopt;
    std::optional<T> value(std::move(*slots_.front()));
    slots_.pop_front();
    ++first_serial_;
    if (!slots_.empty() && slots_.front()) ready_.NotifyAll();
    return value;
  }

  mutable Mutex mutex_;
  CondVar ready_;
  std::deque<std::optional<T>> slots_ GUARDED_BY(mutex_);
  uint64_t first_serial_ GUARDED_BY(mutex_) = 0;
};

}  // namespace gzipfs
