// Whole mounts: whether they answer, and their unwritten data.
//
// Every function asks the filesystem and waits for its answer. Errors are
// errno values of the system category.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace gzipfs {

// Has the kernel write out what it holds of the filesystem at `path`.
Result<void> SyncMount(const std::string& path);

// True when a FUSE filesystem answers at `path`.
Result<bool> IsFuse(const std::string& path);

// Raises a setting of the filesystem that `path` is on, one of the files in its directory
// of Documentation/ABI/testing/sysfs-class-bdi, to `value` if it is less; returns what it is
// now. The errors of open(2), read(2) and write(2): only root may.
Result<unsigned> RaiseBdiSetting(const std::string& path, std::string_view setting,
                                 unsigned value);

// Unmounts `mount_point`: by umount2(2) as root, else by fusermount3. With
// `lazily` also what is in use or no longer served. The error is a clause for
// a person.
tl::expected<void, std::string> UnmountPath(const std::string& mount_point, bool lazily);

}  // namespace gzipfs
