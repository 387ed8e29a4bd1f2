// Every backend against every other: what one writes, all read.
#include "codec/codec.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

using test::Buffer;

struct NamedCompressor {
  std::string name;
  std::function<std::unique_ptr<Compressor>()> make;
};

std::vector<NamedCompressor> AllCompressors() {
  std::vector<NamedCompressor> all;
  for (int level = kLevelFast; level <= kMaxLevel; ++level) {
    const std::string suffix = " " + std::to_string(level);
    all.push_back({"factory" + suffix, [=] { return MakeCompressor(level); }});
    all.push_back({"zlib" + suffix, [=] { return backend::MakeZlibCompressor(level); }});
#ifdef GZIPFS_HAVE_LIBDEFLATE
    all.push_back(
        {"libdeflate" + suffix, [=] { return backend::MakeLibdeflateCompressor(level); }});
#endif
  }
#ifdef GZIPFS_HAVE_ISAL
  all.push_back({"isal", [] { return backend::MakeIsalCompressor(); }});
#endif
  return all;
}

std::vector<std::function<std::unique_ptr<Decompressor>()>> AllDecompressors() {
  return {
      [] { return MakeDecompressor(); },
      [] { return backend::MakeZlibDecompressor(); },
#ifdef GZIPFS_HAVE_LIBDEFLATE
      [] { return backend::MakeLibdeflateDecompressor(); },
#endif
  };
}

std::vector<std::function<std::unique_ptr<StreamDecompressor>()>> AllStreamDecompressors() {
  return {
      [] { return MakeStreamDecompressor(); },
      [] { return backend::MakeZlibStreamDecompressor(); },
#ifdef GZIPFS_HAVE_ISAL
      [] { return backend::MakeIsalStreamDecompressor(); },
#endif
  };
}

std::vector<Buffer> Samples() {
  return {test::TextLike(1),     test::TextLike(2),   test::TextLike(1000), test::TextLike(65536),
          test::Noise(1),        test::Noise(1000),   test::Noise(65536),   Buffer(65536),
          test::TextLike(300000)};
}

struct StreamOutcome {
  bool is_complete = false;
  std::error_code failure;
  Buffer plain;
  size_t deflate_bytes = 0;
};

// Feeds `input` in pieces and takes plain bytes in pieces, up to a limit.
StreamOutcome RunStream(StreamDecompressor& stream, std::span<const std::byte> input,
                        size_t input_piece, size_t plain_piece, size_t plain_limit) {
  StreamOutcome outcome;
  Buffer piece(plain_piece);
  size_t position = 0;
  while (outcome.plain.size() < plain_limit) {
    const auto part = input.subspan(position, std::min(input_piece, input.size() - position));
    const auto progress = stream.Inflate(part, piece);
    if (!progress) {
      outcome.failure = progress.error();
      return outcome;
    }
    position += progress->consumed;
    test::Append(&outcome.plain, std::span(piece).first(progress->produced));
    if (progress->at_end) {
      outcome.is_complete = true;
      outcome.deflate_bytes = position - progress->overrun;
      return outcome;
    }
    if (progress->consumed == 0 && progress->produced == 0) return outcome;
  }
  return outcome;
}

TEST(Codec, EveryDecompressorReadsEveryCompressor) {
  for (const NamedCompressor& named : AllCompressors()) {
    const auto compressor = named.make();
    for (const Buffer& plain : Samples()) {
      Buffer deflate(plain.size() + plain.size() / 50 + 100);
      deflate.resize(compressor->Deflate(plain, deflate));
      ASSERT_GT(deflate.size(), 0u) << named.name << " " << plain.size();
      for (const auto& make : AllDecompressors()) {
        Buffer decoded(plain.size());
        ASSERT_TRUE(make()->Inflate(deflate, decoded)) << named.name << " " << plain.size();
        ASSERT_EQ(decoded, plain) << named.name;
      }
      for (const auto& make : AllStreamDecompressors()) {
        const auto outcome = RunStream(*make(), deflate, 5000, 7000, plain.size() + 1);
        ASSERT_TRUE(outcome.is_complete) << named.name << " " << plain.size();
        ASSERT_EQ(outcome.plain, plain);
        ASSERT_EQ(outcome.deflate_bytes, deflate.size());
      }
    }
  }
}

