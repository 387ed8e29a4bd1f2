// The log of a file that is overwritten and synced all the time: checkpoints shorten
// it while that goes on, and it does not grow without end when they fail.
#include <thread>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;
using test::Buffer;
using test::Call;
using test::kBlock;

class ContentLog : public test::StoreFixture {
 protected:
  ContentLog() : StoreFixture({.level = 1, .log_bytes = kLogBytes}) {}

  void SetUp() override {
    StoreFixture::SetUp();
    plain_ = test::TextLike(4 * kBlock);
    Make(plain_);
  }
  Result<void> OverwriteAndSync(uint32_t seed) {
    const Buffer piece = test::Noise(4096, seed);
    const uint64_t at = seed * 7919 % (4 * kBlock - piece.size());
    Write(at, piece);
    test::Overwrite(&plain_, at, piece);
    return content_->Sync();
  }
  uint64_t LogBytes() {
    uint64_t byte_count = 0;
    for (const auto& entry : files::directory_iterator(dir_ / ".gzipfs/log")) {
      std::error_code is_gone;
      const uint64_t file_bytes = entry.file_size(is_gone);
      if (!is_gone) byte_count += file_bytes;
    }
    return byte_count;
  }

  static constexpr uint64_t kLogBytes = 64 * kKiB;
  Buffer plain_;
};

TEST_F(ContentLog, CheckpointsShortenItWhileWritesGoOn) {
  for (uint32_t i = 0; i < 400; ++i) {
    ASSERT_TRUE(OverwriteAndSync(i));
    // Of two logs at most, and the zeros behind their ends.
    ASSERT_LE(LogBytes(), 2 * 2 * (kLogLimitFactor + 1) * kLogBytes) << i;
  }
  Settle();
  EXPECT_GT(place_->replaced_count, 1);
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentLog, WhoSyncsIsToldWhenItIsAtItsLimitAndCannotBeShortened) {
  std::atomic<bool> is_full = true;
  ops_.before = [&is_full](Call call) {
    return is_full && call == Call::kRename ? ENOSPC : 0;
  };
  Result<void> synced;
  uint32_t count = 0;
  for (; synced && count < 1000; ++count) synced = OverwriteAndSync(count);
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().value(), ENOSPC);
  EXPECT_GE(count, kLogLimitFactor * kLogBytes / 4200);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(OverwriteAndSync(count++));
  EXPECT_LE(LogBytes(), 2 * 2 * (kLogLimitFactor + 1) * kLogBytes);
  is_full = false;
  ASSERT_TRUE(OverwriteAndSync(count));
  EXPECT_LT(LogBytes(), kLogLimitFactor * kLogBytes);
  EXPECT_TRUE(ReadAll() == plain_);
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

}  // namespace
}  // namespace gzipfs
