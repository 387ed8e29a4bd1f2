// Members behind damage: what is found, and where it is placed.
#include "codec/member_search.h"

#include <gtest/gtest.h>

#include "tests/unit/codec/stored_file.h"
#include "tests/unit/rounds.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::StoredFile;

constexpr size_t kPieceBytes = 5000;

// Ten members in one group, and where each begins; then a tail.
struct TenMembers {
  TenMembers() {
    for (uint32_t i = 0; i < 10; ++i) {
      starts.push_back(file.bytes.size());
      file.AddPlain(test::TextLike(kPieceBytes, i + 1));
    }
    group = file.index.GroupAt(0);
    starts.push_back(file.bytes.size());
    file.AddTail();
  }
  Result<std::vector<MemberInfo>> Salvage() const {
    return SalvageGroup(SpanSource(file.bytes), group);
  }
  StoredFile file;
  std::vector<size_t> starts;
  MemberGroup group;
};

// The indexes of the members that were salvaged, each in its place.
std::vector<size_t> Indexes(const TenMembers& ten, const std::vector<MemberInfo>& members) {
  std::vector<size_t> indexes;
  for (const MemberInfo& member : members) {
    const size_t i = member.plain_offset / kPieceBytes;
    EXPECT_EQ(member.plain_offset, i * kPieceBytes);
    EXPECT_EQ(member.file_offset, ten.starts[i]);
    indexes.push_back(i);
  }
  return indexes;
}

TEST(MemberSearch, EveryByteOfAHeaderLosesThatMemberAlone) {
  for (size_t damaged : {size_t{0}, size_t{4}, size_t{9}}) {
    for (size_t byte : {0, 1, 2, 3, 10, 17}) {
      TenMembers ten;
      ten.file.bytes[ten.starts[damaged] + byte] ^= std::byte{0x81};
      const auto members = ten.Salvage();
      ASSERT_TRUE(members);
      std::vector<size_t> others;
      for (size_t i = 0; i < 10; ++i) {
        if (i != damaged) others.push_back(i);
      }
      EXPECT_EQ(Indexes(ten, *members), others) << damaged << " byte " << byte;
    }
  }
}

TEST(MemberSearch, WrongIsizeLosesThatMemberAlone) {
  TenMembers ten;
  ten.file.bytes[ten.starts[4] - 4] ^= std::byte{1};
  EXPECT_TRUE(*HasDamagedMember(SpanSource(ten.file.bytes), ten.group));
  const auto members = ten.Salvage();
  ASSERT_TRUE(members);
  EXPECT_EQ(Indexes(ten, *members), (std::vector<size_t>{0, 1, 2, 4, 5, 6, 7, 8, 9}));
}

TEST(MemberSearch, DamageToDataAndIsizeLosesThatMemberAlone) {
  TenMembers ten;
  ten.file.bytes[ten.starts[4] - 4] ^= std::byte{1};
  ten.file.bytes[ten.starts[4] - 100] ^= std::byte{1};
  EXPECT_TRUE(*HasDamagedMember(SpanSource(ten.file.bytes), ten.group));
  EXPECT_EQ(Indexes(ten, *ten.Salvage()), (std::vector<size_t>{0, 1, 2, 4, 5, 6, 7, 8, 9}));
}

TEST(MemberSearch, GroupThatIsWholeGivesNothing) {
  TenMembers ten;
  EXPECT_TRUE(ten.Salvage()->empty());
  ten.group.plain_bytes -= 1;  // the index lies
  EXPECT_TRUE(ten.Salvage()->empty());
}

TEST(MemberSearch, RunsBehindDamageAreFoundWithTheirSizes) {
  const Buffer noise = test::Noise(10'000);
  Buffer bytes = noise;
  const TenMembers ten;
  EXPECT_FALSE(*HasDamagedMember(SpanSource(ten.file.bytes), ten.group));
  test::Append(&bytes, std::span(ten.file.bytes).first(ten.starts[3]));
  test::Append(&bytes, noise);
  const size_t second = bytes.size();
  test::Append(&bytes, std::span(ten.file.bytes).subspan(ten.starts[9]));
  const auto found = FindMembers(SpanSource(bytes), 0, bytes.size(), SearchFor::kSubfields);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->runs.size(), 2u);
  EXPECT_EQ(found->runs[0].file_offset, noise.size());
  EXPECT_EQ(found->runs[0].member_count, 3u);
  EXPECT_EQ(found->runs[0].plain_bytes, 3 * kPieceBytes);
  EXPECT_EQ(found->runs[1].file_offset, second);
  EXPECT_EQ(found->plain_bytes(), 4 * kPieceBytes);
  EXPECT_FALSE(found->gave_up);
}

TEST(MemberSearch, ForeignMembersAreFoundWhenAskedFor) {
  Buffer bytes = test::Noise(1000);
  test::Append(&bytes, test::MakeForeign(test::TextLike(3000), {.name = "a name"}));
  const SpanSource source(bytes);
  EXPECT_EQ(FindMembers(source, 0, bytes.size(), SearchFor::kSubfields)->member_count(), 0u);
  EXPECT_EQ(FindMembers(source, 0, bytes.size(), SearchFor::kAnyGzip)->plain_bytes(), 3000u);
}

TEST(MemberSearch, DamagedOrCutMembersAreNotFound) {
  Buffer bytes = EncodeBlock(Profile::kBgzf, 1, test::TextLike(9000)).bytes;
  const SpanSource whole(bytes);
  EXPECT_EQ(FindMembers(whole, 0, bytes.size(), SearchFor::kAnyGzip)->member_count(), 1u);
  EXPECT_EQ(FindMembers(whole, 0, bytes.size() - 1, SearchFor::kAnyGzip)->member_count(), 0u);
  bytes[200] ^= std::byte{4};
  EXPECT_EQ(FindMembers(whole, 0, bytes.size(), SearchFor::kAnyGzip)->member_count(), 0u);
}

TEST(MemberSearch, FileMadeOfFalseHeadersEndsTheSearch) {
  // Each begins a member that claims to be 64 KiB long and holds none.
  Buffer bytes;
  Buffer header(kBgzfHeaderBytes);
  EncodeMemberHeader(Profile::kBgzf, kBgzfMaxMemberBytes, header);
  for (int i = 0; i < test::Rounds(60'000); ++i) test::Append(&bytes, header);
  const auto found =
      FindMembers(SpanSource(bytes), 0, bytes.size(), SearchFor::kAnyGzip);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->member_count(), 0u);
}

TEST(MemberSearch, MemberWithABadHeaderIsSeenByItsData) {
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    Buffer bytes = EncodeBlock(profile, 1, test::TextLike(9000)).bytes;
    bytes[0] ^= std::byte{0xff};
    EXPECT_TRUE(*IsMemberWithBadHeader(SpanSource(bytes), 0));
    bytes.resize(bytes.size() - 1);
    EXPECT_FALSE(*IsMemberWithBadHeader(SpanSource(bytes), 0));
  }
  const Buffer noise = test::Noise(9000);
  EXPECT_FALSE(*IsMemberWithBadHeader(SpanSource(noise), 0));
}

}  // namespace
}  // namespace gzipfs
