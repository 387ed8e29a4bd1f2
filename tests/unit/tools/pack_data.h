// Gzip files for the tests of the tools, made in memory or in temporary files.
#pragma once

#include <string>
#include <vector>

#include "codec/member_index.h"
#include "fs/sys/stream.h"
#include "tests/unit/codec/test_data.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs::test {

// `plain` as a store would keep it.
inline Buffer PackInMemory(std::span<const std::byte> plain, Profile profile = Profile::kBgzf,
                           uint64_t block_bytes = kBgzfBlockBytes) {
  Buffer file;
  MemberIndex index;
  for (size_t at = 0; at < plain.size(); at += block_bytes) {
    const auto block = plain.subspan(at, std::min<size_t>(block_bytes, plain.size() - at));
    const EncodedBlock encoded = EncodeBlock(profile, 1, block);
    for (const EncodedMember& member : encoded.members)
      index.Append(member.plain_bytes, member.member_bytes);
    Append(&file, encoded.bytes);
  }
  Append(&file, index.EncodeTail(profile, block_bytes));
  return file;
}

}  // namespace gzipfs::test
