// Waits until a mount answers, has the kernel read ahead and gather more, and reports. A mount
// that turns out not to answer is ended.
#pragma once

#include <cstdint>
#include <string>
#include <thread>

#include "codec/base/mutex.h"
#include "fs/fuse/session_start.h"

namespace gzipfs {

// How much the kernel may gather of a mount at the most, with the share of its memory that a
// mount by root asks for; others are given less.
uint64_t GatheredBytes();

// Works on a thread of its own, since asking the mount takes those that serve
// it. Thread-safe.
class ReadyWatch {
 public:
  // `report` must outlive it; nobody else may use it meanwhile.
  ReadyWatch(StartReport& report, std::string store_path, std::string mount_point);
  // Gives up waiting. To be destroyed once a request that is under way fails
  // or is answered: after the mount has been taken down.
  ~ReadyWatch();
  ReadyWatch(const ReadyWatch&) = delete;
  ReadyWatch& operator=(const ReadyWatch&) = delete;

  // The kernel's first request has come. Called from a serving thread.
  void KernelAnswered() EXCLUDES(mutex_);

 private:
  void Watch() EXCLUDES(mutex_);
  void CheckMount();

  StartReport& report_;
  const std::string store_path_;
  const std::string mount_point_;
  Mutex mutex_;
  CondVar changed_;
  bool has_answered_ GUARDED_BY(mutex_) = false;
  bool stops_ GUARDED_BY(mutex_) = false;
  std::jthread watcher_;
};

}  // namespace gzipfs
