// Beginning in the middle of a member gives the bytes that are there, wherever
// the point is and whoever made the stream.
#include "codec/restart_points.h"

#include <gtest/gtest.h>

#include "codec/member_index.h"
#include "codec/member_scanner.h"
#include "tests/unit/codec/test_data.h"
#include "tests/unit/rounds.h"

namespace gzipfs {
namespace {

using test::Buffer;

// A member whose deflate stream zlib makes with `strategy`, flushed as `flush`
// says every `flush_bytes`.
Buffer MakeStream(std::span<const std::byte> plain, int level, int strategy, int flush,
                  size_t flush_bytes) {
  Buffer member = test::MakeHeader({.name = "name"});
  const size_t header_bytes = member.size();
  member.resize(header_bytes + plain.size() + plain.size() / 8 +
                plain.size() / flush_bytes * 12 + 64 * kKiB);
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, -MAX_WBITS, 8, strategy), Z_OK);
  stream.next_out = reinterpret_cast<Bytef*>(member.data() + header_bytes);
  stream.avail_out = static_cast<uInt>(member.size() - header_bytes);
  for (size_t at = 0; at < plain.size(); at += flush_bytes) {
    const auto piece = plain.subspan(at, std::min(flush_bytes, plain.size() - at));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
    stream.avail_in = static_cast<uInt>(piece.size());
    EXPECT_EQ(deflate(&stream, flush), Z_OK);
  }
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  member.resize(header_bytes + stream.total_out);
  deflateEnd(&stream);
  test::Append(&member, test::MakeTrailer(plain));
  return member;
}

RestartsRef Record(const ByteSource& source, std::error_code* failure = nullptr) {
  MemberScanner scanner(source);
  scanner.RecordRestarts();
  const auto member = scanner.Next();
  if (failure != nullptr) *failure = member ? std::error_code() : member.error();
  return scanner.TakeRestarts();
}

// As MakeStream, of `block` repeated `count` times.
Buffer MakeRepeated(std::span<const std::byte> block, size_t count) {
  Buffer member = test::MakeHeader({.name = "name"});
  const size_t header_bytes = member.size();
  member.resize(header_bytes + 2 * block.size() + count * block.size() / 50);
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_out = reinterpret_cast<Bytef*>(member.data() + header_bytes);
  stream.avail_out = static_cast<uInt>(member.size() - header_bytes);
  uint32_t crc = 0;
  for (size_t i = 0; i < count; ++i) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(block.data()));
    stream.avail_in = static_cast<uInt>(block.size());
    EXPECT_EQ(deflate(&stream, i + 1 < count ? Z_NO_FLUSH : Z_FINISH),
              i + 1 < count ? Z_OK : Z_STREAM_END);
    crc = Crc32(crc, block);
  }
  member.resize(header_bytes + stream.total_out);
  deflateEnd(&stream);
  Buffer trailer(kTrailerBytes);
  StoreLe32(&trailer[0], crc);
  StoreLe32(&trailer[4], static_cast<uint32_t>(count * block.size()));
  test::Append(&member, trailer);
  return member;
}

