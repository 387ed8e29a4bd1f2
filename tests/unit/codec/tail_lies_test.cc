// Tails that lie, with every checksum right: they are caught where it shows,
// and never make a reader use up its memory.
#include <gtest/gtest.h>

#include "tests/unit/codec/lying_tail.h"
#include "tests/unit/codec/stored_file.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::ClaimedGroup;
using test::CountingSource;
using test::StoredFile;

// Members of `plain_bytes` each, and where they are.
struct Members {
  Buffer file;
  Buffer plain;
  std::vector<ClaimedGroup> groups;  // the truth, with a group for each member
};

Members MakeMembers(size_t count, size_t plain_bytes = 100) {
  Members members;
  for (size_t i = 0; i < count; ++i) {
    const Buffer text = test::TextLike(plain_bytes, static_cast<uint32_t>(i + 1));
    const Buffer member = EncodeBlock(Profile::kBgzf, 1, text).bytes;
    test::Append(&members.plain, text);
    test::Append(&members.file, member);
    members.groups.push_back({plain_bytes, member.size()});
  }
  return members;
}

Buffer WithTail(const Members& members, const std::vector<ClaimedGroup>& groups) {
  Buffer file = members.file;
  test::Append(&file, test::MakeTail(file.size(), groups));
  return file;
}

// True when a walk of the group that holds `plain_offset` finds nothing wrong.
bool WalkPasses(std::span<const std::byte> file, uint64_t plain_offset) {
  const auto layout = test::Layout(file);
  EXPECT_TRUE(layout && layout->has_tail);
  const auto members = WalkGroup(SpanSource(file), *layout->index.Find(plain_offset));
  EXPECT_TRUE(members || members.error().category() == DataErrorCategory());
  return members.has_value();
}

bool Fits(std::span<const std::byte> file) {
  const auto layout = test::Layout(file);
  EXPECT_TRUE(layout && layout->has_tail);
  return test::IndexFits(file, layout->index);
}

// --- Sizes ------------------------------------------------------------------------

TEST(TailLies, ShortOneThatSaysAWrongSizeIsCaughtByTheWalk) {
  const Members members = MakeMembers(1);
  for (uint64_t said : {1u, 99u, 101u, 1000u}) {
    Buffer file = members.file;
    test::Append(&file, test::MakeTail(file.size(), {}, said, 0));
    EXPECT_EQ(test::Layout(file)->index.plain_bytes(), said);
    EXPECT_FALSE(WalkPasses(file, 0));
    EXPECT_FALSE(Fits(file));
  }
  Buffer file = members.file;
  test::Append(&file, test::MakeTail(file.size(), {}, 100, 0));
  EXPECT_TRUE(WalkPasses(file, 0));
  EXPECT_TRUE(Fits(file));
}

// Whoever believed the first would cut the members off before it appends.
TEST(TailLies, NothingIsBelievedOfAFileWithMembersAndSomethingOfOneWithout) {
  const Members members = MakeMembers(2);
  for (const auto& groups : {std::vector<ClaimedGroup>{}, {{0, members.file.size()}}}) {
    Buffer file = members.file;
    test::Append(&file, test::MakeTail(file.size(), groups, 0, groups.size()));
    EXPECT_FALSE(*ReadTailSummary(SpanSource(file), file.size()));
    const auto layout = test::Layout(file);
    EXPECT_FALSE(layout->has_tail);
    EXPECT_EQ(layout->index.plain_bytes(), 200u);
  }
  const Buffer alone = test::MakeTail(0, {}, 1, 0);
  EXPECT_FALSE(*ReadTailSummary(SpanSource(alone), alone.size()));
  EXPECT_EQ(test::Layout(alone)->index.plain_bytes(), 0u);
}