TEST(Codec, DenserLevelsAreNotLarger) {
  const Buffer plain = test::TextLike(65536);
  Buffer out(70000);
  const size_t fast = MakeCompressor(kLevelFast)->Deflate(plain, out);
  const size_t dense = MakeCompressor(kMaxLevel)->Deflate(plain, out);
  EXPECT_LT(dense, fast);
}

TEST(Codec, CompressorThatLacksRoomReturnsZeroAndWritesNothingBehind) {
  constexpr std::byte kCanary{0xa5};
  for (const NamedCompressor& named : AllCompressors()) {
    const auto compressor = named.make();
    for (const Buffer& plain : {test::TextLike(5000), test::Noise(5000), Buffer(5000)}) {
      for (size_t room = 0; room < plain.size() + 20; room = room * 5 / 4 + 1) {
        Buffer out(room + 64, kCanary);
        const size_t written = compressor->Deflate(plain, std::span(out).first(room));
        ASSERT_LE(written, room) << named.name;
        for (size_t i = room; i < out.size(); ++i) ASSERT_EQ(out[i], kCanary) << named.name;
        Buffer decoded(plain.size());
        if (written == 0) continue;
        ASSERT_TRUE(MakeDecompressor()->Inflate(std::span(out).first(written), decoded))
            << named.name << " room " << room;
        ASSERT_EQ(decoded, plain) << named.name;
      }
    }
  }
}

TEST(Codec, WrongPlainSizeIsRefused) {
  const Buffer plain = test::TextLike(1000);
  const Buffer deflate = test::RawDeflate(plain);
  for (const auto& make : AllDecompressors()) {
    for (size_t size : {0, 1, 999, 1001, 5000}) {
      Buffer decoded(size);
      EXPECT_EQ(make()->Inflate(deflate, decoded).error(), DataError::kBadSize) << size;
    }
  }
}

TEST(Codec, BytesBehindTheStreamAreRefused) {
  const Buffer plain = test::TextLike(1000);
  Buffer deflate = test::RawDeflate(plain);
  deflate.push_back(std::byte{0});
  for (const auto& make : AllDecompressors()) {
    Buffer decoded(plain.size());
    EXPECT_EQ(make()->Inflate(deflate, decoded).error(), DataError::kBadSize);
  }
}

TEST(Codec, TruncatedStreamIsRefusedAtEveryLength) {
  const Buffer plain = test::TextLike(700);
  const Buffer deflate = test::RawDeflate(plain);
  for (size_t length = 0; length < deflate.size(); ++length) {
    const auto part = std::span(deflate).first(length);
    for (const auto& make : AllDecompressors()) {
      Buffer decoded(plain.size());
      EXPECT_FALSE(make()->Inflate(part, decoded)) << length;
    }
    for (const auto& make : AllStreamDecompressors())
      EXPECT_FALSE(RunStream(*make(), part, 100, 100, 10000).is_complete) << length;
  }
}

TEST(Codec, EmptyStreamDecodesToNothing) {
  for (const auto& make : AllDecompressors()) {
    EXPECT_TRUE(make()->Inflate(kEmptyDeflate, {}));
    EXPECT_FALSE(make()->Inflate({}, {}));
    std::byte one;
    EXPECT_FALSE(make()->Inflate(kEmptyDeflate, {&one, 1}));
  }
}

TEST(Codec, StreamsEndExactlyWhereTheDeflateStreamEnds) {
  for (size_t plain_bytes : {0, 1, 10, 1000, 65536, 100000}) {
    const Buffer plain = test::TextLike(plain_bytes);
    Buffer file = test::RawDeflate(plain);
    const size_t deflate_bytes = file.size();
    test::Append(&file, test::Noise(40));
    for (const auto& make : AllStreamDecompressors()) {
      for (size_t input_piece : {1, 2, 3, 7, 64, 100000}) {
        for (size_t plain_piece : {1, 3, 1000, 200000}) {
          const auto outcome =
              RunStream(*make(), file, input_piece, plain_piece, plain.size() + 1);
          ASSERT_TRUE(outcome.is_complete) << plain_bytes << " " << input_piece;
          ASSERT_EQ(outcome.plain, plain);
          ASSERT_EQ(outcome.deflate_bytes, deflate_bytes);
        }
      }
    }
  }
}

