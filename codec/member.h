// From a block of plain bytes to its member or members, and back.
//
// Pure functions with the calling thread's codecs; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/base/result.h"
#include "codec/codec.h"
#include "codec/gzip_format.h"

namespace gzipfs {

// The members of one block, ready to be written: usually one, two stored ones
// when a full BGZF block does not compress.
struct EncodedMember {
  uint32_t plain_bytes = 0;
  uint32_t member_bytes = 0;
};
struct EncodedBlock {
  std::vector<std::byte> bytes;        // the members, one after the other
  std::vector<EncodedMember> members;  // their sizes, in order
};

// Compresses `plain` (1 byte up to the profile's largest block) at `level`.
// Never fails: what does not compress is stored. A full block of zeros costs
// no compression: its member is made once per process.
EncodedBlock EncodeBlock(Profile profile, int level, std::span<const std::byte> plain);

// Decodes the member `member` (all of it, exactly) into `plain`, whose size
// must be the member's. CRC32 and ISIZE are checked. Any failure leaves
// garbage in `plain`.
Result<void> DecodeMember(std::span<const std::byte> member, std::span<std::byte> plain);

// Decodes all members of `block`, one after the other. Checked as above.
Result<std::vector<std::byte>> DecodeBlock(const EncodedBlock& block);

// The largest member EncodeBlock can make of one block, all members together.
uint64_t MaxEncodedBytes(Profile profile, uint64_t plain_bytes);

}  // namespace gzipfs
