// A directory tree as a list, and its objects that are no regular files made
// again in another place.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "tools/new_file.h"

namespace gzipfs {

struct TreeEntry {
  std::string path;  // below the root, without a slash in front; the root itself is ""
  struct stat status {};  // a symlink's own
};

// Says of a path, in full, why it cannot be looked at.
using TreeComplaint = std::function<void(const std::string& path, std::error_code error)>;

// Everything below `root` (absolute, canonical), and itself, sorted so that a directory comes
// before what is in it. Somebody else may change the tree meanwhile: no symlink is followed.
// Mounts of other filesystems are entered as any directory is. The
// private directory of a store is left out, and what NewFile has left or is
// writing is listed in `temporaries`, if that is given, instead.
std::vector<TreeEntry> ListTree(const std::string& root, const TreeComplaint& complain,
                                std::vector<std::string>* temporaries = nullptr);

// Makes `to` as `from` is, without its content: a directory (of mode 0700, to be
// completed by CompleteDirectory when everything is in it), symlink, fifo, socket
// or device. Both paths as tools/tree_place.h has them. REQUIRES: no regular file. A
// directory that is there already is taken.
Result<void> MakeLike(const std::string& from, const struct stat& status, const std::string& to);

// Owner, mode, attributes and times of a directory that MakeLike made.
Result<void> CompleteDirectory(const std::string& from, const struct stat& status,
                               const std::string& to);

// `path` below `directory`; that itself for "".
std::string PathBelow(const std::string& directory, const std::string& path);
// The directory that `path` is in: "." for a name alone.
std::string ParentOf(const std::string& path);
// The last part of a path.
std::string NameOf(const std::string& path);

}  // namespace gzipfs
