// Blocks survive the way to members and back; damage never goes unnoticed.
#include "codec/member.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "tests/unit/codec/test_data.h"
#include "tests/unit/rounds.h"

namespace gzipfs {
namespace {

using test::Buffer;

uint64_t MaxMember(Profile profile) {
  return profile == Profile::kBgzf ? kBgzfMaxMemberBytes
                                   : MaxEncodedBytes(Profile::kLarge, kMaxLargeBlockBytes);
}

// Decodes member by member, holding every promise of EncodeBlock on the way.
Buffer DecodeAll(Profile profile, const EncodedBlock& block, size_t plain_bytes) {
  Buffer plain(plain_bytes);
  size_t file_offset = 0, plain_offset = 0;
  for (const EncodedMember& member : block.members) {
    const auto bytes = std::span(block.bytes).subspan(file_offset, member.member_bytes);
    const auto header = ParseMemberHeader(bytes);
    EXPECT_TRUE(header && header->is_exact_shape && header->profile == profile);
    EXPECT_EQ(header->member_bytes, member.member_bytes);
    EXPECT_LE(member.member_bytes, MaxMember(profile));
    EXPECT_TRUE(
        DecodeMember(bytes, std::span(plain).subspan(plain_offset, member.plain_bytes)));
    file_offset += member.member_bytes;
    plain_offset += member.plain_bytes;
  }
  EXPECT_EQ(file_offset, block.bytes.size());
  EXPECT_EQ(plain_offset, plain_bytes);
  EXPECT_LE(block.bytes.size(), MaxEncodedBytes(profile, plain_bytes));
  return plain;
}

void ExpectRoundTrip(Profile profile, int level, const Buffer& plain) {
  const EncodedBlock block = EncodeBlock(profile, level, plain);
  EXPECT_EQ(DecodeAll(profile, block, plain.size()), plain) << level << " " << plain.size();
  EXPECT_EQ(test::GunzipAll(block.bytes), plain) << level << " " << plain.size();
}

constexpr size_t kBgzfSizes[] = {1,     2,     3,     100,   32768, 65279, 65280, 65281,
                                 65505, 65506, 65507, 65510, 65534, 65535, 65536};

TEST(EncodeBlock, BgzfRoundTripAtEveryLevelAndSize) {
  constexpr int kStep = test::kSlowness == 1 ? 1 : 5;
  for (int level = kLevelFast; level <= kMaxLevel; level += kStep) {
    for (size_t size : kBgzfSizes) {
      ExpectRoundTrip(Profile::kBgzf, level, test::TextLike(size));
      ExpectRoundTrip(Profile::kBgzf, level, test::Noise(size));
      ExpectRoundTrip(Profile::kBgzf, level, Buffer(size));
    }
  }
}

TEST(EncodeBlock, LargeRoundTripAtTheLimits) {
  for (int level : {kLevelFast, 1, 6}) {
    for (size_t size : {size_t{1}, size_t{65536}, 128 * kKiB - 1, 128 * kKiB, 1 * kMiB, 4 * kMiB}) {
      ExpectRoundTrip(Profile::kLarge, level, test::TextLike(size));
      ExpectRoundTrip(Profile::kLarge, level, test::Noise(size));
      ExpectRoundTrip(Profile::kLarge, level, Buffer(size));
    }
  }
}

TEST(EncodeBlock, EveryMixOfNoiseAndTextFitsItsMembers) {
  constexpr size_t kStep = 97 * test::kSlowness;
  for (size_t noise_bytes = 60000; noise_bytes <= 65536; noise_bytes += kStep) {
    Buffer plain = test::TextLike(65536);
    const Buffer noise = test::Noise(noise_bytes, static_cast<uint32_t>(noise_bytes));
    std::copy(noise.begin(), noise.end(), plain.begin());
    for (int level : {kLevelFast, 1, 6}) {
      const EncodedBlock block = EncodeBlock(Profile::kBgzf, level, plain);
      ASSERT_EQ(DecodeAll(Profile::kBgzf, block, plain.size()), plain) << noise_bytes;
    }
  }
}

TEST(EncodeBlock, NoiseIsStoredInOneMemberWhileItFits) {
  for (size_t size : {1u, 1000u, 65280u, 65505u}) {
    const EncodedBlock block = EncodeBlock(Profile::kBgzf, 6, test::Noise(size));
    EXPECT_EQ(block.members.size(), 1u) << size;
    EXPECT_LE(block.bytes.size(), size + 31);
  }
}

TEST(EncodeBlock, FullBlockOfNoiseIsTwoStoredMembersOf32KiB) {
  const EncodedBlock block = EncodeBlock(Profile::kBgzf, 6, test::Noise(65536));
  ASSERT_EQ(block.members.size(), 2u);
  for (const EncodedMember& member : block.members) {
    EXPECT_EQ(member.plain_bytes, 32768u);
    EXPECT_EQ(member.member_bytes, 32768u + 5 + 26);
  }
  EXPECT_EQ(block.bytes.size(), MaxEncodedBytes(Profile::kBgzf, 65536));
}

TEST(EncodeBlock, LargeBlockOfNoiseIsOneMember) {
  const EncodedBlock block = EncodeBlock(Profile::kLarge, 6, test::Noise(kMaxLargeBlockBytes));
  ASSERT_EQ(block.members.size(), 1u);
  EXPECT_LE(block.bytes.size(), kMaxLargeBlockBytes + 28 + 65 * 5);
}

TEST(EncodeBlock, FullBlockOfZerosIsTiny) {
  EXPECT_LE(EncodeBlock(Profile::kBgzf, 1, Buffer(65536)).bytes.size(), 110u);
  for (size_t size = kMinLargeBlockBytes; size <= kMaxLargeBlockBytes; size *= 2)
    EXPECT_LE(EncodeBlock(Profile::kLarge, 1, Buffer(size)).bytes.size(), size / 500);
}

TEST(EncodeBlock, AlmostZeroBlocksKeepTheirOtherByte) {
  for (size_t position : {0, 1, 8, 4095, 32768, 65534, 65535}) {
    Buffer plain(65536);
    plain[position] = std::byte{1};
    ExpectRoundTrip(Profile::kBgzf, 1, plain);
  }
  ExpectRoundTrip(Profile::kBgzf, 1, Buffer(65536, std::byte{7}));
}

TEST(EncodeBlock, ThreadsShareNothing) {
  std::vector<std::jthread> threads;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([seed] {
      for (uint32_t round = 0; round < 20; ++round) {
        ExpectRoundTrip(Profile::kBgzf, static_cast<int>(round % 3),
                        test::TextLike(65536, seed * 100 + round));
        ExpectRoundTrip(Profile::kBgzf, 1, Buffer(65536));
        ExpectRoundTrip(Profile::kLarge, 1, Buffer(128 * kKiB));
      }
    });
  }
}

TEST(DecodeMember, ReadsForeignMembers) {
  const Buffer plain = test::TextLike(5000);
  const Buffer member = test::MakeForeign(
      plain, {.extra = Buffer(70), .name = "n", .comment = "c", .has_header_crc = true});
  Buffer decoded(plain.size());
  EXPECT_TRUE(DecodeMember(member, decoded));
  EXPECT_EQ(decoded, plain);
}

TEST(DecodeMember, ReadsEmptyMembers) {
  Buffer member(28);
  EncodeEmptyMember(Profile::kBgzf, kEofPayload, member);
  EXPECT_TRUE(DecodeMember(member, {}));
  Buffer one(1);
  EXPECT_EQ(DecodeMember(member, one).error(), DataError::kBadSize);
}

TEST(DecodeMember, RefusesAnythingButExactlyTheMember) {
  const Buffer plain = test::TextLike(500);
  const Buffer member = EncodeBlock(Profile::kBgzf, 6, plain).bytes;
  Buffer decoded(plain.size());
  ASSERT_TRUE(DecodeMember(member, decoded));
  for (size_t length = 0; length < member.size(); ++length)
    EXPECT_FALSE(DecodeMember(std::span(member).first(length), decoded)) << length;
  Buffer longer = member;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(DecodeMember(longer, decoded));
  for (size_t size : {0, 1, 499, 501}) {
    Buffer other(size);
    EXPECT_FALSE(DecodeMember(member, other)) << size;
  }
}

TEST(DecodeMember, ForeignMemberTruncatedAnywhereIsRefused) {
  const Buffer plain = test::TextLike(500);
  const Buffer member = test::MakeForeign(plain, {.name = "name"});
  Buffer decoded(plain.size());
  for (size_t length = 0; length < member.size(); ++length)
    EXPECT_FALSE(DecodeMember(std::span(member).first(length), decoded)) << length;
}

// Flips every bit of a member that holds `plain`. Where that goes unnoticed,
// the plain bytes must be right, and the place must satisfy `may_pass`.
void ExpectFlipsNoticed(const Buffer& plain, bool (*may_pass)(size_t position, size_t end)) {
  const Buffer member = EncodeBlock(Profile::kBgzf, 6, plain).bytes;
  for (size_t position = 0; position < member.size(); ++position) {
    for (int bit = 0; bit < 8; ++bit) {
      Buffer damaged = member;
      damaged[position] ^= static_cast<std::byte>(1 << bit);
      Buffer decoded(plain.size());
      if (!DecodeMember(damaged, decoded)) continue;
      EXPECT_EQ(decoded, plain) << position << " bit " << bit;
      EXPECT_TRUE(may_pass(position, member.size())) << position << " bit " << bit;
    }
  }
}

// Header bytes that carry no data: FLG (FTEXT), MTIME, XFL, OS, and the
// subfield's id and length, without which the member is a foreign one.
bool IsHarmless(size_t position) {
  const bool is_payload = position >= 4 && position < 10;
  const bool is_subfield_kind = position >= 12 && position < 16;
  return position == 3 || is_payload || is_subfield_kind;
}

TEST(DecodeMember, EveryFlippedBitOfAStoredMemberIsNoticed) {
  ExpectFlipsNoticed(test::Noise(400), [](size_t position, size_t) {
    return IsHarmless(position) || position == kBgzfHeaderBytes;  // padding before LEN
  });
}

TEST(DecodeMember, EveryFlippedBitOfACompressedMemberIsNoticed) {
  // Only a deflate stream that says the same in other words may pass.
  for (const Buffer& plain : {test::TextLike(400), Buffer(400), test::FromText("a")}) {
    ExpectFlipsNoticed(plain, [](size_t position, size_t end) {
      const bool is_deflate = position >= kBgzfHeaderBytes && position < end - kTrailerBytes;
      return IsHarmless(position) || is_deflate;
    });
  }
}

TEST(DecodeMember, EveryReplacedByteIsNoticedOrChangesNothing) {
  const Buffer plain = test::TextLike(120);
  const Buffer member = EncodeBlock(Profile::kLarge, 6, plain).bytes;
  for (size_t position = 0; position < member.size(); ++position) {
    for (int value = 0; value < 256; ++value) {
      Buffer damaged = member;
      damaged[position] = static_cast<std::byte>(value);
      Buffer decoded(plain.size());
      if (!DecodeMember(damaged, decoded)) continue;
      ASSERT_EQ(decoded, plain) << position << " " << value;
    }
  }
}

}  // namespace
}  // namespace gzipfs
