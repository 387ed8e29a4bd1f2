// Mount options as they stand behind -o.
#pragma once

#include <string>
#include <string_view>

#include "fs/fuse/session.h"

namespace gzipfs {

// Applies a comma-separated list to `options`; "\," is a comma inside a value.
// Of options that exclude each other the last one counts. Options that mount(8)
// and fstab(5) know and a FUSE mount has no use for are passed over. The error
// is a clause for a person: what is wrong with which option.
tl::expected<void, std::string> ApplyMountOptions(std::string_view list, MountOptions& options);

// The options of our own and what they mean, for --help.
extern const char kMountOptionsHelp[];

}  // namespace gzipfs
