// An index file gives back what was put in, and nothing when it was changed.
#include "codec/index_file.h"

#include <gtest/gtest.h>

#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

using test::Buffer;

constexpr IndexedFile kFile{.device = 5, .inode = 77, .file_bytes = 0, .modified_seconds = -1,
                            .changed_seconds = 1'700'000'000, .modified_nanoseconds = 3,
                            .changed_nanoseconds = 999'999'999};

// Members of several makers, and what `rest` has behind them.
struct Sample {
  explicit Sample(std::span<const std::byte> rest = {}) {
    plain = test::TextLike(3 * kMiB);
    test::Append(&file, test::MakeForeign(plain));
    for (uint32_t i = 0; i < 40; ++i)
      test::Append(&file, EncodeBlock(Profile::kBgzf, 1, test::TextLike(60'000, i + 1)).bytes);
    test::Append(&file, test::MakeForeign(test::TextLike(1000)));
    test::Append(&file, rest);
    layout = *ScanLayout(SpanSource(file), LayoutLimitBytes(file.size()), ScanKeep::kRestarts);
    about = kFile;
    about.file_bytes = file.size();
  }
  Buffer plain;
  Buffer file;
  FileLayout layout;
  IndexedFile about;
};

void ExpectSame(const FileLayout& got, const FileLayout& expected) {
  EXPECT_EQ(got.index.plain_bytes(), expected.index.plain_bytes());
  EXPECT_EQ(got.index.file_bytes(), expected.index.file_bytes());
  EXPECT_EQ(got.rest, expected.rest);
  EXPECT_EQ(got.damage, expected.damage);
  EXPECT_EQ(got.profile, expected.profile);
  EXPECT_FALSE(got.is_conforming);
  ASSERT_EQ(got.foreign.size(), expected.foreign.size());
  for (size_t i = 0; i < got.foreign.size(); ++i) {
    EXPECT_EQ(got.foreign[i].file_offset, expected.foreign[i].file_offset);
    EXPECT_EQ(got.foreign[i].plain_offset, expected.foreign[i].plain_offset);
    EXPECT_EQ(got.foreign[i].plain_bytes, expected.foreign[i].plain_bytes);
    EXPECT_EQ(got.foreign[i].crc32, expected.foreign[i].crc32);
  }
  ASSERT_EQ(got.restarts.size(), expected.restarts.size());
  for (size_t i = 0; i < got.restarts.size(); ++i) {
    const MemberRestarts& a = *got.restarts[i];
    const MemberRestarts& b = *expected.restarts[i];
    EXPECT_EQ(a.deflate_offset, b.deflate_offset);
    EXPECT_EQ(a.plain_bytes, b.plain_bytes);
    EXPECT_EQ(a.piece_bytes, b.piece_bytes);
    EXPECT_EQ(a.piece_crcs, b.piece_crcs);
    ASSERT_EQ(a.points.size(), b.points.size());
    for (size_t k = 0; k < a.points.size(); ++k) {
      EXPECT_EQ(a.points[k].plain_offset, b.points[k].plain_offset);
      EXPECT_EQ(a.points[k].place.bit, b.points[k].place.bit);
      EXPECT_EQ(a.points[k].place.header_bits, b.points[k].place.header_bits);
      EXPECT_EQ(a.points[k].place.header, b.points[k].place.header);
      EXPECT_EQ(a.points[k].window, b.points[k].window);
    }
  }
}

TEST(IndexFile, GivesBackTheLayout) {
  const Buffer cut = test::MakeForeign(test::TextLike(500'000));
  for (const Buffer& rest : {Buffer{}, Buffer(100), test::FromText("garbage"),
                             Buffer(cut.begin(), cut.begin() + cut.size() / 2)}) {
    const Sample sample(rest);
    const Buffer bytes = EncodeIndexFile(sample.about, sample.layout);
    const auto about = ParseIndexHeader(bytes);
    ASSERT_TRUE(about);
    EXPECT_TRUE(*about == sample.about);
    const auto layout = DecodeIndexFile(sample.about, bytes);
    ASSERT_TRUE(layout) << layout.error().message();
    ExpectSame(*layout, sample.layout);
    EXPECT_TRUE(CheckIndexFile(*layout, SpanSource(sample.file)));
  }
}

TEST(IndexFile, OfAnotherStateOfTheFileIsRefused) {
  const Sample sample;
  const Buffer bytes = EncodeIndexFile(sample.about, sample.layout);
  std::vector<IndexedFile> others(7, sample.about);
  ++others[0].device;
  ++others[1].inode;
  ++others[2].file_bytes;
  ++others[3].modified_seconds;
  ++others[4].changed_seconds;
  ++others[5].modified_nanoseconds;
  ++others[6].changed_nanoseconds;
  for (const IndexedFile& other : others) EXPECT_FALSE(DecodeIndexFile(other, bytes));
}

TEST(IndexFile, WithAnyByteChangedOrMissingIsRefused) {
  const Sample sample;
  const Buffer bytes = EncodeIndexFile(sample.about, sample.layout);
  for (size_t i = 0; i < bytes.size(); i += i < 200 ? 1 : 97) {
    Buffer changed = bytes;
    changed[i] ^= std::byte{1};
    EXPECT_FALSE(DecodeIndexFile(sample.about, changed)) << i;
    EXPECT_FALSE(DecodeIndexFile(sample.about, std::span(bytes).first(i))) << i;
  }
}

TEST(IndexFile, ThatDoesNotFitTheTrailersIsRefused) {
  Sample sample;
  const uint64_t trailer = sample.layout.foreign[0].file_end() - kTrailerBytes;
  for (uint64_t at : {trailer, trailer + 4}) {
    Buffer file = sample.file;
    file[at] ^= std::byte{1};
    EXPECT_FALSE(CheckIndexFile(sample.layout, SpanSource(file)));
  }
}

// With its checksums right, too: nothing must come of it but a refusal or a
// layout within the file.
TEST(IndexFile, WithAnythingInItIsSafe) {
  const Sample sample;
  const Buffer bytes = EncodeIndexFile(sample.about, sample.layout);
  std::mt19937 random(3);
  int taken = 0;
  for (int round = 0; round < 4000; ++round) {
    Buffer changed = bytes;
    for (uint32_t i = random() % 3 + 1; i > 0; --i) {
      const size_t limit = random() % 2 == 0 ? 120 : changed.size() - kIndexHeaderBytes;
      changed[kIndexHeaderBytes + random() % limit] = static_cast<std::byte>(random());
    }
    const auto body = std::span(changed).subspan(kIndexHeaderBytes);
    StoreLe32(&changed[64], Crc32(0, body));
    StoreLe32(&changed[76], Crc32(0, std::span(changed).first(76)));
    const auto layout = DecodeIndexFile(sample.about, changed);
    if (!layout) continue;
    ++taken;
    EXPECT_LE(layout->index.file_bytes(), sample.file.size());
    (void)CheckIndexFile(*layout, SpanSource(sample.file));
  }
  EXPECT_GT(taken, 0);
}

}  // namespace
}  // namespace gzipfs
