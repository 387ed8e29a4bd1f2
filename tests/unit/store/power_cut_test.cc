// Lost pages told from torn ends and other damage.
#include "fs/store/power_cut.h"

#include "fs/store/base_rest.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;

class PowerCutTest : public test::StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    Make(test::Noise(6 * kBlock, 5));
    base_ = Base();
    members_ = Members();
  }
  std::optional<uint64_t> Find(uint64_t search_bytes = kMaxLostPagesSearch,
                               bool is_ours = false) {
    const SpanSource source(base_);
    const auto lost = FindLostPages(*store_, source, is_ours, search_bytes);
    EXPECT_TRUE(lost) << lost.error().message();
    return lost ? *lost : std::nullopt;
  }
  void Zero(uint64_t begin, uint64_t byte_count) {
    std::fill_n(base_.begin() + static_cast<ptrdiff_t>(begin), byte_count, std::byte{0});
  }

  Buffer base_;
  std::vector<MemberInfo> members_;
};

TEST_F(PowerCutTest, AWholeFileHasLostNothing) { EXPECT_EQ(Find(), std::nullopt); }

TEST_F(PowerCutTest, ALostSectorOrPageIsFoundByItsMember) {
  for (const uint64_t byte_count : {512u, 4096u}) {
    for (size_t i = 0; i < members_.size(); ++i) {
      base_ = Base();
      const uint64_t middle = members_[i].file_offset + members_[i].member_bytes / 2;
      Zero(middle / byte_count * byte_count, byte_count);
      EXPECT_EQ(Find(), members_[i].file_offset) << i;
    }
  }
}

TEST_F(PowerCutTest, ALostHeaderIsFound) {
  Zero(members_[3].file_offset, 600);
  EXPECT_EQ(Find(), members_[3].file_offset);
}

TEST_F(PowerCutTest, ALostBeginningIsFound) {
  Zero(0, 4096);
  EXPECT_EQ(Find(), 0u);
  Zero(0, base_.size() - 100);
  EXPECT_EQ(Find(), 0u);  // by its tail
}

// All but the last member's second half: nothing in it tells whose the file is.
TEST_F(PowerCutTest, ABeginningThatIsLostWithAllHeadersIsFoundIfTheLogKnowsTheFile) {
  base_.resize(members_.back().file_offset + members_.back().member_bytes);
  Zero(0, members_.back().file_offset + members_.back().member_bytes / 2);
  EXPECT_EQ(Find(), std::nullopt);
  EXPECT_EQ(Find(kMaxLostPagesSearch, true), 0u);
}

// Of an append that began shortly before the end of a sector, only that is lost.
TEST_F(PowerCutTest, AFewBytesLostBeforeTheEndOfASectorAreFound) {
  int tried = 0;
  for (uint32_t size = 1; size < 700; ++size) {
    const Buffer front = EncodeBlock(Profile::kBgzf, 1, test::Noise(size)).bytes;
    const uint64_t left = 512 - front.size() % 512;
    if (left > 3) continue;
    ++tried;
    const Buffer appended = EncodeBlock(Profile::kBgzf, 1, test::Noise(1000, 2)).bytes;
    base_ = front;
    test::Append(&base_, appended);
    EXPECT_EQ(Find(), std::nullopt) << size;
    Zero(front.size(), left);
    EXPECT_EQ(Find(), front.size()) << size;
  }
  EXPECT_GT(tried, 2);
}

TEST_F(PowerCutTest, ZerosThatAreNoGzipFileAreLeftAlone) {
  base_ = test::Noise(200'000, 9);
  Zero(0, 4096);
  EXPECT_EQ(Find(), std::nullopt);
}

TEST_F(PowerCutTest, ATornEndIsNone) {
  Zero(members_[4].file_offset, base_.size() - members_[4].file_offset);
  EXPECT_EQ(Find(), std::nullopt);
  base_ = Base();
  base_.resize(members_[4].file_offset + 1000);
  EXPECT_EQ(Find(), std::nullopt);
}

TEST_F(PowerCutTest, OtherDamageIsNone) {
  for (const uint64_t at : {members_[2].file_offset, members_[2].file_offset + 1000}) {
    base_ = Base();
    base_[at] ^= std::byte{0x55};
    EXPECT_EQ(Find(), std::nullopt) << at;
  }
}

TEST_F(PowerCutTest, AForeignFileIsLeftAlone) {
  base_ = test::MakeForeign(test::Noise(kBlock, 1));
  test::Append(&base_, Base());
  Zero(base_.size() / 2 / 512 * 512, 512);
  EXPECT_EQ(Find(), std::nullopt);
}

TEST_F(PowerCutTest, OnlyTheEndOfALongFileIsLookedAt) {
  // More than one group of the index, or there is nothing to begin at.
  Make(test::Noise(70 * kBlock, 6));
  base_ = Base();
  const std::vector<MemberInfo> members = Members();
  Zero(members[5].file_offset + 1024, 1024);
  EXPECT_EQ(Find(), members[5].file_offset);
  EXPECT_EQ(Find(base_.size() / 8), std::nullopt);
  base_ = Base();
  const MemberInfo& late = members[members.size() - 2];
  Zero(late.file_offset + 1024, 1024);
  EXPECT_EQ(Find(base_.size() / 8), late.file_offset);
}

}  // namespace
}  // namespace gzipfs
