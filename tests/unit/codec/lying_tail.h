// Tails that say whatever a test wants, with every checksum right.
#pragma once

#include <vector>

#include "codec/codec.h"
#include "tests/unit/codec/test_data.h"
#include "codec/member_header.h"

namespace gzipfs::test {

// What an entry says of a group.
struct ClaimedGroup {
  uint64_t plain_bytes;
  uint64_t file_bytes;
};

// A tail to stand at `tail_offset`, short without `groups` (codec/FORMAT.md,
// sections 3 and 4). `said_count` is what the count says.
inline Buffer MakeTail(uint64_t tail_offset, const std::vector<ClaimedGroup>& groups,
                       uint64_t plain_bytes, uint64_t said_count) {
  Buffer tail, said;
  const auto add = [&](const Payload& payload, bool is_checked) {
    tail.resize(tail.size() + EmptyMemberBytes(Profile::kBgzf));
    EncodeEmptyMember(Profile::kBgzf, payload,
                      std::span(tail).last(EmptyMemberBytes(Profile::kBgzf)));
    if (is_checked) Append(&said, payload);
  };
  const auto number = [](uint64_t value) {
    Payload payload{};
    StoreLe48(payload.data(), value);
    return payload;
  };
  uint32_t sum = 0;
  for (const ClaimedGroup& group : groups) {
    Payload entry{};
    StoreLe24(entry.data(), group.plain_bytes);
    StoreLe24(entry.data() + 3, group.file_bytes);
    sum = Crc32(sum, entry);
    add(entry, /*is_checked=*/false);
  }
  if (said_count > 0) add(number(said_count), /*is_checked=*/true);
  if (said_count > 0) add(number(sum), /*is_checked=*/true);
  add(number(plain_bytes), /*is_checked=*/true);
  Payload mark{};
  mark[4] = std::byte{0x47};
  mark[5] = static_cast<std::byte>(16 | (said_count > 0 ? 0x20 : 0));
  Append(&said, std::span(mark).subspan(4));
  std::byte place[8];
  StoreLittle(place, tail_offset, 8);
  StoreLe32(mark.data(), Crc32(Crc32(0, place), said));
  add(mark, /*is_checked=*/false);
  add(kEofPayload, /*is_checked=*/false);
  return tail;
}

inline Buffer MakeTail(uint64_t tail_offset, const std::vector<ClaimedGroup>& groups) {
  uint64_t plain_bytes = 0;
  for (const ClaimedGroup& group : groups) plain_bytes += group.plain_bytes;
  return MakeTail(tail_offset, groups, plain_bytes, groups.size());
}

}  // namespace gzipfs::test
