// From inodes to the store: directories by descriptor, objects by name.
//
// No path is ever put together. An object is opened by one name relative to
// its parent's directory, a directory is found by walking down from the
// nearest one that is open, each step without following symlinks, and what was
// found counts only when it is the base that the inode stands for. So a path
// may be of any depth, and a store that is changed behind the mount leads to
// ESTALE, never to another file.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codec/base/mutex.h"
#include "codec/base/result.h"
#include "fs/store/store.h"
#include "fs/vfs/dir_fd_cache.h"
#include "fs/vfs/inode_table.h"

namespace gzipfs {

// How often a name may turn out to lead to another file than was found there
// a moment before, until an operation gives up on it.
constexpr int kMaxAttempts = 100;

// Thread-safe. `lock` is held, shared, by whoever finds something by name or
// changes names within one directory, and exclusively by rename; never while
// contents are read, written or settled. Before it: Inode::place_mutex. After
// it: the tables' mutexes.
class NameSpace {
 public:
  // `root` is what store.root_fd() is.
  NameSpace(Store& store, const struct stat& root);

  SharedMutex lock;

  InodeTable& inodes() { return inodes_; }
  const InodeTable& inodes() const { return inodes_; }
  Store& store() { return store_; }

  // The directory itself, for calls relative to it. ENOTDIR, ESTALE.
  Result<DirFd> OpenDir(const InodeRef& dir) REQUIRES_SHARED(lock);
  // A descriptor of the inode's base, with `flags` of open(2).
  Result<UniqueFd> OpenBase(const InodeRef& inode, int flags) REQUIRES_SHARED(lock);
  Result<struct stat> StatBase(const InodeRef& inode) REQUIRES_SHARED(lock);
  // Whether an error of these says that a name leads elsewhere or nowhere by now:
  // another of the inode's names, or its pin, is worth a try.
  static bool IsGone(const std::error_code& error);

  // The directory was removed: its descriptor is let go.
  void ForgetDir(const InodeRef& dir) { dirs_.Drop(dir->id()); }
  // Calls `opener`; when the process has run out of descriptors, gives the
  // cached ones back and calls it once more.
  Result<UniqueFd> OpenWithRoom(const std::function<Result<UniqueFd>()>& opener);

  // Where the inode is in the store, for messages to people.
  std::string DescribePlace(const InodeRef& inode);

  // True for the name that is reserved in the store's root.
  bool IsReserved(const InodeRef& parent, std::string_view mount_name) const;

 private:
  // From a directory down to the next one.
  struct Step {
    InodeRef dir;
    StorePlace place;
  };

  Result<DirFd> NearestOpenDir(const InodeRef& dir, std::vector<Step>& steps);
  Result<UniqueFd> OpenChecked(int dir_fd, const StorePlace& place, const InodeRef& inode,
                               int flags);

  Store& store_;
  InodeTable inodes_;
  DirFdCache dirs_;
};

}  // namespace gzipfs
