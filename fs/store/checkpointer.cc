// One thread, which compresses by itself and gives way to those that write: the
// log takes what they write meanwhile.
#include "fs/store/checkpointer.h"

#include <algorithm>

#include "fs/sys/process.h"

namespace gzipfs {

Checkpointer::~Checkpointer() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
    thread = std::move(thread_);
  }
  changed_.NotifyAll();
  if (thread.joinable()) thread.join();
}

void Checkpointer::Add(std::weak_ptr<Checkpointable> file) {
  {
    MutexLock lock(mutex_);
    if (is_stopping_) return;
    const bool is_queued = std::any_of(files_.begin(), files_.end(), [&](const auto& queued) {
      return !queued.owner_before(file) && !file.owner_before(queued);
    });
    if (is_queued) return;
    files_.push_back(std::move(file));
    if (!thread_.joinable()) thread_ = std::thread([this] { Work(); });
  }
  changed_.NotifyOne();
}

void Checkpointer::Work() {
  LowerThreadPriority();
  for (;;) {
    std::weak_ptr<Checkpointable> next;
    {
      MutexLock lock(mutex_);
      while (files_.empty() && !is_stopping_) changed_.Wait(mutex_);
      if (is_stopping_) return;
      next = std::move(files_.front());
      files_.pop_front();
    }
    if (const auto file = next.lock()) file->CheckpointIfDue();
  }
}

}  // namespace gzipfs
