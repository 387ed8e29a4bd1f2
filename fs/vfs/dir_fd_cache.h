// Open directories of the store, the most recently used ones.
//
// Inodes hold no descriptors; this bounded cache is what makes reaching them
// cheap. Node ids are never used twice, so an entry is never wrong, at most
// useless.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "codec/base/mutex.h"
#include "fs/sys/unique_fd.h"
#include "fs/vfs/inode.h"

namespace gzipfs {

// An O_PATH descriptor of a directory: from the cache, where it stays open for
// whoever holds it after it has left, or lent by an owner who lives longer.
class DirFd {
 public:
  DirFd() = default;
  explicit DirFd(std::shared_ptr<const UniqueFd> fd) : owner_(std::move(fd)), fd_(owner_->get()) {}
  explicit DirFd(UniqueFd fd) : DirFd(std::make_shared<const UniqueFd>(std::move(fd))) {}
  static DirFd Lent(int fd) {
    DirFd lent;
    lent.fd_ = fd;
    return lent;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  std::shared_ptr<const UniqueFd> owner_;
  int fd_ = -1;
};

// Thread-safe. Descriptors are closed outside its mutex, which is innermost.
class DirFdCache {
 public:
  explicit DirFdCache(size_t limit) : limit_(limit) {}

  // Empty when the directory is not here.
  DirFd Get(NodeId id) EXCLUDES(mutex_);
  void Put(NodeId id, const DirFd& fd) EXCLUDES(mutex_);
  // The directory was removed.
  void Drop(NodeId id) EXCLUDES(mutex_);
  // Gives back every descriptor, because the process ran out of them.
  void Clear() EXCLUDES(mutex_);

 private:
  struct Entry {
    NodeId id;
    DirFd fd;
  };
  using Entries = std::list<Entry>;

  const size_t limit_;
  Mutex mutex_;
  Entries recent_ GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<NodeId, Entries::iterator> by_id_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
