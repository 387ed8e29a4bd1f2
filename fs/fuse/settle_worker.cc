// One request at a time: a second settlement finds little to do.
#include "fs/fuse/settle_worker.h"

#include <fuse_lowlevel.h>

namespace gzipfs {

void SettleWorker::Add(fuse_req* request) {
  {
    MutexLock lock(mutex_);
    if (!is_stopping_) {
      requests_.push_back(request);
      if (!thread_.joinable()) thread_ = std::thread([this] { Work(); });
      request = nullptr;
    }
  }
  changed_.NotifyOne();
  if (request != nullptr) (void)::fuse_reply_err(request, ESHUTDOWN);
}

void SettleWorker::Stop() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
    thread = std::move(thread_);
  }
  changed_.NotifyOne();
  if (thread.joinable()) thread.join();
}

void SettleWorker::Work() {
  for (;;) {
    fuse_req* request = nullptr;
    {
      MutexLock lock(mutex_);
      while (requests_.empty() && !is_stopping_) changed_.Wait(mutex_);
      if (requests_.empty()) return;
      request = requests_.front();
      requests_.pop_front();
    }
    const Result<void> settled = settle_();
    if (settled) {
      (void)::fuse_reply_ioctl(request, 0, nullptr, 0);
    } else {
      (void)::fuse_reply_err(request, ErrnoOf(settled.error()));
    }
  }
}

}  // namespace gzipfs
