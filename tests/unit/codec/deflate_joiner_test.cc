// Joined streams are one stream: whatever blocks they have, wherever they end.
#include "codec/deflate_joiner.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

using test::Buffer;

// A raw deflate stream of `plain`; `flush_every` bytes a block ends.
Buffer RawDeflate(std::span<const std::byte> plain, int level, int strategy,
                  size_t flush_every = 0, int flush = Z_BLOCK) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, -MAX_WBITS, 8, strategy), Z_OK);
  Buffer out(plain.size() * 2 + 100000);
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  while (flush_every > 0 && plain.size() > flush_every) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(plain.data()));
    stream.avail_in = static_cast<uInt>(flush_every);
    EXPECT_EQ(deflate(&stream, flush), Z_OK);
    plain = plain.subspan(flush_every);
  }
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// All of `stream` decoded by zlib as one raw stream; it must end with `stream`.
Buffer InflateOne(const Buffer& stream, size_t plain_bytes) {
  Buffer plain(plain_bytes + 1);
  z_stream state{};
  EXPECT_EQ(inflateInit2(&state, -MAX_WBITS), Z_OK);
  state.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream.data()));
  state.avail_in = static_cast<uInt>(stream.size());
  state.next_out = reinterpret_cast<Bytef*>(plain.data());
  state.avail_out = static_cast<uInt>(plain.size());
  EXPECT_EQ(inflate(&state, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(state.avail_in, 0u);
  plain.resize(plain.size() - state.avail_out);
  inflateEnd(&state);
  return plain;
}

// Feeds `stream` to a joiner in pieces of `piece_bytes`.
Buffer Open(const Buffer& stream, size_t piece_bytes, uint64_t plain_bytes) {
  DeflateJoiner joiner;
  Buffer open;
  bool at_end = false;
  for (std::span<const std::byte> rest(stream); !rest.empty();) {
    EXPECT_FALSE(at_end);
    const auto piece = rest.first(std::min(piece_bytes, rest.size()));
    const auto progress = joiner.Add(piece);
    EXPECT_TRUE(progress);
    if (!progress) return open;
    EXPECT_EQ(progress->consumed, piece.size());
    at_end = progress->at_end;
    joiner.TakeOpen(&open);
    rest = rest.subspan(piece.size());
  }
  EXPECT_TRUE(at_end);
  EXPECT_EQ(joiner.plain_bytes(), plain_bytes);
  return open;
}

TEST(DeflateJoiner, EveryKindOfBlockInEveryOrder) {
  struct Kind {
    int level;
    int strategy;
    size_t flush_every;
    int flush;
  };
  const Kind kinds[] = {{6, Z_DEFAULT_STRATEGY, 0, 0}, {6, Z_FIXED, 0, 0},
                        {0, Z_DEFAULT_STRATEGY, 0, 0}, {6, Z_DEFAULT_STRATEGY, 700, Z_BLOCK},
                        {6, Z_FIXED, 33, Z_BLOCK},     {1, Z_HUFFMAN_ONLY, 900, Z_PARTIAL_FLUSH},
                        {9, Z_RLE, 1000, Z_FULL_FLUSH}};
  std::minstd_rand random(11);
  for (int round = 0; round < 60; ++round) {
    Buffer joined;
    Buffer all;
    for (int i = 0; i < 12; ++i) {
      const Kind& kind = kinds[random() % std::size(kinds)];
      const size_t plain_bytes = random() % 3 == 0 ? random() % 5 : random() % 9000;
      const Buffer plain = random() % 4 == 0 ? test::Noise(plain_bytes, round * 100 + i)
                                             : test::TextLike(plain_bytes, round * 100 + i);
      const Buffer stream =
          RawDeflate(plain, kind.level, kind.strategy, kind.flush_every, kind.flush);
      test::Append(&joined, Open(stream, 1 + random() % 3000, plain_bytes));
      test::Append(&all, plain);
    }
    test::Append(&joined, kEmptyDeflate);
    ASSERT_EQ(InflateOne(joined, all.size()), all) << "round " << round;
  }
}

TEST(DeflateJoiner, OneByteAtATimeIsTheSame) {
  const Buffer plain = test::TextLike(20000);
  const Buffer stream = RawDeflate(plain, 6, Z_DEFAULT_STRATEGY, 500);
  EXPECT_EQ(Open(stream, 1, plain.size()), Open(stream, stream.size(), plain.size()));
}

TEST(DeflateJoiner, EndsInEachOfTheEightBits) {
  // Fixed codes have 8 or 9 bits: the number of the latter moves the end.
  bool seen[8] = {};
  for (size_t nines = 0; nines < 8; ++nines) {
    Buffer plain(10, std::byte{'a'});
    for (size_t i = 0; i < 10; ++i) plain[i] = static_cast<std::byte>('a' + i);
    for (size_t i = 0; i < nines; ++i) plain[i] = static_cast<std::byte>(200 + i);
    const Buffer stream = RawDeflate(plain, 6, Z_FIXED);
    Buffer joined = Open(stream, 7, plain.size());
    seen[joined.size() - stream.size() > 0 ? nines : 0] = true;
    test::Append(&joined, Open(stream, 7, plain.size()));
    test::Append(&joined, kEmptyDeflate);
    Buffer twice = plain;
    test::Append(&twice, plain);
    ASSERT_EQ(InflateOne(joined, twice.size()), twice) << nines;
  }
  EXPECT_GE(std::count(std::begin(seen), std::end(seen), true), 7);
}

TEST(DeflateJoiner, PaddingThatIsNotZeroDoesNotMatter) {
  const Buffer plain = test::TextLike(100);
  for (size_t length = 1; length < 60; ++length) {
    const auto part = std::span(plain).first(length);
    Buffer stream = RawDeflate(part, 6, Z_FIXED);
    Buffer clean = Open(stream, 64, length);
    Buffer dirty_stream = stream;
    if (clean.size() == stream.size()) continue;  // no padding
    dirty_stream.back() |= std::byte{0x80};
    EXPECT_EQ(Open(dirty_stream, 64, length), clean) << length;
  }
}

TEST(DeflateJoiner, BrokenAndCutStreamsAreRefused) {
  const Buffer plain = test::TextLike(5000);
  Buffer stream = RawDeflate(plain, 6, Z_DEFAULT_STRATEGY);
  DeflateJoiner joiner;
  const auto cut = joiner.Add(std::span(stream).first(stream.size() - 1));
  ASSERT_TRUE(cut);
  EXPECT_FALSE(cut->at_end);
  joiner.Reset();
  stream[0] |= std::byte{0x06};  // BTYPE 11
  EXPECT_EQ(joiner.Add(stream).error(), DataError::kBadDeflate);
}

TEST(JoinMember, ChecksTrailersAndSkipsEmptyMembers) {
  const Buffer plain = test::TextLike(70000);
  EncodedBlock block = EncodeBlock(Profile::kBgzf, 6, std::span(plain).first(65536));
  Buffer open;
  const auto part = JoinMember(block.bytes, &open);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->plain_bytes, 65536u);
  EXPECT_EQ(part->crc32, Crc32(0, std::span(plain).first(65536)));
  const size_t size = open.size();
  Buffer empty(EmptyMemberBytes(Profile::kBgzf));
  EncodeEmptyMember(Profile::kBgzf, kEofPayload, empty);
  ASSERT_TRUE(JoinMember(empty, &open));
  EXPECT_EQ(open.size(), size);
  block.bytes[block.bytes.size() - 1] ^= std::byte{1};
  EXPECT_EQ(JoinMember(block.bytes, &open).error(), DataError::kBadSize);
  block.bytes[block.bytes.size() - 1] ^= std::byte{1};
  block.bytes[block.bytes.size() - 8] ^= std::byte{1};
  EXPECT_EQ(JoinMember(block.bytes, &open).error(), DataError::kBadChecksum);
  EXPECT_EQ(open.size(), size);
}

TEST(MemberJoinStream, ReadsOneMemberOfAnySize) {
  const Buffer plain = test::TextLike(3000000);
  Buffer file = test::MakeForeign(plain, {.name = "a name"});
  const size_t member_bytes = file.size();
  test::Append(&file, test::FromText("what follows"));
  const SpanSource source(file);
  MemberJoinStream stream(source, 0);
  Buffer open;
  while (!stream.at_end()) ASSERT_TRUE(stream.Read(&open));
  EXPECT_EQ(stream.file_position(), member_bytes);
  EXPECT_EQ(stream.part().plain_bytes, plain.size());
  test::Append(&open, kEmptyDeflate);
  EXPECT_EQ(InflateOne(open, plain.size()), plain);
  const SpanSource cut{std::span(file).first(member_bytes - 3)};
  MemberJoinStream short_stream(cut, 0);
  Result<void> read;
  while (read && !short_stream.at_end()) read = short_stream.Read(&open);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), DataError::kTruncated);
}

}  // namespace
}  // namespace gzipfs
