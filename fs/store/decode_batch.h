// Decodes a handful of members in parallel.
#pragma once

#include <span>
#include <vector>

#include "codec/codec_pool.h"
#include "codec/member.h"

namespace gzipfs {

// One member and where its plain bytes go.
struct DecodePart {
  std::span<const std::byte> member;
  std::span<std::byte> plain;
};

// Decodes all of `parts`, on this thread and on whichever workers of `pool`
// are free soon enough; never waits for a worker that has not begun. Returns
// the error of one of the parts that failed. Thread-safe.
Result<void> DecodeMembers(CodecPool& pool, std::vector<DecodePart> parts);

}  // namespace gzipfs
