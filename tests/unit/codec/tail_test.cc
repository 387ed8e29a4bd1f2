// Tails as bytes: what they say, when they are believed, and what becomes of
// files whose tails are damaged or misplaced. Those that lie are in
// tail_lies_test.cc.
#include <gtest/gtest.h>

#include <random>

#include "codec/member_index.h"
#include "tests/unit/codec/stored_file.h"
#include "tests/unit/rounds.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::CountingSource;
using test::StoredFile;

constexpr size_t kEmpty = 28;  // an empty member in profile bgzf

StoredFile SmallFile(std::string_view text) {
  StoredFile file;
  file.AddPlain(test::FromText(text));
  file.AddTail();
  return file;
}

// One member of a byte each, so that a long tail takes little room.
StoredFile ManyMembers(int count) {
  StoredFile file;
  for (int i = 0; i < count; ++i) file.AddPlain(test::FromText(std::string(1, 'a' + i % 26)));
  return file;
}

TailSummary SummaryOf(std::span<const std::byte> file) {
  const auto summary = ReadTailSummary(SpanSource(file), file.size());
  EXPECT_TRUE(summary && *summary);
  return summary && *summary ? **summary : TailSummary{};
}

bool HasTail(std::span<const std::byte> file) {
  const auto summary = ReadTailSummary(SpanSource(file), file.size());
  return summary && *summary;
}

TEST(Tail, ShortOneIsThreeEmptyMembers) {
  StoredFile file;
  file.AddPlain(test::TextLike(1000));
  const size_t tail_offset = file.AddTail();
  EXPECT_EQ(file.bytes.size() - tail_offset, 3 * kEmpty);
  const TailSummary summary = SummaryOf(file.bytes);
  EXPECT_EQ(summary.plain_bytes, 1000u);
  EXPECT_EQ(summary.tail_offset, tail_offset);
  EXPECT_EQ(summary.block_bytes, kBgzfBlockBytes);
  EXPECT_EQ(summary.entry_count, 0u);
  EXPECT_EQ(summary.profile, Profile::kBgzf);
}

TEST(Tail, EmptyFileIsItsTail) {
  StoredFile file;
  file.AddTail();
  EXPECT_EQ(file.bytes.size(), 3 * kEmpty);
  const auto layout = test::Layout(file.bytes);
  ASSERT_TRUE(layout);
  EXPECT_TRUE(layout->has_tail);
  EXPECT_EQ(layout->index.plain_bytes(), 0u);
  EXPECT_EQ(layout->valid_bytes, file.bytes.size());
  EXPECT_EQ(test::GunzipAll(file.bytes), Buffer{});
}

TEST(Tail, HasAnEntryForEachGroupFromTheThirtyThirdMemberOn) {
  StoredFile file = ManyMembers(32);
  EXPECT_EQ(file.index.EncodeTail(Profile::kBgzf, kBgzfBlockBytes).size(), 3 * kEmpty);
  file = ManyMembers(33);
  file.AddTail();
  EXPECT_EQ(SummaryOf(file.bytes).entry_count, 2u);
  EXPECT_EQ(SummaryOf(file.bytes).plain_bytes, 33u);
  const auto layout = test::Layout(file.bytes);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->index.group_count(), 3u);  // the tail is one
  EXPECT_EQ(*test::DecodeAll(file.bytes, *layout), file.plain);
}

TEST(Tail, EndsWithTheMarkerThatBgzfPrescribes) {
  const Buffer marker = test::FromHex("1f8b08040000000000ff0600424302001b0003000000000000000000");
  for (int members : {0, 1, 33}) {
    StoredFile file = ManyMembers(members);
    file.AddTail();
    ASSERT_GE(file.bytes.size(), marker.size());
    EXPECT_TRUE(std::equal(marker.rbegin(), marker.rend(), file.bytes.rbegin()));
  }
}

