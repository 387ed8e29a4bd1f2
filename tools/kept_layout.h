// What a store has kept of a foreign file in it (.gzipfs/index), for commands that need no
// mount.
#pragma once

#include <optional>
#include <string>

#include "codec/member_index.h"
#include "tools/gzip_input.h"

namespace gzipfs {

// The layout of `input`, the regular file at `path`, if the store that it lies in has kept
// one, with its restart points. nullopt when there is none that is about the file as it is,
// or that may be read, and when it knows of damage, about which decoding tells more.
std::optional<FileLayout> LoadKeptLayout(const std::string& path, const GzipInput& input);

// The foreign member at `file_offset`, if the layout knows it; else null.
const MemberInfo* ForeignAt(const FileLayout& layout, uint64_t file_offset);
// The restart points of the foreign member at `file_offset`; null when there are none.
const MemberRestarts* RestartsAt(const FileLayout& layout, uint64_t file_offset);

}  // namespace gzipfs