TEST(TailLies, EntriesThatShiftPlainBytesBetweenGroupsAreCaughtByTheWalk) {
  const Members truth = MakeMembers(4);
  std::vector<ClaimedGroup> lie = truth.groups;
  ++lie[0].plain_bytes;
  --lie[3].plain_bytes;
  const Buffer file = WithTail(truth, lie);
  EXPECT_EQ(test::Layout(file)->index.plain_bytes(), 400u);
  EXPECT_FALSE(WalkPasses(file, 0));
  EXPECT_TRUE(WalkPasses(file, 150));  // right by itself: only who reads the first one knows
  EXPECT_FALSE(WalkPasses(file, 399));
  EXPECT_FALSE(Fits(file));
}

TEST(TailLies, EntriesThatCutAMemberAreCaughtByTheWalk) {
  const Members truth = MakeMembers(2);
  for (int shift : {-28, -1, 1, 20}) {
    std::vector<ClaimedGroup> lie = truth.groups;
    lie[0].file_bytes += static_cast<uint64_t>(shift);
    lie[1].file_bytes -= static_cast<uint64_t>(shift);
    const Buffer file = WithTail(truth, lie);
    EXPECT_FALSE(WalkPasses(file, 0)) << shift;
    EXPECT_FALSE(WalkPasses(file, 199)) << shift;
    EXPECT_FALSE(Fits(file)) << shift;
  }
}

TEST(TailLies, EntriesThatAddUpToMoreThanTheFileAreNotBelieved) {
  const Members truth = MakeMembers(2);
  std::vector<ClaimedGroup> lie = truth.groups;
  ++lie[1].file_bytes;
  const Buffer file = WithTail(truth, lie);
  const auto layout = test::Layout(file);
  EXPECT_FALSE(layout->has_tail);
  EXPECT_EQ(layout->index.plain_bytes(), 200u);
}

// --- What is hidden behind a plain size of 0 ------------------------------------------

TEST(TailLies, MembersHiddenBesideAGroupAreCaughtByItsWalk) {
  const Members truth = MakeMembers(4);
  for (size_t hidden = 0; hidden < 4; ++hidden) {
    std::vector<ClaimedGroup> lie = truth.groups;
    lie[hidden].plain_bytes = 0;
    const Buffer file = WithTail(truth, lie);
    ASSERT_EQ(test::Layout(file)->index.plain_bytes(), 300u);
    EXPECT_FALSE(Fits(file));
    // The first of a file is told with the group behind it, others with the one before.
    const size_t teller = hidden == 0 ? 0 : hidden - 1;
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(WalkPasses(file, 100 * i), i != teller) << hidden;
  }
}

TEST(TailLies, MemberHiddenAcrossTwoEntriesIsCaught) {
  const Members truth = MakeMembers(3);
  const uint64_t half = truth.groups[1].file_bytes / 2;
  const Buffer file = WithTail(truth, {truth.groups[0],
                                       {0, half},
                                       {0, truth.groups[1].file_bytes - half},
                                       truth.groups[2]});
  EXPECT_FALSE(WalkPasses(file, 0));
  EXPECT_FALSE(Fits(file));
}

// A tail of the chain is not walked again; what is behind it is.
TEST(TailLies, MemberHiddenBehindATailOfTheChainIsCaught) {
  const Members truth = MakeMembers(3);
  const std::span members(truth.file);
  const uint64_t first_bytes = truth.groups[0].file_bytes;
  for (const size_t hidden : {1, 2}) {
    Buffer file(members.begin(), members.begin() + static_cast<ptrdiff_t>(first_bytes));
    test::Append(&file, test::MakeTail(file.size(), {truth.groups[0]}));
    test::Append(&file, members.subspan(first_bytes));
    std::vector<ClaimedGroup> lie = {truth.groups[1], truth.groups[2]};
    lie[hidden - 1].plain_bytes = 0;
    test::Append(&file, test::MakeTail(file.size(), lie, 200, 2));
    ASSERT_EQ(test::Layout(file)->index.plain_bytes(), 200u);
    EXPECT_TRUE(WalkPasses(file, 0));
    EXPECT_FALSE(WalkPasses(file, 100));
    EXPECT_FALSE(Fits(file));
  }
}

