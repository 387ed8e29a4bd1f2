// Objects of a tree that others may change meanwhile, found without following a
// symlink: one that was put in the place of a directory leads nowhere.
//
// As rm -r and chown -R do it: each directory is opened from the one it is in.
#pragma once

#include <sys/stat.h>

#include <string>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// A name and the directory it is in, whatever that is called by now.
struct TreePlace {
  UniqueFd directory;  // O_PATH
  std::string name;    // without a slash; "." for "/"

  int dir_fd() const { return directory.get(); }
  const char* c_name() const { return name.c_str(); }
};

// In all of these `path` is absolute and was canonical once: ENOTDIR where a directory
// of it is a symlink now. Thread-safe.

// The place of an object, which need not be there; its directory has to.
Result<TreePlace> PlaceInTree(const std::string& path);
// openat(2) of `path` with O_NOFOLLOW added: ELOOP for a symlink itself, but with O_PATH.
Result<UniqueFd> OpenInTree(const std::string& path, int flags);
// A symlink's own status, too.
Result<struct stat> StatInTree(const std::string& path);
// fsync(2) of a directory.
Result<void> SyncDirectoryInTree(const std::string& path);

}  // namespace gzipfs
