// Decoding once more with zlib, whatever library the decoder in use comes from.
//
// Thread-safe: no state.
#pragma once

#include <cstdint>
#include <span>

#include "codec/base/byte_source.h"
#include "codec/base/result.h"

namespace gzipfs {

// Whether zlib makes `plain` of the whole member `member`, and its CRC-32 that
// of the trailer. kDecodersDiffer when not.
Result<void> CheckByReference(std::span<const std::byte> member,
                              std::span<const std::byte> plain);

// The same for a member of any length at [file_offset, file_offset +
// member_bytes): that zlib finds its end there, and CRC-32 and ISIZE right.
// Other errors are the device's.
Result<void> CheckByReference(const ByteSource& source, uint64_t file_offset,
                              uint64_t member_bytes);

}  // namespace gzipfs