TEST(TailLies, DeadTailsBesideAGroupAreNoLie) {
  StoredFile file;
  file.AddTail();
  for (int i = 0; i < 200; ++i) {
    file.AddPlain(test::TextLike(50, static_cast<uint32_t>(i)));
    file.AddTail();
  }
  const auto layout = test::Layout(file.bytes);
  ASSERT_TRUE(layout && layout->has_tail);
  EXPECT_TRUE(Fits(file.bytes));
  EXPECT_EQ(*test::DecodeAll(file.bytes, *layout), file.plain);
}

// A dead tail that is not large comes with the read for the last trailer of the
// group, so that looking at it is for nothing.
TEST(TailLies, LookingAtDeadTailsCostsNoReads) {
  StoredFile file;
  const auto add = [&file](int count) {
    for (int i = 0; i < count; ++i) file.AddPlain(test::Noise(5'000, static_cast<uint32_t>(i)));
    file.AddTail();
  };
  add(40);
  add(400);
  add(1);  // the tail before this one is in the chain, and the first one is not
  const auto layout = test::Layout(file.bytes);
  ASSERT_TRUE(layout && layout->has_tail);
  ASSERT_EQ(test::ChainLength(file.bytes), 2u);
  int dead_count = 0;
  for (uint64_t at = 0; at < layout->index.plain_bytes();) {
    const MemberGroup group = *layout->index.Find(at);
    MemberGroup alone = group;
    alone.dead_before = alone.dead_behind = 0;
    dead_count += group.dead_behind > 0;
    const CountingSource with(file.bytes), without(file.bytes);
    ASSERT_TRUE(WalkGroup(with, group) && WalkGroup(without, alone));
    EXPECT_EQ(with.reads, without.reads);
    at += group.plain_bytes;
  }
  EXPECT_EQ(dead_count, 1);
}

// --- Memory ------------------------------------------------------------------------

TEST(TailLies, EntriesBeyondTheLimitAreNotRead) {
  const Members members = MakeMembers(100, 10);
  const Buffer file = WithTail(members, members.groups);
  const SpanSource source(file);
  EXPECT_TRUE(ReadLayout(source, 22 * 100)->has_tail);
  const auto layout = ReadLayout(source, 22 * 99);
  ASSERT_TRUE(layout);
  EXPECT_FALSE(layout->has_tail);
  EXPECT_EQ(layout->index.plain_bytes(), 1000u);
}

// Zeros without end, and bytes at the end of them: a sparse file.
class HoleSource final : public ByteSource {
 public:
  HoleSource(uint64_t byte_count, Buffer end) : byte_count_(byte_count), end_(std::move(end)) {}
  Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    EXPECT_LE(out.size(), 16 * kMiB);
    const uint64_t end_offset = byte_count_ - end_.size();
    const size_t count = std::min<uint64_t>(out.size(), byte_count_ - offset);
    for (size_t i = 0; i < count; ++i) {
      out[i] = offset + i < end_offset ? std::byte{0} : end_[offset + i - end_offset];
    }
    return count;
  }
  uint64_t Size() const override { return byte_count_; }

 private:
  uint64_t byte_count_;
  Buffer end_;
};

TEST(TailLies, CountOfEntriesThatAreNotThereTakesNoMemory) {
  constexpr uint64_t kFileBytes = uint64_t{1} << 50;
  for (uint64_t said_count : {uint64_t{1} << 20, uint64_t{1} << 24, uint64_t{1} << 45}) {
    const uint64_t tail_offset = kFileBytes - (said_count + 5) * EmptyMemberBytes(Profile::kBgzf);
    const HoleSource source(kFileBytes, test::MakeTail(tail_offset, {}, 1, said_count));
    const auto summary = ReadTailSummary(source, kFileBytes);
    ASSERT_TRUE(summary && *summary);
    EXPECT_EQ((*summary)->entry_count, said_count);
    const auto layout = ReadLayout(source);
    ASSERT_TRUE(layout);
    EXPECT_FALSE(layout->has_tail);
    EXPECT_EQ(layout->valid_bytes, 0u);
  }
}

TEST(TailLies, ChainOfThousandsOfTailsIsNotFollowed) {
  const Buffer member = EncodeBlock(Profile::kBgzf, 1, test::FromText("x")).bytes;
  for (uint64_t length : {1000u, 2000u}) {
    Buffer file;
    for (uint64_t i = 1; i <= length; ++i) {
      test::Append(&file, member);
      test::Append(&file, test::MakeTail(file.size(), {{1, member.size()}}, i, 1));
    }
    const auto layout = test::Layout(file);
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->has_tail, length == 1000);
    EXPECT_EQ(layout->index.plain_bytes(), length);
    EXPECT_TRUE(test::IndexFits(file, layout->index));
  }
}

