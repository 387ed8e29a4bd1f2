// The waiting loop prefers blocks already on their way out to relief.
#include "fs/store/dirty_budget.h"

#include <algorithm>
#include <utility>

namespace gzipfs {

Result<void> DirtyBudget::Reserve(uint64_t bytes, const std::function<bool()>& may_exceed) {
  MutexLock lock(mutex_);
  using Clock = std::chrono::steady_clock;
  Clock::duration idle{0};  // since something moved, and nobody was settling
  auto last_look = Clock::now();
  uint64_t last_granted = granted_count_;
  uint64_t least_used = used_bytes_;
  bool exceeds = false;
  while (used_bytes_ > 0 && used_bytes_ + bytes > limit_bytes_) {
    if (may_exceed) {
      lock.Unlock();
      exceeds = may_exceed();
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
      last_look = Clock::now();
      continue;
    }
    // Somebody else that was woken just now may be on his way to the next
    // block; only when nothing moves is it time for relief. Being woken is no sign of
    // that, nor is memory that comes and goes: on a full disk, files are settled and
    // relieved in vain again and again.
    const bool was_woken = changed_.WaitFor(mutex_, kPause);
    const auto now = Clock::now();
    if (std::exchange(last_granted, granted_count_) != granted_count_) idle = {};
    if (used_bytes_ < least_used) idle = {};
    least_used = std::min(least_used, used_bytes_);
    if (settling_ == 0) idle += now - last_look;
    last_look = now;
    if (was_woken && idle < kPatience) continue;
    std::function<bool()> relief = relief_;
    lock.Unlock();
    const bool relieved = relief();
    lock.Lock();
    last_look = Clock::now();
    if (relieved || in_progress_ > 0) {
      idle = {};
      continue;
    }
    // What is held belongs to writers between Reserve and their block, or
    // cannot be written anywhere.
    if (idle >= kPatience) return Fail(ENOSPC);
  }
  used_bytes_ += bytes;
  if (!exceeds) ++granted_count_;
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
