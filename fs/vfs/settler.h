// Settles closed files in the background.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "codec/base/mutex.h"

namespace gzipfs {

class OpenFile;

// A few threads that take files from a bounded queue. Thread-safe. Files still
// queued when it is destroyed are let go of: whoever wants them settled settles
// everything before.
class Settler {
 public:
  // What to do with a file; false: once more, after a while.
  using Action = std::function<bool(const std::shared_ptr<OpenFile>&)>;

  explicit Settler(Action action);
  ~Settler();
  Settler(const Settler&) = delete;
  Settler& operator=(const Settler&) = delete;

  // False when the queue is full: the caller does the work itself.
  bool Add(std::shared_ptr<OpenFile> file) EXCLUDES(mutex_);
  // For a file that could not be settled now. Never refused: its number is
  // bounded by that of the unsettled files.
  void AddLater(std::shared_ptr<OpenFile> file) EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  struct Delayed {
    Clock::time_point due;
    std::shared_ptr<OpenFile> file;
  };

  void Work() EXCLUDES(mutex_);
  // The next file that is due; waits for it. Null when the threads shall end.
  std::shared_ptr<OpenFile> Take() EXCLUDES(mutex_);

  const Action action_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<OpenFile>> ready_ GUARDED_BY(mutex_);
  std::deque<Delayed> delayed_ GUARDED_BY(mutex_);  // in the order of their times
  bool is_stopping_ GUARDED_BY(mutex_) = false;

  std::vector<std::jthread> threads_;  // last: they use all of the above
};

}  // namespace gzipfs
