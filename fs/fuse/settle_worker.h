// Answers the requests to settle everything (kControlSettle) on a thread of its own.
//
// The kernel hands over what it has gathered by requests, so nobody who serves them
// may wait for that: with as many `gzipfs sync` as there are serving threads, none
// would be left.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "codec/base/mutex.h"
#include "codec/base/result.h"

struct fuse_req;

namespace gzipfs {

// Thread-safe.
class SettleWorker {
 public:
  // `settle` is called on the worker's thread, once for each request.
  explicit SettleWorker(std::function<Result<void>()> settle) : settle_(std::move(settle)) {}
  ~SettleWorker() { Stop(); }
  SettleWorker(const SettleWorker&) = delete;
  SettleWorker& operator=(const SettleWorker&) = delete;

  // Will answer `request`, an ioctl without data.
  void Add(fuse_req* request) EXCLUDES(mutex_);
  // Answers what was added, and takes no more (ESHUTDOWN). To be called before the
  // session goes, with no request under way.
  void Stop() EXCLUDES(mutex_);

 private:
  void Work() EXCLUDES(mutex_);

  const std::function<Result<void>()> settle_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<fuse_req*> requests_ GUARDED_BY(mutex_);  // bounded by the kernel's requests
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);  // begins with the first request
};

}  // namespace gzipfs
