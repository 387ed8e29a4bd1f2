// Where the daemon's log goes.
#pragma once

#include <string>

#include "fs/fuse/session.h"

namespace gzipfs {

// Makes spdlog's default logger, and libfuse's messages, go where
// `options.log` says. The error is a clause for a person.
tl::expected<void, std::string> SetUpLog(const MountOptions& options);

}  // namespace gzipfs
