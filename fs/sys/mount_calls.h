// Whole mounts: whether they answer, and their unwritten data.
//
// Every function asks the filesystem and waits for its answer. Errors are
// errno values of the system category.
#pragma once

#include <sys/types.h>

#include <string>

#include "codec/base/result.h"

namespace gzipfs {

// Has the kernel write out what it holds of the filesystem at `path`.
Result<void> SyncMount(const std::string& path);

// True when a FUSE filesystem answers at `path`.
Result<bool> IsFuse(const std::string& path);

// Raises the read-ahead of the filesystem that `path` is on to `kibibytes` if
// it is less; returns what it is now.
Result<unsigned> RaiseReadAhead(const std::string& path, unsigned kibibytes);

// Unmounts `mount_point`: by umount2(2) as root, else by fusermount3. With
// `lazily` also what is in use or no longer served. The error is a clause for
// a person.
tl::expected<void, std::string> UnmountPath(const std::string& mount_point, bool lazily);

}  // namespace gzipfs
