// From a path inside a mount to the file in the store that is behind it.
#pragma once

#include <string>

#include "codec/base/result.h"

namespace gzipfs {

// `path` itself unless it lies in a gzipfs mount whose store is visible here;
// then the path of the base file or directory. ENOENT when neither form of it is
// in the store.
Result<std::string> FindStoreFile(const std::string& path);

}  // namespace gzipfs
