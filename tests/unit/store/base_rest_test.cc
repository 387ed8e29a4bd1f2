// What is behind the last readable member: torn, garbage, or damaged.
#include "fs/store/base_rest.h"

#include <gtest/gtest.h>

#include "tests/unit/codec/stored_file.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::StoredFile;

BaseRest RestOf(const Buffer& file) {
  const auto layout = test::Layout(file);
  EXPECT_TRUE(layout);
  const auto rest = ClassifyRest(SpanSource(file), *layout);
  EXPECT_TRUE(rest);
  return rest.value_or(BaseRest::kNone);
}

Buffer Member(Profile profile = Profile::kBgzf) {
  return EncodeBlock(profile, 1, test::TextLike(30'000)).bytes;
}

Buffer Joined(const Buffer& one, std::span<const std::byte> other) {
  Buffer both = one;
  test::Append(&both, other);
  return both;
}

TEST(BaseRest, CompleteFileHasNone) {
  EXPECT_EQ(RestOf({}), BaseRest::kNone);
  EXPECT_EQ(RestOf(Member()), BaseRest::kNone);
  EXPECT_EQ(RestOf(test::MakeForeign(test::TextLike(100))), BaseRest::kNone);
}

TEST(BaseRest, EveryPartOfAMemberOfOursIsTorn) {
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    const Buffer member = Member(profile);
    for (size_t size = 1; size < member.size(); size += 1 + size / 10) {
      const auto part = std::span(member).first(size);
      EXPECT_EQ(RestOf(Buffer(part.begin(), part.end())), BaseRest::kTorn) << size;
      EXPECT_EQ(RestOf(Joined(member, part)), BaseRest::kTorn) << size;
    }
  }
}

TEST(BaseRest, EveryPartOfATailIsTorn) {
  StoredFile file;
  for (int i = 0; i < 40; ++i) file.AddPlain(test::FromText("x"));
  const size_t tail_offset = file.AddTail();
  for (size_t size = tail_offset + 1; size < file.bytes.size(); ++size) {
    const Buffer cut(file.bytes.begin(), file.bytes.begin() + static_cast<ptrdiff_t>(size));
    const BaseRest rest = RestOf(cut);
    EXPECT_TRUE(rest == BaseRest::kTorn || rest == BaseRest::kNone) << size;
  }
}

TEST(BaseRest, ZerosAreTorn) {
  EXPECT_EQ(RestOf(Buffer(5000)), BaseRest::kTorn);
  EXPECT_EQ(RestOf(Joined(Member(), Buffer(1))), BaseRest::kTorn);
  EXPECT_EQ(RestOf(Joined(Member(), Buffer(3 * kMiB))), BaseRest::kTorn);
}

TEST(BaseRest, WhatIsNoGzipIsGarbageBehindMembersOnly) {
  const Buffer text = test::FromText("no gzip");
  EXPECT_EQ(RestOf(Joined(Member(), text)), BaseRest::kGarbage);
  EXPECT_EQ(RestOf(Joined(test::MakeForeign(text), text)), BaseRest::kGarbage);
  EXPECT_EQ(RestOf(text), BaseRest::kDamaged);
  EXPECT_EQ(RestOf(Joined(Buffer(100), text)), BaseRest::kDamaged);
}

TEST(BaseRest, EveryPartOfAForeignMemberIsDamage) {
  for (const test::ForeignOptions& options :
       {test::ForeignOptions{}, {.name = "name"}, {.extra = test::Noise(9)}}) {
    const Buffer member = test::MakeForeign(test::TextLike(3000), options);
    for (size_t size = 4; size < member.size(); size += 1 + size / 10) {
      const auto part = std::span(member).first(size);
      const Buffer alone(part.begin(), part.end());
      if (size < 12 && options.extra) continue;  // might still be ours
      EXPECT_EQ(RestOf(alone), BaseRest::kDamaged) << size;
      EXPECT_EQ(RestOf(Joined(Member(), part)), BaseRest::kDamaged) << size;
      EXPECT_EQ(RestOf(Joined(member, part)), BaseRest::kDamaged) << size;
    }
  }
}

TEST(BaseRest, UnreadableMemberWithMembersBehindItIsDamage) {
  for (size_t byte : {0, 1, 2, 3}) {
    Buffer broken = Member();
    broken[byte] ^= std::byte{0x20};
    EXPECT_EQ(RestOf(Joined(broken, Member())), BaseRest::kDamaged) << byte;
    EXPECT_EQ(RestOf(Joined(Joined(Member(), broken), Member())), BaseRest::kDamaged) << byte;
  }
}

TEST(BaseRest, MemberFarBehindTheDamageIsSeen) {
  const Buffer member = EncodeBlock(Profile::kBgzf, 1, test::TextLike(100)).bytes;
  for (size_t gap : {size_t{1}, kMiB - 3, kMiB - 2, kMiB - 1, kMiB, 3 * kMiB + 5}) {
    Buffer file = member;
    file.resize(file.size() + gap);
    test::Append(&file, member);
    EXPECT_EQ(RestOf(file), BaseRest::kDamaged) << gap;
  }
}

TEST(BaseRest, DeviceErrorsComeThroughAsTheyAre) {
  const Buffer file(100);
  test::CountingSource source(file);
  source.failure = EIO;
  const auto rest = ClassifyRest(source, 0, make_error_code(DataError::kNotGzip), true);
  ASSERT_FALSE(rest);
  EXPECT_EQ(rest.error(), std::error_code(EIO, std::system_category()));
}

}  // namespace
}  // namespace gzipfs
