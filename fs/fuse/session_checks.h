// What can be wrong with a mount, looked at before anything is touched.
#pragma once

#include <string>

#include "fs/fuse/session.h"

namespace gzipfs {

// Checks paths and devices; on success the paths in `options` are absolute and
// without symlinks, that of a log file, too. The error is a sentence without
// an end, for a person: what is wrong and what to do about it.
tl::expected<void, std::string> CheckMount(MountOptions& options);

}  // namespace gzipfs
