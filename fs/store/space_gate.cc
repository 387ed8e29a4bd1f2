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

Result<void> SpaceGate::Enter() {
  Clock::duration idle{0};   // since anything left memory, while nothing was on its way
  Clock::duration still{0};  // likewise, whatever others tried
  uint64_t least_used = budget_.used_bytes();
  while (!Fits(0)) {
    if (least_used == 0) return Fail(ENOSPC);  // nothing that could become smaller
    const auto begin = Clock::now();
    const bool is_moving = budget_.AwaitProgress(kPause);
    if (!is_moving && budget_.used_bytes() >= least_used) (void)relieve_();
    const auto waited = Clock::now() - begin;
    still += waited;
    if (!is_moving) idle += waited;
    const uint64_t used = budget_.used_bytes();
    if (used < least_used) idle = still = {};
    least_used = std::min(least_used, used);
    if (idle >= kPatience || still >= kLongPatience) {
      return Fits(0) ? Result<void>() : Fail(ENOSPC);
    }
  }
  return {};
}

bool SpaceGate::IsLow(uint64_t ahead_bytes) { return !Fits(ahead_bytes); }

}  // namespace gzipfs
