// How many bytes of unwritten data all open files together may hold.
//
// A writer reserves before it takes any lock, and waits while the budget is
// spent. When nothing is on its way out of memory by itself, the waiting
// writer calls a relief function, which spills some file's blocks.
#pragma once

#include <cstdint>
#include <functional>

#include "codec/base/mutex.h"
#include "codec/base/result.h"

namespace gzipfs {

// Thread-safe.
class DirtyBudget {
 public:
  explicit DirtyBudget(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Takes `bytes` from the budget; waits for them. A request above the whole
  // limit is granted once nothing else is held. ENOSPC when nobody could free
  // anything for kPatience: the store is full.
  Result<void> Reserve(uint64_t bytes) EXCLUDES(mutex_);
  void Release(uint64_t bytes) EXCLUDES(mutex_);

  // Blocks that are being compressed or written: while there are any, a
  // waiting writer waits a moment for them before it calls for relief, and
  // never takes the store for full.
  void BeginProgress() EXCLUDES(mutex_);
  void EndProgress() EXCLUDES(mutex_);

  // BeginProgress and EndProgress for a scope.
  class Progress {
   public:
    explicit Progress(DirtyBudget& budget) : budget_(budget) { budget_.BeginProgress(); }
    ~Progress() { budget_.EndProgress(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

   private:
    DirtyBudget& budget_;
  };

  // Called, without a lock, by a waiting writer; returns true when it freed or
  // started anything.
  void SetRelief(std::function<bool()> relief) EXCLUDES(mutex_);

  uint64_t used_bytes() const EXCLUDES(mutex_);

 private:
  static constexpr std::chrono::milliseconds kPause{10};  // between calls for relief
  static constexpr std::chrono::milliseconds kProgressPause{100};  // while blocks go by themselves
  static constexpr std::chrono::milliseconds kPatience{2000};

  const uint64_t limit_bytes_;
  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t used_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t in_progress_ GUARDED_BY(mutex_) = 0;
  std::function<bool()> relief_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
