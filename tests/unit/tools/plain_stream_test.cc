// Streams of every kind of member, good and damaged, with and without a pool.
#include "tools/plain_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/tools/pack_data.h"
#include "tools/pipe_source.h"

namespace gzipfs {
namespace {

using test::Buffer;

struct Read {
  Buffer plain;
  std::vector<PassedMember> bad;
  uint64_t members = 0;
  PlainStream::Start end;
};

Read ReadAll(const ByteSource& source, CodecPool* pool, PlainStream::Start start = {},
             uint64_t plain_end = ~uint64_t{0},
             PlainStream::Keep keep = PlainStream::Keep::kPlain) {
  PlainStream stream(source, pool, start, plain_end, keep);
  Read read;
  for (;;) {
    auto piece = stream.Next();
    EXPECT_TRUE(piece);
    if (!piece || !*piece) break;
    test::Append(&read.plain, (*piece)->plain);
    read.members += (*piece)->members.size();
    for (const PassedMember& member : (*piece)->members) {
      if (member.error) read.bad.push_back(member);
    }
  }
  read.end = stream.position();
  return read;
}

// Foreign, ours, large, foreign: 5 MB of it.
struct Mixed {
  Buffer plain = test::TextLike(5000000);
  Buffer file;

  Mixed() {
    const std::span<const std::byte> all(plain);
    file = test::MakeForeign(all.first(1500000));
    test::Append(&file, test::PackInMemory(all.subspan(1500000, 1500000)));
    test::Append(&file, test::PackInMemory(all.subspan(3000000, 1500000), Profile::kLarge,
                                           512 * kKiB));
    test::Append(&file, test::MakeForeign(all.subspan(4500000), {.name = "x"}));
  }
};

TEST(PlainStream, MixedMembersComeInOrder) {
  const Mixed mixed;
  CodecPool pool(3);
  for (CodecPool* workers : {&pool, static_cast<CodecPool*>(nullptr)}) {
    const Read read = ReadAll(SpanSource(mixed.file), workers);
    EXPECT_EQ(read.plain, mixed.plain);
    EXPECT_TRUE(read.bad.empty());
    EXPECT_EQ(read.end.file_offset, mixed.file.size());
    EXPECT_EQ(read.end.plain_offset, mixed.plain.size());
  }
}

TEST(PlainStream, PipeIsAsGoodAsAFile) {
  const Mixed mixed;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd for_reading(ends[0]);
  std::jthread writer([&mixed, fd = UniqueFd(ends[1])] {
    EXPECT_TRUE(WriteStream(fd.get(), mixed.file));
  });
  CodecPool pool(2);
  EXPECT_EQ(ReadAll(PipeSource(for_reading.get()), &pool).plain, mixed.plain);
}

TEST(PlainStream, EndsWithTheMemberThatHoldsTheEnd) {
  const Buffer plain = test::TextLike(1000000);
  const Buffer file = test::PackInMemory(plain);
  CodecPool pool(2);
  const Read read = ReadAll(SpanSource(file), &pool, {}, 65537);
  EXPECT_EQ(read.plain, Buffer(plain.begin(), plain.begin() + 2 * 65536));
}

TEST(PlainStream, VerdictsComeWithoutBytes) {
  const Mixed mixed;
  CodecPool pool(2);
  const Read read = ReadAll(SpanSource(mixed.file), &pool, {}, ~uint64_t{0},
                            PlainStream::Keep::kVerdicts);
  EXPECT_TRUE(read.plain.empty());
  EXPECT_TRUE(read.bad.empty());
  EXPECT_GT(read.members, 20u);
}

TEST(PlainStream, DamagedMemberIsNamedAndPassed) {
  const Buffer plain = test::TextLike(1000000);
  Buffer file = test::PackInMemory(plain);
  const SpanSource source(file);
  MemberScanner walk(source);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(walk.Next());
  const uint64_t file_offset = walk.position();
  file[file_offset + 100] ^= std::byte{4};
  CodecPool pool(2);
  const Read read = ReadAll(source, &pool);
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.bad[0].file_offset, file_offset);
  EXPECT_EQ(read.bad[0].plain_offset, 3 * 65536u);
  EXPECT_EQ(read.bad[0].plain_bytes, 65536u);
  EXPECT_EQ(read.end.plain_offset, plain.size());
}

TEST(PlainStream, PlainBytesStopBeforeTheFirstBadMember) {
  const Buffer plain = test::TextLike(5 * 65536);
  Buffer file = test::PackInMemory(plain);
  const SpanSource source(file);
  MemberScanner walk(source);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(walk.Next());
  file[walk.position() - 6] ^= std::byte{1};  // the third one's CRC32
  PlainStream stream(source, nullptr, {}, ~uint64_t{0}, PlainStream::Keep::kPlain);
  const auto piece = stream.Next();
  ASSERT_TRUE(piece && *piece);
  EXPECT_EQ((*piece)->plain.size(), 2 * 65536u);
  ASSERT_NE((*piece)->FirstBad(), nullptr);
  EXPECT_EQ((*piece)->FirstBad()->error, DataError::kBadChecksum);
}

TEST(PlainStream, EveryCutIsNoticedOrComplete) {
  const Buffer plain = test::TextLike(70000);
  const Buffer file = test::PackInMemory(plain);
  for (size_t cut = 0; cut < file.size(); cut += cut % 97 + 1) {
    const Read read = ReadAll(SpanSource(std::span(file).first(cut)), nullptr);
    EXPECT_TRUE(std::equal(read.plain.begin(), read.plain.end(), plain.begin())) << cut;
    if (read.bad.empty()) continue;
    EXPECT_EQ(read.bad.back().error, DataError::kTruncated) << cut;
    EXPECT_LT(read.end.file_offset, file.size());
  }
  EXPECT_EQ(ReadAll(SpanSource(std::span(file).first(0)), nullptr).bad.size(), 1u);
}

TEST(PlainStream, GarbageBehindIsReportedWhereItBegins) {
  const Buffer plain = test::TextLike(100000);
  Buffer file = test::PackInMemory(plain);
  const size_t end = file.size();
  test::Append(&file, test::FromText("hello"));
  const Read read = ReadAll(SpanSource(file), nullptr);
  EXPECT_EQ(read.plain, plain);
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.bad[0].error, DataError::kNotGzip);
  EXPECT_EQ(read.bad[0].file_offset, end);
  EXPECT_EQ(read.bad[0].member_bytes, 0u);
}

