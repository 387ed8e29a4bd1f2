// The thread that brings long logs into their bases while writers go on.
#pragma once

#include <deque>
#include <memory>
#include <thread>

#include "codec/base/mutex.h"

namespace gzipfs {

// A file with a log.
class Checkpointable {
 public:
  virtual ~Checkpointable() = default;
  // Makes a checkpoint if the log is still long. Called without locks.
  virtual void CheckpointIfDue() = 0;
};

// Thread-safe. Its thread begins with the first file; files still queued when
// it is destroyed are let go of.
class Checkpointer {
 public:
  Checkpointer() = default;
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // Queues a file; one that is queued already is not queued again. The queue
  // is bounded by the number of open files.
  void Add(std::weak_ptr<Checkpointable> file) EXCLUDES(mutex_);

 private:
  void Work() EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::weak_ptr<Checkpointable>> files_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
