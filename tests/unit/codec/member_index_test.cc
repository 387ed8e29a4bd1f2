// Groups in memory: where they begin and end, finding, cutting, and what a file
// of many appends costs.
#include "codec/member_index.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "tests/unit/codec/stored_file.h"
#include "tests/unit/rounds.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::StoredFile;

constexpr uint64_t kMember = 1000;  // stored bytes of the members below

MemberIndex IndexOf(uint64_t member_count, uint64_t plain_bytes = 100) {
  MemberIndex index;
  for (uint64_t i = 0; i < member_count; ++i) index.Append(plain_bytes, kMember);
  return index;
}

void ExpectSameGroups(const MemberIndex& one, const MemberIndex& other) {
  ASSERT_EQ(one.group_count(), other.group_count());
  EXPECT_EQ(one.plain_bytes(), other.plain_bytes());
  EXPECT_EQ(one.file_bytes(), other.file_bytes());
  for (size_t i = 0; i < one.group_count(); ++i) {
    const MemberGroup a = one.GroupAt(i), b = other.GroupAt(i);
    EXPECT_EQ(a.plain_offset, b.plain_offset) << i;
    EXPECT_EQ(a.plain_bytes, b.plain_bytes) << i;
    EXPECT_EQ(a.file_offset, b.file_offset) << i;
    EXPECT_EQ(a.file_bytes, b.file_bytes) << i;
  }
}

// Groups lie side by side from the start of the file to its end.
void ExpectContiguous(const MemberIndex& index) {
  uint64_t plain = 0, file = 0;
  for (size_t i = 0; i < index.group_count(); ++i) {
    const MemberGroup group = index.GroupAt(i);
    ASSERT_EQ(group.plain_offset, plain);
    ASSERT_EQ(group.file_offset, file);
    plain += group.plain_bytes;
    file += group.file_bytes;
  }
  EXPECT_EQ(plain, index.plain_bytes());
  EXPECT_EQ(file, index.file_bytes());
}

TEST(MemberIndex, EmptyIndexHoldsNothing) {
  const MemberIndex index;
  EXPECT_EQ(index.plain_bytes(), 0u);
  EXPECT_EQ(index.file_bytes(), 0u);
  EXPECT_EQ(index.group_count(), 0u);
  EXPECT_FALSE(index.Find(0));
  EXPECT_FALSE(index.ends_with_tail());
  EXPECT_FALSE(index.IsOneClosedGroup());
}

TEST(MemberIndex, GroupClosesAtThirtyTwoMembers) {
  EXPECT_EQ(IndexOf(1).group_count(), 1u);
  EXPECT_EQ(IndexOf(kGroupMaxMembers).group_count(), 1u);
  const MemberIndex index = IndexOf(2 * kGroupMaxMembers + 1);
  ASSERT_EQ(index.group_count(), 3u);
  EXPECT_EQ(index.GroupAt(0).plain_bytes, kGroupMaxMembers * 100);
  EXPECT_EQ(index.GroupAt(1).file_bytes, kGroupMaxMembers * kMember);
  EXPECT_EQ(index.GroupAt(2).plain_bytes, 100u);
  ExpectContiguous(index);
}

TEST(MemberIndex, GroupClosesBeforeItsSizesExceedTwentyFourBits) {
  MemberIndex by_plain;
  by_plain.Append(kGroupMaxBytes - 10, 50);
  by_plain.Append(10, 50);
  EXPECT_EQ(by_plain.group_count(), 1u);
  by_plain.Append(1, 50);
  EXPECT_EQ(by_plain.group_count(), 2u);
  MemberIndex by_file;
  by_file.Append(10, kGroupMaxBytes - 50);
  by_file.Append(10, 50);
  EXPECT_EQ(by_file.group_count(), 1u);
  by_file.Append(10, 28);
  EXPECT_EQ(by_file.group_count(), 2u);
  ExpectContiguous(by_file);
}

TEST(MemberIndex, MemberAddedAloneStaysAlone) {
  MemberIndex index = IndexOf(2);
  index.AppendAlone(5, kMember);
  index.Append(100, kMember);
  index.Append(100, kMember);
  ASSERT_EQ(index.group_count(), 3u);
  EXPECT_EQ(index.GroupAt(1).plain_bytes, 5u);
  EXPECT_EQ(index.GroupAt(2).plain_bytes, 200u);
}

