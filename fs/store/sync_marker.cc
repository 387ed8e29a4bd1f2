// One thread, asleep until something is written and then for the interval.
#include "fs/store/sync_marker.h"

#include <system_error>

#include "fs/sys/at.h"

namespace gzipfs {

SyncMarker::~SyncMarker() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
    thread = std::move(thread_);
  }
  changed_.NotifyAll();
  if (thread.joinable()) thread.join();
}

void SyncMarker::NoteWrite() {
  if (!is_started_ || is_noted_.exchange(true)) return;
  try {
    MutexLock lock(mutex_);
    if (!thread_.joinable() && !is_stopping_) thread_ = std::thread([this] { Work(); });
  } catch (const std::system_error&) {
    is_noted_ = false;  // no thread to be had: the mark stays, and recovery looks at more
  }
  changed_.NotifyOne();
}

void SyncMarker::Work() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      while (!is_noted_ && !is_stopping_) changed_.Wait(mutex_);
      const auto begin = std::chrono::steady_clock::now();
      for (auto left = interval_; !is_stopping_ && left.count() > 0;) {
        (void)changed_.WaitFor(mutex_, left);
        const auto spent = std::chrono::steady_clock::now() - begin;
        left = interval_ - std::chrono::duration_cast<std::chrono::milliseconds>(spent);
      }
      if (is_stopping_) return;
    }
    is_noted_ = false;  // what is written from here on may come too late
    timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, FileClockNow()};
    times[1].tv_sec -= kSyncMarkMargin;
    if (SyncFilesystem(dir_fd_)) (void)ops_.SetTimes(mark_fd_.get(), times);
  }
}

}  // namespace gzipfs