// From every point, and from the start, the pieces that follow decode.
void ExpectRightBytes(std::span<const std::byte> file, std::span<const std::byte> plain,
                      const MemberRestarts& restarts) {
  const SpanSource source(file);
  for (size_t i = 0; i <= restarts.points.size(); ++i) {
    const RestartPoint* point = i == 0 ? nullptr : &restarts.points[i - 1];
    auto stream = RestartStream::Begin(source, restarts, point, file.size());
    ASSERT_TRUE(stream) << i << ": " << stream.error().message();
    const uint64_t at = (*stream)->plain_position();
    Buffer got(std::min<uint64_t>(plain.size() - at, 300'000));
    const auto read = (*stream)->Read(got);
    ASSERT_TRUE(read) << i << ": " << read.error().message();
    ASSERT_TRUE(std::equal(got.begin(), got.end(), plain.begin() + at)) << i;
  }
  for (size_t i = 0; i < restarts.piece_crcs.size(); ++i) {
    const uint64_t begin = i * restarts.piece_bytes;
    ASSERT_EQ(restarts.piece_crcs[i],
              Crc32(0, plain.subspan(begin, restarts.PieceBytes(i)))) << i;
  }
  EXPECT_EQ(restarts.CombinedCrc32(), Crc32(0, plain));
}

// Text, noise and runs one after the other, so that blocks of all kinds come.
Buffer Mixed(size_t byte_count) {
  Buffer plain;
  for (uint32_t seed = 1; plain.size() < byte_count; ++seed) {
    test::Append(&plain, test::TextLike(100'000 + seed * 7777, seed));
    test::Append(&plain, test::Noise(30'000 + seed * 3333, seed));
    plain.resize(plain.size() + 50'000, static_cast<std::byte>(seed));
  }
  plain.resize(byte_count);
  return plain;
}

struct StreamKind {
  const char* name;
  int level;
  int strategy;
  int flush;
  size_t flush_bytes;
  size_t min_points;  // in 10 MiB, with ISA-L; zlib has none inside of blocks
};

class RestartPoints : public ::testing::TestWithParam<StreamKind> {};

TEST_P(RestartPoints, EveryOneGivesWhatFollows) {
  const StreamKind& kind = GetParam();
  const Buffer plain = Mixed(10 * kMiB);
  const Buffer file = MakeStream(plain, kind.level, kind.strategy, kind.flush, kind.flush_bytes);
  const RestartsRef restarts = Record(SpanSource(file));
  ASSERT_TRUE(restarts);
  EXPECT_FALSE(restarts->error);
  EXPECT_EQ(restarts->plain_bytes, plain.size());
  EXPECT_GE(restarts->points.size(), kind.min_points);
  ExpectRightBytes(file, plain, *restarts);
  size_t index_bytes = restarts->piece_crcs.size() * 4;
  for (const RestartPoint& point : restarts->points) {
    index_bytes += point.window.size() + point.place.header.size() + 16;
  }
  EXPECT_LE(index_bytes, file.size() / 100 + 4096);
}

INSTANTIATE_TEST_SUITE_P(
    Streams, RestartPoints,
    ::testing::Values(StreamKind{"dynamic", 6, Z_DEFAULT_STRATEGY, Z_NO_FLUSH, 10 * kMiB, 3},
                      StreamKind{"fast", 1, Z_DEFAULT_STRATEGY, Z_NO_FLUSH, 10 * kMiB, 3},
                      StreamKind{"fixed", 6, Z_FIXED, Z_NO_FLUSH, 10 * kMiB, 2},
                      StreamKind{"huffman", 6, Z_HUFFMAN_ONLY, Z_NO_FLUSH, 10 * kMiB, 3},
                      StreamKind{"stored", 0, Z_DEFAULT_STRATEGY, Z_NO_FLUSH, 10 * kMiB, 3},
                      StreamKind{"synced", 6, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, 1000, 2},
                      StreamKind{"partial", 6, Z_DEFAULT_STRATEGY, Z_PARTIAL_FLUSH, 3000, 2},
                      StreamKind{"full", 6, Z_DEFAULT_STRATEGY, Z_FULL_FLUSH, 100'000, 3}),
    [](const auto& instance) { return std::string(instance.param.name); });

// 300 MB of it are 300 kB: points by stored bytes alone would be too far apart.
TEST(RestartPointsOf, ARunOfOneByteAreNotTooFarApart) {
  const Buffer plain(100 * kMiB, std::byte{7});
  const Buffer file = test::MakeForeign(plain);
  const RestartsRef restarts = Record(SpanSource(file));
  ASSERT_TRUE(restarts);
  EXPECT_GT(restarts->piece_bytes, kRestartPieceBytes);
  ExpectRightBytes(file, plain, *restarts);
#ifdef GZIPFS_HAVE_ISAL
  ASSERT_GE(restarts->points.size(), 2u);
  for (size_t i = 1; i < restarts->points.size(); ++i) {
    EXPECT_LE(restarts->points[i].plain_offset - restarts->points[i - 1].plain_offset,
              kMaxRestartSpacing + 8 * kMiB);
  }
#endif
}

// What refers to a window lies far behind it, because nearly all between is block ends.
TEST(RestartPointsOf, TinyBlocksThatReferFarBackAreRight) {
  const Buffer block = test::Noise(30'000, 5);
  Buffer plain;
  while (plain.size() < 2 * kMiB) test::Append(&plain, block);
  const Buffer file = MakeStream(plain, 1, Z_FIXED, Z_SYNC_FLUSH, 4);
  ASSERT_GT(file.size(), 2 * plain.size());
  const RestartsRef restarts = Record(SpanSource(file));
  ASSERT_TRUE(restarts);
  EXPECT_FALSE(restarts->points.empty());
  ExpectRightBytes(file, plain, *restarts);
}

TEST(RestartPointsOf, ASmallMemberAreNone) {
  const Buffer file = test::MakeForeign(test::TextLike(kRestartPieceBytes));
  EXPECT_FALSE(Record(SpanSource(file)));
  const Buffer larger = test::MakeForeign(test::TextLike(kRestartPieceBytes + 1));
  const RestartsRef restarts = Record(SpanSource(larger));
  ASSERT_TRUE(restarts);
  EXPECT_TRUE(restarts->points.empty());
  EXPECT_EQ(restarts->piece_crcs.size(), 2u);
}

TEST(RestartPointsOf, ATruncatedMemberLeadUpToItsEnd) {
  const Buffer plain = Mixed(8 * kMiB);
  const Buffer whole = test::MakeForeign(plain);
  const auto file = std::span(whole).first(whole.size() * 3 / 4);
  std::error_code failure;
  const RestartsRef restarts = Record(SpanSource(file), &failure);
  ASSERT_TRUE(restarts);
  EXPECT_EQ(failure, DataError::kTruncated);
  EXPECT_EQ(restarts->error, DataError::kTruncated);
  EXPECT_GT(restarts->plain_bytes, plain.size() / 2);
  EXPECT_LT(restarts->plain_bytes, plain.size());
  ExpectRightBytes(file, std::span(plain).first(restarts->plain_bytes), *restarts);
}

// All that zlib makes of a raw deflate stream, up to where it is broken.
Buffer DecodeSome(std::span<const std::byte> deflate, size_t max_bytes) {
  Buffer plain(max_bytes);
  size_t produced = 0;
  const auto zlib = backend::MakeZlibStreamDecompressor();
  // Little at once: a call that fails does not say what it has made.
  while (!deflate.empty() && produced < plain.size()) {
    const auto out = std::span(plain).subspan(produced, std::min<size_t>(64, max_bytes - produced));
    const auto step = zlib->Inflate(deflate, out);
    if (!step) break;
    produced += step->produced;
    deflate = deflate.subspan(step->consumed);
    if (step->at_end) break;
  }
  plain.resize(produced);
  return plain;
}

// Whatever a stream has become in its middle, points before that lead to what it still is.
TEST(RestartPointsOf, ADamagedMemberAreRight) {
  const Buffer plain = Mixed(4 * kMiB);
  const Buffer whole = test::MakeForeign(plain);
  std::mt19937 random(12);
  for (int round = 0; round < test::Rounds(12); ++round) {
    Buffer file = whole;
    const size_t from = file.size() / 4 + random() % (file.size() / 2);
    const size_t byte_count = 1 + random() % 300;
    for (size_t i = 0; i < byte_count; ++i) file[from + i] = static_cast<std::byte>(random());
    const SpanSource source(file);
    const RestartsRef restarts = Record(source);
    ASSERT_TRUE(restarts) << round;
    const auto deflate = std::span(file).subspan(restarts->deflate_offset);
    Buffer decoded = DecodeSome(deflate, restarts->plain_bytes);
    ASSERT_GE(decoded.size() + 64, restarts->plain_bytes) << round;
    const auto right = [&](const RestartPoint& point) {
      const auto stream = RestartStream::Begin(source, *restarts, &point, file.size());
      Buffer got(std::min<uint64_t>(decoded.size() - point.plain_offset, 100'000));
      return stream && (*stream)->Read(got) &&
             std::equal(got.begin(), got.end(),
                        decoded.begin() + static_cast<long>(point.plain_offset));
    };
    for (const RestartPoint& point : restarts->points) {
      // Within a window of the damage nobody can tell what is used.
      if (point.plain_offset + 100'000 > decoded.size()) continue;
      ASSERT_TRUE(right(point)) << round << ": " << point.plain_offset;
    }
  }
}

// What an index says may be anything: beginning there is safe and ends in an
// error, or in bytes whose CRC32 is another one.
TEST(RestartPointsOf, AnIndexThatLiesAreRefused) {
  const Buffer plain = Mixed(6 * kMiB);
  const Buffer file = test::MakeForeign(plain);
  const SpanSource source(file);
  const RestartsRef restarts = Record(source);
  ASSERT_TRUE(restarts && !restarts->points.empty());
  const uint64_t piece = restarts->points[0].plain_offset / restarts->piece_bytes + 1;
  std::mt19937 random(11);
  for (int round = 0; round < test::Rounds(3000); ++round) {
    RestartPoint point = restarts->points[0];
    switch (random() % 5) {
      case 0: point.place.bit = random() % (file.size() * 8); break;
      case 1: point.place.header_bits = random() % (point.place.header.size() * 8 + 1); break;
      case 2:
        if (!point.place.header.empty())
          point.place.header[random() % point.place.header.size()] ^= std::byte{0x10};
        break;
      case 3: point.window[random() % point.window.size()] ^= std::byte{4}; break;
      default: point.plain_offset += 1; break;
    }
    auto stream = RestartStream::Begin(source, *restarts, &point, file.size());
    if (!stream) continue;
    Buffer got(restarts->PieceBytes(piece));
    if (!(*stream)->SkipTo(piece * restarts->piece_bytes) || !(*stream)->Read(got)) continue;
    const auto expected = std::span(plain).subspan(piece * restarts->piece_bytes, got.size());
    const bool is_right = std::equal(got.begin(), got.end(), expected.begin());
    ASSERT_EQ(is_right, Crc32(0, got) == restarts->piece_crcs[piece]);
  }
}

// The backends go on at each other's places.
TEST(RestartPointsOf, OneLibraryServeTheOther) {
  const Buffer plain = Mixed(6 * kMiB);
  const Buffer file = test::MakeForeign(plain);
  const RestartsRef restarts = Record(SpanSource(file));
  ASSERT_TRUE(restarts);
  for (const RestartPoint& point : restarts->points) {
    Buffer window(point.window_bytes);
    ASSERT_TRUE(ThreadDecompressor().Inflate(point.window, window));
    const auto zlib = backend::MakeZlibStreamDecompressor();
    const uint64_t at = restarts->deflate_offset + point.place.bit / 8;
    ASSERT_TRUE(zlib->Resume(point.place, file[at], window));
    Buffer got(100'000);
    const auto input = std::span(file).subspan(at + (point.place.bit % 8 > 0 ? 1 : 0));
    const auto step = zlib->Inflate(input, got);
    ASSERT_TRUE(step);
    got.resize(step->produced);
    ASSERT_FALSE(got.empty());
    ASSERT_TRUE(std::equal(got.begin(), got.end(),
                           plain.begin() + static_cast<long>(point.plain_offset)));
  }
}

// Noise that is repeated: the plain bytes compress, and no window of them does. A point each
// 24 MiB would take more than a tenth of the file.
TEST(RestartPoints, WindowsThatDoNotCompressAreFurtherApart) {
  const Buffer block = test::Noise(32'000, 5);
  constexpr size_t kCount = 10'000;
  const Buffer file = MakeRepeated(block, kCount);
  const SpanSource source(file);
  const RestartsRef restarts = Record(source);
  ASSERT_TRUE(restarts);
  ASSERT_EQ(restarts->plain_bytes, kCount * block.size());
  size_t points_bytes = 0;
  for (const RestartPoint& point : restarts->points) points_bytes += point.MemoryBytes();
  EXPECT_LE(points_bytes, 256 * kKiB + file.size() / 100);
  EXPECT_GE(restarts->points.size(), 3u);
  for (const RestartPoint& point : restarts->points) {
    auto stream = RestartStream::Begin(source, *restarts, &point, file.size());
    ASSERT_TRUE(stream);
    Buffer got(100'000);
    ASSERT_TRUE((*stream)->Read(got));
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i], block[(point.plain_offset + i) % block.size()]) << point.plain_offset;
    }
  }
}

// Of members just large enough to have some, each of a few hundred stored bytes.
TEST(RestartPoints, OfManyMembersTheyStayWithinTheLimitOfAFile) {
  constexpr size_t kMembers = 40;
  constexpr uint64_t kLimitBytes = 2'000;
  const Buffer plain(kRestartPieceBytes + 1);
  const Buffer member = test::MakeForeign(plain);
  Buffer file;
  for (size_t i = 0; i < kMembers; ++i) test::Append(&file, member);
  const auto layout = ScanLayout(SpanSource(file), kLimitBytes, ScanKeep::kRestarts);
  ASSERT_TRUE(layout);
  EXPECT_FALSE(layout->rest);
  EXPECT_EQ(layout->index.plain_bytes(), kMembers * plain.size());
  size_t restarts_bytes = 0;
  for (const RestartsRef& restarts : layout->restarts) restarts_bytes += restarts->MemoryBytes();
  EXPECT_GT(restarts_bytes, 0u);
  EXPECT_LE(restarts_bytes, kLimitBytes);
}

}  // namespace
}  // namespace gzipfs
