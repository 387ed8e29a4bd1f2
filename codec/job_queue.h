// A bounded queue of jobs for many producers and many consumers.
//
// boost::lockfree::queue moves the pointers; consumers that find it empty park
// on a condition variable and are woken one at a time.
#pragma once

#include <atomic>
#include <cstddef>

#include <boost/lockfree/queue.hpp>

#include "codec/base/mutex.h"

namespace gzipfs {

// A piece of work. Whoever submits it owns it and keeps it alive until Run
// has begun; Run may delete it.
class Job {
 public:
  virtual ~Job() = default;
  // Runs on a worker thread, once. Must not throw.
  virtual void Run() = 0;
};

// Thread-safe.
class JobQueue {
 public:
  // Holds `capacity` jobs. REQUIRES: 0 < capacity < 65,535 (nodes are numbered
  // with 16 bits).
  explicit JobQueue(size_t capacity) : queue_(capacity) {}

  // False when the queue is full or closed: the caller runs the job itself or
  // waits.
  [[nodiscard]] bool TryPush(Job* job);
  // The next job; waits for one. Null once the queue is closed and drained.
  Job* Pop();
  // The next job, or null at once when there is none.
  Job* TryPop();
  // Whether there is one just now.
  bool HasJobs() const { return !queue_.empty(); }
  // Wakes everybody; jobs already queued are still handed out. REQUIRES: no
  // TryPush runs at the same time, or its job may stay in the queue.
  void Close();

 private:
  boost::lockfree::queue<Job*, boost::lockfree::fixed_sized<true>> queue_;
  std::atomic<int> sleeper_count_{0};
  std::atomic<bool> closed_{false};
  Mutex mutex_;
  CondVar wake_;
};

}  // namespace gzipfs