TEST(MemberIndex, FindsTheGroupAtEveryBorder) {
  const MemberIndex index = IndexOf(3 * kGroupMaxMembers, 7);
  const uint64_t group_plain = kGroupMaxMembers * 7;
  for (uint64_t group = 0; group < 3; ++group) {
    for (uint64_t offset : {group * group_plain, group * group_plain + 1,
                            (group + 1) * group_plain - 1}) {
      const auto found = index.Find(offset);
      ASSERT_TRUE(found) << offset;
      EXPECT_EQ(found->plain_offset, group * group_plain) << offset;
      EXPECT_EQ(found->file_offset, group * kGroupMaxMembers * kMember) << offset;
    }
  }
  EXPECT_FALSE(index.Find(3 * group_plain));
  EXPECT_FALSE(index.Find(~uint64_t{0}));
}

TEST(MemberIndex, FindNeverLandsInAGroupWithoutPlainBytes) {
  MemberIndex index;
  index.AppendAlone(0, kMember);  // before everything
  index.AppendAlone(10, kMember);
  index.AppendAlone(0, kMember);  // in the middle, twice
  index.AppendAlone(0, kMember);
  index.AppendAlone(10, kMember);
  index.AppendAlone(0, kMember);  // at the end
  for (uint64_t offset = 0; offset < 20; ++offset) {
    const auto found = index.Find(offset);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->plain_offset, offset / 10 * 10);
    EXPECT_EQ(found->plain_bytes, 10u);
    EXPECT_EQ(found->file_offset, offset < 10 ? kMember : 4 * kMember);
  }
  EXPECT_FALSE(index.Find(20));
}

TEST(MemberIndex, FirstGroupWithPlainBytesIsFoundBehindAnEmptyOne) {
  StoredFile file;
  file.AddTail();
  file.AddPlain(test::FromText("x"));
  const auto found = file.index.Find(0);
  ASSERT_TRUE(found);
  const auto members = WalkGroup(SpanSource(file.bytes), *found);
  ASSERT_TRUE(members);
  EXPECT_EQ(members->back().plain_bytes, 1u);
}

TEST(MemberIndex, EndsWithTailUntilTheNextMember) {
  StoredFile file;
  file.AddPlain(test::FromText("x"));
  EXPECT_FALSE(file.index.ends_with_tail());
  file.AddTail();
  EXPECT_TRUE(file.index.ends_with_tail());
  file.AddPlain(test::FromText("y"));
  EXPECT_FALSE(file.index.ends_with_tail());
}

TEST(MemberIndex, CutForgetsTheGroupsThatReachBehind) {
  const MemberIndex whole = IndexOf(3 * kGroupMaxMembers);
  const uint64_t group_bytes = kGroupMaxMembers * kMember;
  for (uint64_t cut : {2 * group_bytes, 2 * group_bytes + 1, 3 * group_bytes - 1}) {
    MemberIndex index = whole;
    index.CutAt(cut);
    EXPECT_EQ(index.group_count(), 2u) << cut;
    EXPECT_EQ(index.file_bytes(), 2 * group_bytes) << cut;
    EXPECT_EQ(index.plain_bytes(), 2 * kGroupMaxMembers * 100) << cut;
    ExpectContiguous(index);
  }
  MemberIndex index = whole;
  index.CutAt(3 * group_bytes);
  ExpectSameGroups(index, whole);
  index.CutAt(0);
  EXPECT_EQ(index.group_count(), 0u);
  EXPECT_EQ(index.file_bytes(), 0u);
  EXPECT_EQ(index.plain_bytes(), 0u);
}

TEST(MemberIndex, CutIndexGoesOnWithANewGroup) {
  MemberIndex index = IndexOf(kGroupMaxMembers + 3);
  index.CutAt(kGroupMaxMembers * kMember + kMember);
  EXPECT_EQ(index.file_bytes(), kGroupMaxMembers * kMember);
  index.Append(1, kMember);
  EXPECT_EQ(index.group_count(), 2u);
  EXPECT_EQ(index.GroupAt(1).plain_bytes, 1u);
}

TEST(MemberIndex, ReopenedGroupTakesMembersUpToTheLimit) {
  StoredFile file;
  for (int i = 0; i < 3; ++i) file.AddPlain(test::FromText("abc"));
  file.AddTail();
  auto layout = test::Layout(file.bytes);
  ASSERT_TRUE(layout);
  EXPECT_TRUE(layout->index.IsOneClosedGroup());
  layout->index.ReopenLastGroup(6);
  EXPECT_FALSE(layout->index.IsOneClosedGroup());
  for (uint64_t i = 6; i < kGroupMaxMembers; ++i) layout->index.Append(3, 40);
  EXPECT_EQ(layout->index.group_count(), 1u);
  layout->index.Append(3, 40);
  EXPECT_EQ(layout->index.group_count(), 2u);
}

// --- Many appends --------------------------------------------------------------