TEST(Tail, SaysTheBlockSizeInProfileLarge) {
  for (uint64_t block = kMinLargeBlockBytes; block <= kMaxLargeBlockBytes; block *= 2) {
    StoredFile file(Profile::kLarge, block);
    file.AddPlain(test::TextLike(3000));
    file.AddTail();
    const TailSummary summary = SummaryOf(file.bytes);
    EXPECT_EQ(summary.block_bytes, block);
    EXPECT_EQ(summary.profile, Profile::kLarge);
    EXPECT_EQ(file.bytes.size() - summary.tail_offset, 90u);
    const auto layout = test::Layout(file.bytes);
    EXPECT_EQ(layout->block_bytes, block);
    EXPECT_EQ(*test::DecodeAll(file.bytes, *layout), file.plain);
  }
}

TEST(Tail, OneReadTellsThePlainSize) {
  for (int members : {0, 5, 1000}) {
    StoredFile file = ManyMembers(members);
    file.AddTail();
    const CountingSource source(file.bytes);
    const auto summary = ReadTailSummary(source, file.bytes.size());
    ASSERT_TRUE(summary && *summary);
    EXPECT_EQ((*summary)->plain_bytes, static_cast<uint64_t>(members));
    EXPECT_EQ(source.reads, 1);
  }
}

