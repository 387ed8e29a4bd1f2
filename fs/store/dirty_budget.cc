// The waiting loop prefers blocks already on their way out to relief.
#include "fs/store/dirty_budget.h"

namespace gzipfs {

Result<void> DirtyBudget::Reserve(uint64_t bytes, const std::function<bool()>& may_exceed) {
  MutexLock lock(mutex_);
  std::chrono::milliseconds idle{0};
  while (used_bytes_ > 0 && used_bytes_ + bytes > limit_bytes_) {
    if (may_exceed) {
      lock.Unlock();
      const bool exceeds = may_exceed();
      lock.Lock();
      if (exceeds) break;
    }
    if (!relief_) {
      changed_.Wait(mutex_);
      continue;
    }
    if (in_progress_ > 0) {
      changed_.Wait(mutex_);
      idle = {};
      continue;
    }
    // Somebody else that was woken just now may be on his way to the next
    // block; only when nothing moves is it time for relief.
    if (changed_.WaitFor(mutex_, kPause)) {
      idle = {};
      continue;
    }
    idle += kPause;
    const uint64_t used_before = used_bytes_;
    std::function<bool()> relief = relief_;
    lock.Unlock();
    const bool relieved = relief();
    lock.Lock();
    if (relieved || used_bytes_ != used_before || in_progress_ > 0) {
      idle = {};
      continue;
    }
    if (settling_ > 0) idle = {};
    // What is held belongs to writers between Reserve and their block, or
    // cannot be written anywhere.
    if (idle >= kPatience) return Fail(ENOSPC);
  }
  used_bytes_ += bytes;
  return {};
}

void DirtyBudget::BeginSettling() {
  MutexLock lock(mutex_);
  ++settling_;
}

void DirtyBudget::EndSettling() {
  MutexLock lock(mutex_);
  --settling_;
  changed_.NotifyAll();
}

void DirtyBudget::Release(uint64_t bytes) {
  if (bytes == 0) return;
  MutexLock lock(mutex_);
  used_bytes_ -= bytes;
  changed_.NotifyAll();
}

void DirtyBudget::BeginProgress() {
  MutexLock lock(mutex_);
  ++in_progress_;
}

void DirtyBudget::EndProgress() {
  MutexLock lock(mutex_);
  --in_progress_;
  changed_.NotifyAll();
}

void DirtyBudget::SetRelief(std::function<bool()> relief) {
  MutexLock lock(mutex_);
  relief_ = std::move(relief);
}

uint64_t DirtyBudget::used_bytes() const {
  MutexLock lock(mutex_);
  return used_bytes_;
}

}  // namespace gzipfs
