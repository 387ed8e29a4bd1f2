// Where to begin decoding for a plain offset.
#pragma once

#include <cstdint>

#include "codec/base/byte_source.h"
#include "codec/member_index.h"
#include "tools/plain_stream.h"

namespace gzipfs {

// The member that holds `plain_offset`, or a foreign one before it from which
// it can only be reached by decoding; where the file ends or is damaged before
// that, the last boundary reached. By the index where the file has a tail, else
// by hopping from member to member. Errors are the device's.
// `kept`: what is known of a file without a tail (LoadKeptLayout), or null; with it a
// foreign member need not be decoded to get behind it.
Result<PlainStream::Start> FindStart(const ByteSource& source, uint64_t plain_offset,
                                     const FileLayout* kept = nullptr);

}  // namespace gzipfs