TEST(Tail, LayoutOfALargeFileDoesNotLookAtItsMembers) {
  StoredFile file;
  const EncodedBlock zeros = EncodeBlock(Profile::kBgzf, 1, Buffer(kBgzfBlockBytes));
  for (int i = 0; i < 10'000; ++i) file.AddEncoded(zeros);
  file.AddTail();
  const CountingSource source(file.bytes);
  ASSERT_TRUE(ReadLayout(source));
  EXPECT_EQ(source.reads, 2);
}

TEST(Tail, DeviceErrorsComeThroughAsTheyAre) {
  const StoredFile file = SmallFile("text");
  CountingSource source(file.bytes);
  source.failure = EIO;
  const std::error_code io(EIO, std::system_category());
  EXPECT_EQ(ReadTailSummary(source, file.bytes.size()).error(), io);
  EXPECT_EQ(ReadLayout(source).error(), io);
  EXPECT_EQ(ScanLayout(source).error(), io);
}

// A group may have 2^24 - 1 stored bytes; a short tail behind it must not make
// the group longer than a later entry can say.
TEST(Tail, FileAppendedToAtTheGroupLimitIsReadBack) {
  StoredFile file(Profile::kLarge, kMaxLargeBlockBytes);
  for (uint32_t i = 0; i < 3; ++i) file.AddPlain(test::Noise(kMaxLargeBlockBytes, i));
  Buffer last = test::Noise(kGroupMaxBytes - file.bytes.size() - 40);
  const size_t encoded_bytes = EncodeBlock(Profile::kLarge, 1, last).bytes.size();
  last.resize(2 * last.size() - encoded_bytes);
  file.AddPlain(last);
  ASSERT_EQ(file.index.group_count(), 1u);
  ASSERT_GT(file.bytes.size(), kGroupMaxBytes - 90);
  file.AddTail();
  EXPECT_EQ(*test::DecodeAll(file.bytes, *test::Layout(file.bytes)), file.plain);
  file.AddPlain(test::FromText("more"));
  file.AddTail();
  const auto layout = test::Layout(file.bytes);
  ASSERT_TRUE(layout && layout->has_tail);
  const auto plain = test::DecodeAll(file.bytes, *layout);
  ASSERT_TRUE(plain) << plain.error().message();
  EXPECT_TRUE(*plain == file.plain);
}

// --- Tails that are not believed ------------------------------------------------

TEST(Tail, OfTheSecondOfTwoJoinedFilesIsNotBelieved) {
  for (int members : {1, 40}) {
    StoredFile first = ManyMembers(3), second = ManyMembers(members);
    first.AddTail();
    second.AddTail();
    Buffer joined = first.bytes;
    test::Append(&joined, second.bytes);
    EXPECT_FALSE(HasTail(joined));
    const auto layout = test::Layout(joined);
    ASSERT_TRUE(layout);
    EXPECT_FALSE(layout->has_tail);
    EXPECT_TRUE(layout->is_conforming);
    EXPECT_EQ(layout->index.plain_bytes(), 3u + static_cast<uint64_t>(members));
    Buffer plain = first.plain;
    test::Append(&plain, second.plain);
    EXPECT_EQ(*test::DecodeAll(joined, *layout), plain);
  }
}

TEST(Tail, BehindAnEmptyStoredFileIsNotBelieved) {
  StoredFile empty;
  empty.AddTail();
  Buffer joined = empty.bytes;
  test::Append(&joined, SmallFile("abc").bytes);
  EXPECT_FALSE(HasTail(joined));
  EXPECT_EQ(test::Layout(joined)->index.plain_bytes(), 3u);
}

TEST(Tail, JoinedFileGetsATailThatIsBelieved) {
  StoredFile file = SmallFile("abc");
  test::Append(&file.bytes, SmallFile("def").bytes);
  auto layout = test::Layout(file.bytes);
  ASSERT_TRUE(layout);
  file.index = layout->index;
  file.plain = test::FromText("abcdef");
  file.AddPlain(test::FromText("ghi"));
  file.AddTail();
  const auto again = test::Layout(file.bytes);
  EXPECT_TRUE(again->has_tail);
  EXPECT_EQ(*test::DecodeAll(file.bytes, *again), file.plain);
}

TEST(Tail, ForeignMemberAppendedByCatIsFound) {
  const Buffer text = test::TextLike(100'000);
  for (int members : {2, 50}) {
    StoredFile file = ManyMembers(members);
    file.AddTail();
    Buffer joined = file.bytes;
    test::Append(&joined, test::MakeForeign(text, {.name = "name"}));
    const auto layout = test::Layout(joined);
    ASSERT_TRUE(layout);
    EXPECT_FALSE(layout->has_tail);
    EXPECT_FALSE(layout->is_conforming);
    ASSERT_EQ(layout->foreign.size(), 1u);
    EXPECT_EQ(layout->foreign[0].file_offset, file.bytes.size());
    Buffer plain = file.plain;
    test::Append(&plain, text);
    EXPECT_EQ(*test::DecodeAll(joined, *layout), plain);
  }
}

TEST(Tail, ForeignMemberBeforeAStoredFileIsFound) {
  Buffer joined = test::MakeForeign(test::TextLike(5000));
  test::Append(&joined, SmallFile("abc").bytes);
  const auto layout = test::Layout(joined);
  ASSERT_TRUE(layout);
  EXPECT_FALSE(layout->has_tail);
  EXPECT_FALSE(layout->profile);
  EXPECT_EQ(layout->index.plain_bytes(), 5003u);
}

TEST(Tail, OfAnotherVersionIsNone) {
  StoredFile file = SmallFile("abc");
  Buffer& bytes = file.bytes;
  bytes[bytes.size() - 2 * kEmpty + kPayloadOffset + 5] ^= std::byte{0x40};
  EXPECT_FALSE(HasTail(bytes));
  EXPECT_EQ(test::Layout(bytes)->index.plain_bytes(), 3u);
}

TEST(Tail, IsFoundOnlyAtTheVeryEnd) {
  Buffer bytes = SmallFile("abc").bytes;
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(HasTail(bytes));
  const auto layout = test::Layout(bytes);
  EXPECT_EQ(layout->index.plain_bytes(), 3u);
  EXPECT_TRUE(layout->rest);
  EXPECT_EQ(layout->valid_bytes, bytes.size() - 1);
}

// Whatever a flipped bit does: the plain bytes come out right, or something
// says that they do not.
void FlipEveryBit(const StoredFile& file, size_t begin, size_t end) {
  constexpr size_t kStep = test::kSlowness == 1 ? 1 : 7;
  for (size_t bit = begin * 8; bit < end * 8; bit += kStep) {
    Buffer damaged = file.bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    const auto layout = test::Layout(damaged);
    ASSERT_TRUE(layout) << bit;
    ASSERT_LE(layout->valid_bytes, damaged.size());
    const auto plain = test::DecodeAll(damaged, *layout);
    if (!plain || *plain == file.plain) continue;
    ASSERT_TRUE(layout->rest) << "bit " << bit << " changes the content unseen";
    ASSERT_LT(plain->size(), file.plain.size()) << bit;
    ASSERT_TRUE(std::equal(plain->begin(), plain->end(), file.plain.begin())) << bit;
  }
}

TEST(Tail, FlippedBitInAShortTailIsDetectedOrHarmless) {
  StoredFile file = SmallFile("some text");
  FlipEveryBit(file, file.bytes.size() - 3 * kEmpty, file.bytes.size());
}

TEST(Tail, FlippedBitInALongTailIsDetectedOrHarmless) {
  StoredFile file = ManyMembers(70);
  const size_t tail_offset = file.AddTail();
  FlipEveryBit(file, tail_offset, file.bytes.size());
}

TEST(Tail, FlippedBitInAnyTailOfAChainIsDetectedOrHarmless) {
  StoredFile file = ManyMembers(32 * 12);
  const size_t first_tail = file.AddTail();
  const size_t first_end = file.bytes.size();
  file.AddPlain(test::FromText("x"));
  const size_t second_tail = file.AddTail();
  ASSERT_EQ(test::ChainLength(file.bytes), 2u);
  FlipEveryBit(file, first_tail, first_end);
  FlipEveryBit(file, second_tail, file.bytes.size());
}

TEST(Tail, FlippedBitAnywhereInASmallFileIsDetectedOrHarmless) {
  StoredFile file = SmallFile("one");
  file.AddPlain(test::TextLike(300));
  file.AddTail();
  FlipEveryBit(file, 0, file.bytes.size());
}

TEST(Tail, FileCutAtAnyByteKeepsTheMembersBefore) {
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    StoredFile file(profile);
    for (int i = 0; i < 3; ++i) {
      file.AddPlain(test::TextLike(100, static_cast<uint32_t>(i + 1)));
      file.AddTail();
    }
    for (size_t size = 0; size < file.bytes.size(); ++size) {
      const auto cut = std::span(file.bytes).first(size);
      const auto layout = test::Layout(cut);
      ASSERT_TRUE(layout) << size;
      EXPECT_LE(layout->valid_bytes, size);
      EXPECT_EQ(layout->valid_bytes == size, !layout->rest) << size;
      EXPECT_TRUE(!layout->rest || layout->rest == DataError::kTruncated) << size;
      const auto plain = test::DecodeAll(cut, *layout);
      ASSERT_TRUE(plain) << size;
      EXPECT_EQ(plain->size() % 100, 0u);
      EXPECT_TRUE(std::equal(plain->begin(), plain->end(), file.plain.begin())) << size;
    }
  }
}

// --- Walking ----------------------------------------------------------------------

TEST(Tail, WalkNamesTheMembersOfTheGroup) {
  StoredFile file;
  for (size_t size : {10u, 20u, 30u}) file.AddPlain(test::TextLike(size));
  file.AddTail();
  const MemberGroup group = test::Layout(file.bytes)->index.GroupAt(0);
  const auto members = WalkGroup(SpanSource(file.bytes), group);
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 6u);
  EXPECT_EQ((*members)[1].plain_offset, 10u);
  EXPECT_EQ((*members)[2].plain_end(), 60u);
  EXPECT_TRUE((*members)[5].is_empty_shape);
}

}  // namespace
}  // namespace gzipfs
