// Remembers up to when everything in the store is known to be on the disk, so
// that after a power cut only what is younger must be looked at.
#pragma once

#include <chrono>
#include <thread>

#include "codec/base/mutex.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// syncfs(2) writes everything of the filesystem, that of others too: not often.
inline constexpr std::chrono::minutes kSyncMarkInterval{5};
// A file's change time is that of the beginning of a write, which may take a while:
// the mark is that much older than the sync.
inline constexpr time_t kSyncMarkMargin = 60;  // seconds

// While files are written to, syncs the filesystem of directory `dir_fd`, which
// outlives it, once in a while, and then sets the modification time of the file
// behind `mark_fd` to kSyncMarkMargin before it began. Errors are not
// told: the mark stays where it is. Thread-safe; its thread begins with the first
// write.
class SyncMarker {
 public:
  SyncMarker(FileOps& ops, int dir_fd, UniqueFd mark_fd,
             std::chrono::milliseconds interval = kSyncMarkInterval)
      : ops_(ops), dir_fd_(dir_fd), mark_fd_(std::move(mark_fd)), interval_(interval) {}
  ~SyncMarker();
  SyncMarker(const SyncMarker&) = delete;
  SyncMarker& operator=(const SyncMarker&) = delete;

  // Nothing is marked before. At most once, before any other thread uses it.
  void Start() { is_started_ = true; }
  // Something is being written. Cheap.
  void NoteWrite() EXCLUDES(mutex_);

 private:
  void Work() EXCLUDES(mutex_);

  FileOps& ops_;
  const int dir_fd_;
  const UniqueFd mark_fd_;
  const std::chrono::milliseconds interval_;
  std::atomic<bool> is_started_{false};
  std::atomic<bool> is_noted_{false};
  Mutex mutex_;
  CondVar changed_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