struct GrowthLimits {
  int appends;
  int max_members;
};

// Appends members and tails at random, the file being closed and opened again
// now and then, and holds after each tail that the file tells what the memory has.
void GrowAtRandom(uint32_t seed, Profile profile, const GrowthLimits& limits) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const uint64_t zero_bytes = profile == Profile::kBgzf ? kBgzfBlockBytes : kMaxLargeBlockBytes;
  const EncodedBlock zeros = EncodeBlock(profile, 1, Buffer(zero_bytes));
  StoredFile file(profile);
  uint64_t plain_bytes = 0, tail_bytes = 0;
  for (int i = 0; i < limits.appends; ++i) {
    for (auto count = random() % limits.max_members; count > 0; --count) {
      const bool is_zeros = random() % 2;
      if (is_zeros) file.AddEncoded(zeros);
      const size_t small_bytes = 1 + random() % 20;
      if (!is_zeros) file.AddEncoded(EncodeBlock(profile, 1, test::Noise(small_bytes, i)));
      plain_bytes += is_zeros ? zero_bytes : small_bytes;
    }
    if (!file.index.ends_with_tail()) tail_bytes += file.index.EncodeTail(profile, kMiB).size();
    if (!file.index.ends_with_tail()) file.AddTail();
    ASSERT_EQ(file.index.file_bytes(), file.bytes.size());
    if (random() % 4 && i + 1 < limits.appends) continue;
    auto layout = test::Layout(file.bytes);
    ASSERT_TRUE(layout);
    EXPECT_TRUE(layout->has_tail);
    EXPECT_EQ(layout->profile, profile);
    EXPECT_EQ(layout->block_bytes, file.block_bytes);
    EXPECT_EQ(layout->valid_bytes, file.bytes.size());
    EXPECT_EQ(layout->index.plain_bytes(), plain_bytes);
    ExpectContiguous(layout->index);
    ExpectSameGroups(layout->index, file.index);
    if (testing::Test::HasFailure()) return;
    if (random() % 2) continue;
    file.index = layout->index;
    if (!file.index.IsOneClosedGroup()) continue;
    const auto members = WalkGroup(SpanSource(file.bytes), file.index.GroupAt(0));
    ASSERT_TRUE(members);
    file.index.ReopenLastGroup(members->size());
  }
  const auto scanned = test::Scan(file.bytes);
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->index.plain_bytes(), plain_bytes);
  EXPECT_EQ(scanned->valid_bytes, file.bytes.size());
  EXPECT_FALSE(scanned->rest);
  EXPECT_TRUE(test::IndexFits(file.bytes, file.index));
  const size_t empty_bytes = EmptyMemberBytes(profile);
  const auto log2 = static_cast<uint64_t>(std::bit_width(static_cast<unsigned>(limits.appends)));
  EXPECT_LE(test::ChainLength(file.bytes), log2 + 1);
  EXPECT_GE(test::ChainLength(file.bytes), 1u);
  const uint64_t groups = file.index.group_count();
  EXPECT_LE(tail_bytes, empty_bytes * (groups * (log2 + 8) + 5 * limits.appends));
}

TEST(MemberIndex, FileTellsTheSameGroupsAsTheMemoryThatWroteIt) {
  for (uint32_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    GrowAtRandom(seed, Profile::kBgzf, {.appends = 60, .max_members = 5});
    GrowAtRandom(seed, Profile::kBgzf, {.appends = 10, .max_members = 150});
  }
}

TEST(MemberIndex, FileTellsTheSameGroupsInProfileLarge) {
  for (uint32_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    GrowAtRandom(seed, Profile::kLarge, {.appends = 40, .max_members = 10});
  }
}

TEST(MemberIndex, ChainOfTailsStaysShortOverThousandsOfAppends) {
  GrowAtRandom(1, Profile::kBgzf, {.appends = test::Rounds(4000), .max_members = 3});
}

// An entry is 28 bytes for 32 blocks of 64 KiB.
TEST(MemberIndex, IndexOfALargeFileIsATenThousandthOfItsPlainSize) {
  MemberIndex index;
  constexpr uint64_t kBlocks = 160'000;  // 10 GiB
  for (uint64_t i = 0; i < kBlocks; ++i) index.Append(kBgzfBlockBytes, 20'000);
  const Buffer tail = index.EncodeTail(Profile::kBgzf, kBgzfBlockBytes);
  EXPECT_EQ(tail.size(), (kBlocks / kGroupMaxMembers + 5) * 28);
  EXPECT_LT(tail.size() * 10'000, index.plain_bytes());
}

}  // namespace
}  // namespace gzipfs