TEST(PlainStream, SizeThatLiesIsAnErrorNotAnAllocation) {
  Buffer file = test::PackInMemory(test::TextLike(65536));
  const SpanSource source(file);
  MemberScanner walk(source);
  ASSERT_TRUE(walk.Next());
  StoreLe32(&file[walk.position() - 4], 0xffffffff);
  const Read read = ReadAll(source, nullptr);
  ASSERT_FALSE(read.bad.empty());
  EXPECT_EQ(read.bad[0].error, DataError::kBadSize);
}

TEST(PlainStream, DeviceErrorIsPassedOn) {
  test::CountingSource source{std::span<const std::byte>{}};
  source.failure = EIO;
  PlainStream stream(source, nullptr, {}, ~uint64_t{0}, PlainStream::Keep::kPlain);
  const auto piece = stream.Next();
  ASSERT_FALSE(piece);
  EXPECT_EQ(piece.error().value(), EIO);
}

TEST(PlainStream, TensOfThousandsOfEmptyMembersAreNoProblem) {
  const Buffer empty = test::PackInMemory({});
  Buffer file;
  for (int i = 0; i < 20000; ++i) test::Append(&file, empty);
  CodecPool pool(2);
  const Read read = ReadAll(SpanSource(file), &pool);
  EXPECT_EQ(read.members, 60000u);
  EXPECT_TRUE(read.bad.empty());
}

}  // namespace
}  // namespace gzipfs
