// Whether what is written still fits on the store's disk.
//
// A block goes to the disk some time after it was written: when it is full, when the
// file is closed, when memory is short. So that a full disk is told to write(2) and not
// to close(2), a writer asks beforehand whether there is room for all that is in memory
// and for what he brings, even if nothing of it can be compressed. Where there is not, he
// waits until what is in memory has gone to the disk, where it takes less.
//
// That is no reservation: others may fill the same disk. Nor does it count what a
// checkpoint needs, which close(2) does not wait for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "codec/base/mutex.h"
#include "codec/base/result.h"
#include "codec/base/units.h"
#include "fs/store/dirty_budget.h"

namespace gzipfs {

// Thread-safe. `budget` and what the functions use must outlive it.
class SpaceGate {
 public:
  // `free_bytes` tells what is free on the disk for this process; `relieve` moves blocks
  // out of memory and returns whether any went. Both are called without a lock.
  SpaceGate(DirtyBudget& budget, std::function<uint64_t()> free_bytes,
            std::function<bool()> relieve);

  // The bytes of a writer who was let in and is not in the budget yet; they count while
  // it lives.
  class Pass {
   public:
    Pass() = default;
    Pass(std::atomic<uint64_t>& entering_bytes, uint64_t bytes)
        : entering_bytes_(&entering_bytes), bytes_(bytes) {
      *entering_bytes_ += bytes_;
    }
    ~Pass() {
      if (entering_bytes_ != nullptr) *entering_bytes_ -= bytes_;
    }
    Pass(Pass&& other) noexcept
        : entering_bytes_(std::exchange(other.entering_bytes_, nullptr)), bytes_(other.bytes_) {}
    Pass& operator=(Pass&&) = delete;

   private:
    std::atomic<uint64_t>* entering_bytes_ = nullptr;
    uint64_t bytes_ = 0;
  };

  // A pass for `bytes`, to be held until they are in the budget, or a little longer: when
  // all that is in memory, all who hold a pass, and they have room on the disk. Waits for
  // it, one behind the other. ENOSPC when nothing more leaves memory and there is none.
  Result<Pass> Enter(uint64_t bytes) EXCLUDES(turn_mutex_);

  // Whether `ahead_bytes` more, on their way here without having asked, might not fit.
  bool IsLow(uint64_t ahead_bytes);

  // What a store must have besides: directories, metadata of the disk's own.
  static constexpr uint64_t kSpareBytes = 256 * kKiB;

 private:
  bool Fits(uint64_t ahead_bytes);
  Result<Pass> AwaitRoom(uint64_t bytes) REQUIRES(turn_mutex_);

  // How long a look at the disk is good for, while there is that much more than needed:
  // more than can be written in that time.
  static constexpr std::chrono::milliseconds kFresh{10};
  static constexpr uint64_t kFreshMarginBytes = 64 * kMiB;
  static constexpr std::chrono::milliseconds kPause{10};
  // While nothing leaves memory; the longer one while others try to make it.
  static constexpr std::chrono::milliseconds kPatience{300};
  static constexpr std::chrono::milliseconds kLongPatience{3000};

  DirtyBudget& budget_;
  const std::function<uint64_t()> free_bytes_;
  const std::function<bool()> relieve_;
  Mutex turn_mutex_;  // of those who wait, held while waiting
  std::chrono::steady_clock::time_point failed_at_ GUARDED_BY(turn_mutex_){};
  uint64_t used_at_failure_ GUARDED_BY(turn_mutex_) = 0;
  std::atomic<uint64_t> entering_bytes_{0};
  std::atomic<uint64_t> last_free_bytes_{0};
  std::atomic<std::chrono::steady_clock::time_point> fresh_until_{};
};

}  // namespace gzipfs
