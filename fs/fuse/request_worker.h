// Answers requests on a thread of its own, one after the other: those for which the kernel
// has to hand over what it has gathered.
//
// It does that by requests, so nobody who serves them may wait for it: with as many
// `gzipfs sync` as there are serving threads, none would be left.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "codec/base/mutex.h"

struct fuse_req;

namespace gzipfs {

// Thread-safe.
class RequestWorker {
 public:
  RequestWorker() = default;
  ~RequestWorker() { Stop(); }
  RequestWorker(const RequestWorker&) = delete;
  RequestWorker& operator=(const RequestWorker&) = delete;

  // Will call `answer`, which replies to `request`, on the worker's thread.
  void Add(fuse_req* request, std::function<void()> answer) EXCLUDES(mutex_);
  // Answers what was added, and takes no more (ESHUTDOWN). To be called before the
  // session goes, with no request under way.
  void Stop() EXCLUDES(mutex_);

 private:
  void Work() EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> answers_ GUARDED_BY(mutex_);  // the kernel bounds them
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);  // begins with the first request
};

}  // namespace gzipfs
