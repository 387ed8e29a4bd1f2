// Finding the member to begin with, by index, by hopping, or not at all.
#include "tools/seek.h"

#include <gtest/gtest.h>

#include "tests/unit/codec/lying_tail.h"
#include "tests/unit/tools/pack_data.h"

namespace gzipfs {
namespace {

using test::Buffer;

// Whether decoding from what FindStart gives reaches `plain_offset` rightly.
void ExpectReaches(const Buffer& file, const Buffer& plain, uint64_t plain_offset,
                   uint64_t max_detour_bytes) {
  const SpanSource source(file);
  const auto start = FindStart(source, plain_offset);
  ASSERT_TRUE(start);
  EXPECT_LE(start->plain_offset, plain_offset);
  EXPECT_LE(plain_offset - start->plain_offset, max_detour_bytes);
  PlainStream stream(source, nullptr, *start, plain_offset + 1, PlainStream::Keep::kPlain);
  std::optional<std::byte> found;
  for (;;) {
    const auto piece = stream.Next();
    ASSERT_TRUE(piece);
    if (!*piece) break;
    const uint64_t end = (*piece)->plain_offset + (*piece)->plain.size();
    if (plain_offset < end && plain_offset >= (*piece)->plain_offset)
      found = (*piece)->plain[plain_offset - (*piece)->plain_offset];
  }
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, plain[plain_offset]);
}

TEST(Seek, AnyOffsetBeginsInItsMember) {
  const Buffer plain = test::TextLike(5000000);
  Buffer file = test::PackInMemory(plain);
  for (const bool has_tail : {true, false}) {
    if (!has_tail) file.resize(file.size() - 28);  // without the marker there is no tail
    for (uint64_t offset = 0; offset < plain.size(); offset += 123457)
      ExpectReaches(file, plain, offset, 65535);
    for (uint64_t offset : {0u, 65535u, 65536u, 4999999u})
      ExpectReaches(file, plain, offset, 65535);
  }
}

TEST(Seek, IndexSavesTheWalk) {
  const Buffer plain = test::TextLike(20000000);
  const Buffer file = test::PackInMemory(plain);
  test::CountingSource source(file);
  ASSERT_TRUE(FindStart(source, 19000000));
  EXPECT_LT(source.reads, 200);
}

TEST(Seek, ForeignMemberIsReachedFromItsStart) {
  const Buffer plain = test::TextLike(300000);
  Buffer file = test::PackInMemory(std::span(plain).first(100000));
  test::Append(&file, test::MakeForeign(std::span(plain).subspan(100000)));
  const auto start = FindStart(SpanSource(file), 250000);
  ASSERT_TRUE(start);
  EXPECT_EQ(start->plain_offset, 100000u);
  ExpectReaches(file, plain, 250000, 150000);
}

TEST(Seek, BehindTheEndIsTheEnd) {
  const Buffer file = test::PackInMemory(test::TextLike(100000));
  const auto start = FindStart(SpanSource(file), 100000);
  ASSERT_TRUE(start);
  EXPECT_EQ(start->plain_offset, 100000u);
}

TEST(Seek, SizeThatLiesIsNoEnd) {
  const Buffer plain = test::TextLike(300'000);
  Buffer file;
  for (size_t at = 0; at < plain.size(); at += 60'000)
    test::Append(&file, EncodeBlock(Profile::kBgzf, 1, std::span(plain).subspan(at, 60'000)).bytes);
  test::Append(&file, test::MakeTail(file.size(), {{100'000, file.size()}}));
  for (uint64_t offset : {99'999u, 100'000u, 150'000u, 299'999u})
    ExpectReaches(file, plain, offset, 60'000);
}

}  // namespace
}  // namespace gzipfs