TEST(TailLies, ForeignMembersBeyondTheLimitShareGroups) {
  Buffer file, plain;
  for (int i = 0; i < 1000; ++i) {
    const Buffer text = test::TextLike(20, static_cast<uint32_t>(i));
    test::Append(&file, test::MakeForeign(text));
    test::Append(&plain, text);
  }
  constexpr uint64_t kKept = 10;
  const auto layout = ScanLayout(SpanSource(file), 4 * kKept * sizeof(MemberInfo));
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->foreign.size(), kKept);
  EXPECT_EQ(layout->index.group_count(), kKept + (1000 - kKept + 31) / 32);
  EXPECT_EQ(layout->valid_bytes, file.size());
  EXPECT_EQ(*test::DecodeAll(file, *layout), plain);
  EXPECT_EQ(test::Layout(file)->foreign.size(), 1000u);
}

TEST(TailLies, ScanEndsWhereTheIndexWouldBeTooLarge) {
  // Members of 30 bytes that say they have 4 MiB: four make a group.
  Buffer file;
  for (int i = 0; i < 400; ++i) {
    Buffer member(EmptyMemberBytes(Profile::kLarge));
    EncodeEmptyMember(Profile::kLarge, kEofPayload, member);
    StoreLe32(&member[member.size() - 4], kMaxLargeBlockBytes);
    test::Append(&file, member);
  }
  const auto layout = ScanLayout(SpanSource(file), 50 * MemberIndex::kGroupMemoryBytes);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->rest, DataError::kTooLarge);
  EXPECT_EQ(layout->index.group_count(), 50u);
  EXPECT_LT(layout->valid_bytes, file.size());
  EXPECT_EQ(layout->valid_bytes, layout->index.file_bytes());
  EXPECT_FALSE(ScanLayout(SpanSource(file))->rest);
}

TEST(TailLies, GroupOfMoreMembersThanAnybodyWritesIsRefused) {
  for (size_t count : {kMaxWalkedMembers, kMaxWalkedMembers + 1}) {
    const Members members = MakeMembers(count, 1);
    const Buffer file = WithTail(members, {{count, members.file.size()}});
    EXPECT_EQ(WalkPasses(file, 0), count == kMaxWalkedMembers);
    EXPECT_EQ(test::Scan(file)->index.plain_bytes(), count);
  }
}

// --- Tails that came along ------------------------------------------------------------

TEST(TailLies, TailOfTheSecondOfTwoJoinedFilesSaysWhereItWasMade) {
  for (size_t count : {1, 40}) {
    const Members members = MakeMembers(count);
    const Buffer second = WithTail(members, members.groups);
    Buffer joined = WithTail(MakeMembers(3), MakeMembers(3).groups);
    const uint64_t start = joined.size();
    test::Append(&joined, second);
    const auto claim = ReadTailClaim(SpanSource(joined), joined.size());
    ASSERT_TRUE(claim && *claim);
    EXPECT_EQ((*claim)->summary.tail_offset, start + members.file.size());
    EXPECT_TRUE((*claim)->IsMadeFor((*claim)->summary.tail_offset - start));
    EXPECT_FALSE((*claim)->IsMadeFor((*claim)->summary.tail_offset));
    EXPECT_FALSE((*claim)->IsMadeFor((*claim)->summary.tail_offset - start + 1));
  }
  const Buffer member = MakeMembers(1).file;
  EXPECT_FALSE(*ReadTailClaim(SpanSource(member), member.size()));
}

}  // namespace
}  // namespace gzipfs
