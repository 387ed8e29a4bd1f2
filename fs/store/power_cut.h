// What a power cut leaves of an append that was never synced.
//
// The pages of such an append reach the disk in any order: a later one may be
// there and an earlier one be zeros. Nothing behind the first of these was
// promised to anybody, and a file that goes on behind a gap is in no state that
// it ever had. So it is cut in front of the gap, and what is cut off is kept.
#pragma once

#include <cstdint>
#include <optional>

#include "codec/base/byte_source.h"
#include "fs/store/store.h"

namespace gzipfs {

// Stored bytes at a base's end that are looked at. More than a kernel keeps dirty
// of one file for long; what is before it was written out long ago.
inline constexpr uint64_t kMaxLostPagesSearch = 1024 * kMiB;

// The file offset of the first member that has lost bytes: that cannot be
// decoded, and begins with zeros or has a sector of them. nullopt when there is
// none: other damage is no power cut's, a file that has members which are
// not in our form is not ours, and a torn end is cut off whenever a file is opened.
// Decodes all it looks at, in parallel. Errors are the device's. Thread-safe.
// `is_ours`: that the file is one of ours is known (its log says so), though it may begin
// with zeros and hold nothing else that tells.
Result<std::optional<uint64_t>> FindLostPages(Store& store, const ByteSource& base, bool is_ours,
                                              uint64_t search_bytes = kMaxLostPagesSearch);

}  // namespace gzipfs
