// Who waits is served in turn: were memory given to whoever asks for little, those who
// ask for more would never have enough, and nobody would see a reason to spill.
#include "fs/store/dirty_budget.h"

#include <algorithm>
#include <utility>

namespace gzipfs {

bool DirtyBudget::HasRoom(uint64_t bytes, uint64_t turn) const {
  for (const auto& [earlier, waiter] : waiters_) {
    if (earlier >= turn) break;
    if (waiter.is_in_line) return false;
  }
  return used_bytes_ == 0 || used_bytes_ + bytes <= limit_bytes_;
}

Result<void> DirtyBudget::Reserve(uint64_t bytes, const std::function<bool()>& may_exceed) {
  MutexLock lock(mutex_);
  const uint64_t turn = next_turn_++;
  Result<void> room;
  if (!HasRoom(bytes, turn)) room = AwaitRoom(bytes, turn, may_exceed);
  if (waiters_.erase(turn) > 0) changed_.NotifyAll();  // it is the next one's turn
  if (room) used_bytes_ += bytes;
  return room;
}

// Blocks already on their way out are preferred to relief.
Result<void> DirtyBudget::AwaitRoom(uint64_t bytes, uint64_t turn,
                                    const std::function<bool()>& may_exceed) {
  using Clock = std::chrono::steady_clock;
  Clock::duration still{0};  // since something moved, while nothing was on its way
  Clock::duration idle{0};   // of that, while nobody was settling
  auto last_look = Clock::now();
  auto last_relief = last_look;
  uint64_t least_used = used_bytes_;
  Waiter& self = waiters_[turn];
  while (!HasRoom(bytes, turn)) {
    if (may_exceed) {
      mutex_.Unlock();
      const bool exceeds = may_exceed();
      mutex_.Lock();
      if (exceeds) return {};
    }
    if (!relief_) {
      changed_.Wait(mutex_);
      continue;
    }
    const bool is_still = in_progress_ == 0;
    const bool is_idle = is_still && settling_ == 0;
    if (is_still) {
      (void)changed_.WaitFor(mutex_, kPause);
    } else {
      changed_.Wait(mutex_);
    }
    // Being woken is no sign that something moves, nor is memory that comes and goes:
    // on a full disk, files are settled and relieved in vain again and again.
    const auto now = Clock::now();
    if (is_still) still += now - last_look;
    if (is_idle) idle += now - last_look;
    last_look = now;
    if (std::exchange(self.has_moved, false)) still = idle = {};
    if (used_bytes_ < least_used) still = idle = {};
    least_used = std::min(least_used, used_bytes_);
    // Somebody else that was woken just now may be on his way to the next block; only
    // when nothing moves is it time for relief.
    if (in_progress_ > 0 || std::min(still, now - last_relief) < kPause) continue;
    if (HasRoom(bytes, turn)) break;
    std::function<bool()> relief = relief_;
    self.is_in_line = false;
    changed_.NotifyAll();
    mutex_.Unlock();
    const bool relieved = relief();
    mutex_.Lock();
    self.is_in_line = true;
    last_look = last_relief = Clock::now();
    if (relieved) {
      idle = {};
      continue;
    }
    // What is held belongs to writers between Reserve and their block, or
    // cannot be written anywhere.
    if (idle >= kPatience && !HasRoom(bytes, turn)) return Fail(ENOSPC);
  }
  for (auto next = waiters_.upper_bound(turn); next != waiters_.end(); ++next) {
    next->second.has_moved = true;
  }
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

bool DirtyBudget::AwaitProgress(std::chrono::milliseconds pause) {
  MutexLock lock(mutex_);
  (void)changed_.WaitFor(mutex_, pause);
  return in_progress_ > 0 || settling_ > 0;
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
