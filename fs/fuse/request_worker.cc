// A queue and a thread.
#include "fs/fuse/request_worker.h"

#include <fuse_lowlevel.h>

namespace gzipfs {

void RequestWorker::Add(fuse_req* request, std::function<void()> answer) {
  bool is_refused = false;
  {
    MutexLock lock(mutex_);
    is_refused = is_stopping_;
    if (!is_refused) {
      answers_.push_back(std::move(answer));
      if (!thread_.joinable()) thread_ = std::thread([this] { Work(); });
    }
  }
  changed_.NotifyOne();
  if (is_refused) (void)::fuse_reply_err(request, ESHUTDOWN);
}

void RequestWorker::Stop() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
    thread = std::move(thread_);
  }
  changed_.NotifyOne();
  if (thread.joinable()) thread.join();
}

void RequestWorker::Work() {
  for (;;) {
    std::function<void()> answer;
    {
      MutexLock lock(mutex_);
      while (answers_.empty() && !is_stopping_) changed_.Wait(mutex_);
      if (answers_.empty()) return;
      answer = std::move(answers_.front());
      answers_.pop_front();
    }
    answer();
  }
}

}  // namespace gzipfs
