// A least-recently-used list with an index.
#include "fs/vfs/dir_fd_cache.h"

namespace gzipfs {

DirFd DirFdCache::Get(NodeId id) {
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return {};
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->fd;
}

void DirFdCache::Put(NodeId id, const DirFd& fd) {
  Entries evicted;  // destroyed after the lock is gone
  const MutexLock lock(mutex_);
  if (by_id_.contains(id)) return;  // somebody was faster
  recent_.push_front({id, fd});
  by_id_.emplace(id, recent_.begin());
  if (recent_.size() <= limit_) return;
  by_id_.erase(recent_.back().id);
  evicted.splice(evicted.begin(), recent_, std::prev(recent_.end()));
}

void DirFdCache::Drop(NodeId id) {
  Entries dropped;
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  dropped.splice(dropped.begin(), recent_, found->second);
  by_id_.erase(found);
}

void DirFdCache::Clear() {
  Entries dropped;
  const MutexLock lock(mutex_);
  dropped.swap(recent_);
  by_id_.clear();
}

}  // namespace gzipfs
