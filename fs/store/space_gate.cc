// What a block may need on the disk is its plain bytes, and a sixteenth more: for members
// that do not compress (less than 0.2 %), and a page for the end of a file whose last
// block it is.
#include "fs/store/space_gate.h"

#include <algorithm>
#include <utility>

namespace gzipfs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t StoredBound(uint64_t plain_bytes) { return plain_bytes + plain_bytes / 16; }

}  // namespace

SpaceGate::SpaceGate(DirtyBudget& budget, std::function<uint64_t()> free_bytes,
                     std::function<bool()> relieve)
    : budget_(budget), free_bytes_(std::move(free_bytes)), relieve_(std::move(relieve)) {}

bool SpaceGate::Fits(uint64_t ahead_bytes) {
  const uint64_t needed_bytes =
      StoredBound(budget_.used_bytes() + entering_bytes_ + ahead_bytes) + kSpareBytes;
  const auto now = Clock::now();
  if (now < fresh_until_.load(std::memory_order_relaxed) &&
      last_free_bytes_.load(std::memory_order_relaxed) >= needed_bytes + kFreshMarginBytes) {
    return true;
  }
  const uint64_t free_bytes = free_bytes_();
  last_free_bytes_.store(free_bytes, std::memory_order_relaxed);
  fresh_until_.store(now + kFresh, std::memory_order_relaxed);
  return free_bytes >= needed_bytes;
}

Result<SpaceGate::Pass> SpaceGate::Enter(uint64_t bytes) {
  {
    Pass pass(entering_bytes_, bytes);
    if (Fits(0)) return pass;
  }
  // Those who wait do not count against one another: there may be room for the first.
  MutexLock lock(turn_mutex_);
  return AwaitRoom(bytes);
}

Result<SpaceGate::Pass> SpaceGate::AwaitRoom(uint64_t bytes) {
  Clock::duration idle{0};   // since anything left memory, while nothing was on its way
  Clock::duration still{0};  // likewise, whatever others tried
  uint64_t least_used = budget_.used_bytes();
  // Whoever was before in line has just waited for the same.
  if (Clock::now() - failed_at_ < kPatience && least_used >= used_at_failure_) idle = kPatience;
  for (;;) {
    {
      Pass pass(entering_bytes_, bytes);
      if (Fits(0)) return pass;
    }
    const bool is_empty = least_used == 0 && entering_bytes_ == 0;
    if (is_empty || idle >= kPatience || still >= kLongPatience) {
      failed_at_ = Clock::now();
      used_at_failure_ = least_used;
      return Fail(ENOSPC);
    }
    const auto begin = Clock::now();
    const bool is_moving = budget_.AwaitProgress(kPause);
    if (!is_moving && budget_.used_bytes() >= least_used) (void)relieve_();
    const auto waited = Clock::now() - begin;
    still += waited;
    if (!is_moving) idle += waited;
    const uint64_t used = budget_.used_bytes();
    if (used < least_used) idle = still = {};
    least_used = std::min(least_used, used);
  }
}

bool SpaceGate::IsLow(uint64_t ahead_bytes) { return !Fits(ahead_bytes); }

}  // namespace gzipfs
