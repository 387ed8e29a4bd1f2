// Recovery as the person who mounts sees it.
#pragma once

#include "codec/base/result.h"
#include "fs/store/store.h"

namespace gzipfs {

// Recovers the store; says on stderr, and in the log, what became of each file
// that had a log, with a progress line on a terminal when it takes longer than
// a second. The error is a clause for a person.
tl::expected<void, std::string> RecoverStore(Store& store, const std::string& store_path);

}  // namespace gzipfs
