// Data and holes, as lseek(2) tells them.
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::kBlock;

class ContentSeek : public test::StoreFixture {
 protected:
  uint64_t Data(uint64_t from) { return Seek(from, SeekTo::kData); }
  uint64_t Hole(uint64_t from) { return Seek(from, SeekTo::kHole); }
  uint64_t Seek(uint64_t from, SeekTo what) {
    const auto found = content_->Seek(from, what);
    if (!found && found.error().value() == ENXIO) return kNothing;
    EXPECT_TRUE(found) << found.error().message();
    return found.value_or(kNothing - 1);
  }
  // What is called a hole is zeros, front to back.
  void ExpectTrue() {
    const Buffer plain = ReadAll();
    uint64_t at = 0;
    while (at < plain.size()) {
      const uint64_t data = std::min<uint64_t>(Data(at), plain.size());
      ASSERT_GE(data, at);
      ASSERT_TRUE(std::all_of(plain.begin() + static_cast<ptrdiff_t>(at),
                              plain.begin() + static_cast<ptrdiff_t>(data),
                              [](std::byte byte) { return byte == std::byte{0}; }))
          << at << " to " << data;
      if (data == plain.size()) return;
      at = Hole(data);
      ASSERT_GT(at, data);
      ASSERT_LE(at, plain.size());
    }
  }

  static constexpr uint64_t kNothing = ~uint64_t{0};
};

TEST_F(ContentSeek, AFileWithoutZerosIsData) {
  Make(test::Noise(3 * kBlock + 7));
  EXPECT_EQ(Data(0), 0u);
  EXPECT_EQ(Data(2 * kBlock + 1), 2 * kBlock + 1);
  EXPECT_EQ(Hole(5), 3 * kBlock + 7);
  EXPECT_EQ(Data(3 * kBlock + 7), kNothing);
  EXPECT_EQ(Hole(3 * kBlock + 7), kNothing);
}

TEST_F(ContentSeek, AnEmptyFileHasNeither) {
  Make({});
  EXPECT_EQ(Data(0), kNothing);
  EXPECT_EQ(Hole(0), kNothing);
}

TEST_F(ContentSeek, HolesAreFoundBeforeAndAfterSettling) {
  Open(/*is_new=*/true);
  Write(100 * kBlock, test::Noise(kBlock));
  Truncate(300 * kBlock);
  for (const bool is_settled : {false, true}) {
    SCOPED_TRACE(is_settled);
    if (is_settled) Settle();
    EXPECT_EQ(Hole(0), 0u);
    EXPECT_EQ(Hole(7), 7u);
    EXPECT_EQ(Data(7), 100 * kBlock);
    EXPECT_EQ(Hole(100 * kBlock), 101 * kBlock);
    EXPECT_EQ(Data(101 * kBlock), kNothing);
    EXPECT_EQ(Hole(300 * kBlock - 1), 300 * kBlock - 1);
  }
  Open();
  EXPECT_EQ(Data(0), 100 * kBlock);
  ExpectTrue();
}

TEST_F(ContentSeek, WrittenAndZeroedBlocksCountAsTheyAre) {
  Make(test::Noise(20 * kBlock));
  ASSERT_TRUE(content_->Zero(4 * kBlock, 10 * kBlock, false));
  EXPECT_EQ(Hole(0), 4 * kBlock);
  EXPECT_EQ(Data(4 * kBlock), 10 * kBlock);
  Write(6 * kBlock + 5, test::FromText("data"));
  EXPECT_EQ(Data(4 * kBlock), 6 * kBlock);
  EXPECT_EQ(Hole(6 * kBlock), 7 * kBlock);
  Truncate(21 * kBlock);
  EXPECT_EQ(Hole(10 * kBlock), 20 * kBlock);
  ExpectTrue();
  Settle();
  ExpectTrue();
}

// Small members that are alike, and hold something else.
TEST_F(ContentSeek, OneByteRepeatedIsNoHole) {
  Buffer plain(40 * kBlock);
  for (uint64_t block = 0; block < 40; ++block) {
    if (block % 3 == 0) continue;
    const std::byte value = block % 3 == 1 ? std::byte{'a'} : std::byte{0};
    std::fill_n(plain.begin() + static_cast<ptrdiff_t>(block * kBlock), kBlock, value);
  }
  plain[9 * kBlock + 777] = std::byte{1};
  Make(plain);
  EXPECT_EQ(Data(0), kBlock);
  EXPECT_EQ(Hole(kBlock), 2 * kBlock);
  EXPECT_EQ(Data(2 * kBlock), 4 * kBlock);
  EXPECT_EQ(Data(8 * kBlock), 9 * kBlock);
  ExpectTrue();
}

TEST_F(ContentSeek, ADamagedOrForeignFileIsData) {
  const Buffer plain(10 * kBlock);
  Make(plain);
  const MemberInfo third = Members()[2];
  Buffer base = Base();
  base[third.file_offset + 30] ^= std::byte{0x10};
  test::WriteFile(base_path(), base);
  Open();
  EXPECT_EQ(Data(0), 2 * kBlock);
  EXPECT_EQ(Hole(2 * kBlock), 3 * kBlock);
  test::WriteFile(base_path(), test::MakeForeign(plain));
  Open();
  EXPECT_EQ(Data(0), 0u);
  EXPECT_EQ(Hole(0), 10 * kBlock);
}

// Reading it would take minutes.
TEST_F(ContentSeek, ALargeSparseFileIsPassedOverQuickly) {
  Open(/*is_new=*/true);
  constexpr uint64_t kBytes = 20 * kGiB;
  Truncate(kBytes);
  Write(kBytes - 5, test::FromText("end"));
  Settle();
  Open();
  int reads = 0;
  ops_.before = [&reads](Call call) {
    reads += call == Call::kRead;
    return 0;
  };
  EXPECT_EQ(Data(0), kBytes - kBlock);
  EXPECT_LE(reads, 10 * static_cast<int>(kBytes / kBlock / kGroupMaxMembers));
}

}  // namespace
}  // namespace gzipfs
