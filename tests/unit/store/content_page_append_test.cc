// Appending as the kernel's writeback cache does it: whole pages, with the bytes that
// are in the base already.
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;

class ContentPageAppend : public test::StoreFixture {
 protected:
  static constexpr size_t kPageBytes = 4096;

  void SetUp() override {
    StoreFixture::SetUp();
    Make(plain_);
  }
  void AppendLine(uint32_t seed, size_t byte_count = 200) {
    const uint64_t page = RoundDown(plain_.size(), kPageBytes);
    test::Append(&plain_, test::TextLike(byte_count, seed));
    for (uint64_t at = page; at < plain_.size(); at += kPageBytes) {
      Write(at, std::span(plain_).subspan(at, std::min(kPageBytes, plain_.size() - at)));
    }
    ASSERT_TRUE(content_->Sync());
  }
  Buffer plain_ = test::TextLike(10'000);
};

TEST_F(ContentPageAppend, ReadsTheBaseOnceAndStaysInAppendMode) {
  AppendLine(1);
  std::atomic<int> read_count{0};
  ops_.before = [&read_count](test::Call call) {
    if (call == test::Call::kRead) ++read_count;
    return 0;
  };
  for (uint32_t i = 2; i < 40; ++i) AppendLine(i);
  EXPECT_EQ(read_count, 0);
  EXPECT_EQ(place_->replaced_count, 0);
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentPageAppend, ChangedByteOfTheSamePageIsNoAppend) {
  for (uint32_t i = 0; i < 5; ++i) AppendLine(i);
  plain_[RoundDown(plain_.size(), kPageBytes) + 3] ^= std::byte{1};
  AppendLine(6);
  EXPECT_TRUE(ReadAll() == plain_);
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

// What is remembered of the end must not outlive it.
TEST_F(ContentPageAppend, OtherBytesUpToTheSameEndAreSeen) {
  const Buffer start = plain_;
  for (uint32_t i = 0; i < 5; ++i) AppendLine(i);
  const Buffer first = plain_;
  Truncate(start.size());
  plain_ = start;
  for (uint32_t i = 10; i < 15; ++i) AppendLine(i);
  ASSERT_EQ(plain_.size(), first.size());
  plain_ = first;
  AppendLine(20);
  EXPECT_TRUE(ReadAll() == plain_);
  Settle();
  // An overwrite and a checkpoint replace it.
  std::fill(plain_.begin(), plain_.end(), std::byte{'z'});
  Write(0, plain_);
  Settle();
  AppendLine(21);
  plain_ = first;
  plain_.resize(plain_.size() + 400);
  AppendLine(22);
  Write(0, plain_);
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

}  // namespace
}  // namespace gzipfs
