// How many bytes of unwritten data all open files together may hold.
//
// A writer reserves before it takes any lock, and waits while the budget is
// spent. When nothing is on its way out of memory by itself, the waiting
// writer calls a relief function, which spills some file's blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>

#include "codec/base/mutex.h"
#include "codec/base/result.h"

namespace gzipfs {

// Thread-safe.
class DirtyBudget {
 public:
  explicit DirtyBudget(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Takes `bytes` from the budget; waits for them, behind those who wait
  // already. A request above the whole limit is granted once nothing else is
  // held. ENOSPC when nobody could free anything for kPatience: the store is full.
  // `may_exceed`, asked without a lock whenever the caller would wait, lets
  // bytes in that others wait for; the caller sees to it that there are few.
  Result<void> Reserve(uint64_t bytes, const std::function<bool()>& may_exceed = nullptr)
      EXCLUDES(mutex_);
  void Release(uint64_t bytes) EXCLUDES(mutex_);

  // Blocks that are being compressed: while there are any, a waiting writer
  // waits for them rather than calling for relief.
  void BeginProgress() EXCLUDES(mutex_);
  void EndProgress() EXCLUDES(mutex_);

  // That, for a scope.
  class Progress {
   public:
    explicit Progress(DirtyBudget& budget) : budget_(budget) { budget_.BeginProgress(); }
    ~Progress() { budget_.EndProgress(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

   private:
    DirtyBudget& budget_;
  };

  // Gives back at the end of a scope, even when memory runs out in it, what `bytes` says
  // by then: what is left of a reservation. `bytes` must outlive it.
  class Rest {
   public:
    Rest(DirtyBudget& budget, const uint64_t& bytes) : budget_(budget), bytes_(bytes) {}
    ~Rest() { budget_.Release(bytes_); }
    Rest(const Rest&) = delete;
    Rest& operator=(const Rest&) = delete;

   private:
    DirtyBudget& budget_;
    const uint64_t& bytes_;
  };

  // Waits for a change, `pause` at most; whether blocks are on their way out of memory
  // after that, or a file is being settled.
  bool AwaitProgress(std::chrono::milliseconds pause) EXCLUDES(mutex_);

  // A file is being flushed, settled or cut, which will free its blocks: for
  // as long the store is not taken for full. For a scope.
  class Settling {
   public:
    explicit Settling(DirtyBudget& budget) : budget_(budget) { budget_.BeginSettling(); }
    ~Settling() { budget_.EndSettling(); }
    Settling(const Settling&) = delete;
    Settling& operator=(const Settling&) = delete;

   private:
    DirtyBudget& budget_;
  };

  // Called, without a lock, by a waiting writer; returns true when it freed or
  // started anything.
  void SetRelief(std::function<bool()> relief) EXCLUDES(mutex_);

  uint64_t used_bytes() const EXCLUDES(mutex_);
  // Whether so little is left that whoever can do without some of his should give
  // it back before anybody has to wait.
  bool IsTight() const { return used_bytes() > limit_bytes_ / 4 * 3; }

 private:
  struct Waiter {
    bool is_in_line = true;   // false while it calls for relief: others need not wait for that
    bool has_moved = false;   // somebody before it had room, since it looked last
  };

  void BeginSettling() EXCLUDES(mutex_);
  void EndSettling() EXCLUDES(mutex_);
  bool HasRoom(uint64_t bytes, uint64_t turn) const REQUIRES(mutex_);
  Result<void> AwaitRoom(uint64_t bytes, uint64_t turn, const std::function<bool()>& may_exceed)
      REQUIRES(mutex_);

  static constexpr std::chrono::milliseconds kPause{10};  // between calls for relief
  static constexpr std::chrono::milliseconds kPatience{2000};

  const uint64_t limit_bytes_;
  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t used_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t next_turn_ GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Waiter> waiters_ GUARDED_BY(mutex_);  // by turn
  uint64_t in_progress_ GUARDED_BY(mutex_) = 0;
  uint64_t settling_ GUARDED_BY(mutex_) = 0;
  std::function<bool()> relief_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