// Backends differ in how strictly they look at Huffman tables, so one may
// decode what another refuses; what zlib decodes, all decode alike.
TEST(Codec, StreamsDecodeWhateverZlibDecodes) {
  const Buffer plain = test::TextLike(2000);
  const Buffer deflate = test::RawDeflate(plain);
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    Buffer damaged = deflate;
    damaged[random() % damaged.size()] ^= static_cast<std::byte>(1u << random() % 8);
    const auto reference =
        RunStream(*backend::MakeZlibStreamDecompressor(), damaged, 100000, 100000, 1000000);
    const auto outcome = RunStream(*MakeStreamDecompressor(), damaged, 77, 333, 1000000);
    if (!reference.is_complete) continue;
    ASSERT_TRUE(outcome.is_complete) << outcome.failure.message();
    ASSERT_EQ(outcome.plain, reference.plain);
    ASSERT_EQ(outcome.deflate_bytes, reference.deflate_bytes);
  }
}

TEST(Codec, CompressorsMayBeUsedManyTimes) {
  for (const NamedCompressor& named : AllCompressors()) {
    const auto compressor = named.make();
    const Buffer plain = test::TextLike(3000);
    Buffer first(4000), again(4000);
    first.resize(compressor->Deflate(plain, first));
    Buffer tiny(2);
    EXPECT_EQ(compressor->Deflate(plain, tiny), 0u) << named.name;
    again.resize(compressor->Deflate(plain, again));
    EXPECT_EQ(first, again) << named.name;
  }
}

TEST(Crc32, IsTheOneOfRfc1952) {
  EXPECT_EQ(Crc32(0, test::FromText("123456789")), 0xcbf43926u);
  EXPECT_EQ(Crc32(0, {}), 0u);
  EXPECT_EQ(Crc32(77, {}), 77u);
}

TEST(Crc32, BackendsAgreeAndContinue) {
  const Buffer bytes = test::Noise(70000);
  for (size_t size : {0, 1, 7, 8, 15, 16, 63, 64, 255, 256, 1000, 65536, 69999}) {
    const auto part = std::span(bytes).subspan(1, size);
    const uint32_t expected = backend::ZlibCrc32(0, part);
    EXPECT_EQ(Crc32(0, part), expected);
#ifdef GZIPFS_HAVE_LIBDEFLATE
    EXPECT_EQ(backend::LibdeflateCrc32(0, part), expected);
#endif
#ifdef GZIPFS_HAVE_ISAL
    EXPECT_EQ(backend::IsalCrc32(0, part), expected);
#endif
    const auto head = part.first(size / 3), rest = part.subspan(size / 3);
    EXPECT_EQ(Crc32(Crc32(0, head), rest), expected);
    EXPECT_EQ(CombineCrc32(Crc32(0, head), Crc32(0, rest), rest.size()), expected);
  }
}

TEST(ThreadCodecs, AreKeptPerThreadAndLevel) {
  Compressor* const first = &ThreadCompressor(1);
  EXPECT_EQ(first, &ThreadCompressor(1));
  EXPECT_EQ(&ThreadDecompressor(), &ThreadDecompressor());
  Decompressor* const mine = &ThreadDecompressor();
  std::jthread([mine] { EXPECT_NE(mine, &ThreadDecompressor()); }).join();
  const Buffer plain = test::TextLike(65536);
  Buffer out(70000);
  const size_t level_one = ThreadCompressor(1).Deflate(plain, out);
  const size_t level_nine = ThreadCompressor(9).Deflate(plain, out);
  EXPECT_LT(level_nine, level_one);
}

TEST(CodecLibraries, NamesZlib) {
  EXPECT_EQ(CodecLibraries().substr(0, 5), "zlib ");
}

}  // namespace
}  // namespace gzipfs
