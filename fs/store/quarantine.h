// Where goes what fits no file of the store any more: logs, ends of bases.
#pragma once

#include <string>

#include "fs/store/store.h"

namespace gzipfs {

// Moves a log out of the way of recovery, where a person finds it. Returns its
// new path, from the store's root on. Not durable before the log directory is
// synced: after a power cut it may have to be moved once more.
Result<std::string> QuarantineLog(Store& store, const std::string& log_name);

// Copies stored bytes [begin, end) of `fd` to a file of their own there, named
// after the last part of `path`. Durable when this returns the new path.
Result<std::string> KeepAside(Store& store, int fd, uint64_t begin, uint64_t end,
                              const std::string& path);

}  // namespace gzipfs
