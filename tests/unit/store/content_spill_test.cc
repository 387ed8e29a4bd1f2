// Blocks of which little was written, when memory is short: those bytes alone are
// spilled, and everything that reads finds them.
#include <random>
#include <thread>

#include "fs/store/recovery.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::kBlock;

class ContentSpill : public test::StoreFixture {
 protected:
  ContentSpill() : StoreFixture({.level = 1, .cache_bytes = kMiB, .dirty_bytes = 4 * kBlock}) {}

  void SetUp() override {
    StoreFixture::SetUp();
    plain_ = test::TextLike(kBlocks * kBlock);
    Make(plain_);
  }
  void WriteBoth(uint64_t plain_offset, std::span<const std::byte> bytes) {
    Write(plain_offset, bytes);
    test::Overwrite(&plain_, plain_offset, bytes);
  }
  // A few hundred bytes at a random place in each of many blocks, in any order.
  void Scatter(uint32_t seed, int write_count = 200) {
    std::mt19937 random(seed);
    for (int i = 0; i < write_count; ++i) {
      const Buffer piece = test::Noise(1 + random() % 500, random());
      WriteBoth(random() % (kBlocks * kBlock - piece.size()), piece);
    }
  }
  void SettleAndCompare() { SettleAndExpect(plain_); }

  static constexpr uint64_t kBlocks = 40;
  Buffer plain_;
};

TEST_F(ContentSpill, SmallOverwritesNeedNothingOfTheBase) {
  std::atomic<int> read_count{0};
  ops_.before = [&read_count](Call call) {
    if (call == Call::kRead) ++read_count;
    return 0;
  };
  Scatter(1);
  EXPECT_EQ(read_count, 0);
  EXPECT_LE(store_->budget().used_bytes(), 4 * kBlock);
  SettleAndCompare();
}

TEST_F(ContentSpill, PiecesWrittenOverAndOverAreTheNewest) {
  for (uint32_t round = 0; round < 10; ++round) {
    Scatter(round);
    ASSERT_TRUE(ReadAll() == plain_) << round;
  }
  SettleAndCompare();
}

TEST_F(ContentSpill, CutsHideWhatWasSpilledBehindThem) {
  Scatter(3);
  const uint64_t cut = 20 * kBlock + 777;
  Truncate(cut);
  Truncate(kBlocks * kBlock);
  std::fill(plain_.begin() + static_cast<ptrdiff_t>(cut), plain_.end(), std::byte{0});
  Scatter(4);
  SettleAndCompare();
}

TEST_F(ContentSpill, SpilledPiecesAreInTheLogAfterSync) {
  Scatter(5);
  ASSERT_TRUE(content_->Sync());
  Scatter(6, 20);
  ASSERT_TRUE(content_->Sync());
  CloseStore();
  OpenStore();
  const auto report = Recover(*store_, RecoveryWatcher{});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->recovered, 1u);
  EXPECT_TRUE(Gunzipped() == plain_);
}

// What a checkpoint works on may be spilled while it does: writers need not wait.
// Its members say more than the file has by then: what is behind the cut stays zeros, in
// the file's next life too.
TEST_F(ContentSpill, CutsInsideABlockThatWasSpilledWholeAreInTheLogAfterSync) {
  WriteBoth(5, test::FromText("a log"));
  ASSERT_TRUE(content_->Sync());
  for (uint64_t i = 10; i < kBlocks; ++i) {
    WriteBoth(i * kBlock, test::Noise(kBlock, static_cast<uint32_t>(i)));
  }
  const uint64_t cut = 20 * kBlock + 777;
  Truncate(cut);
  std::fill(plain_.begin() + static_cast<ptrdiff_t>(cut), plain_.end(), std::byte{0});
  ASSERT_TRUE(content_->Sync());
  Open();  // the old one is given up unsettled, as by a crash
  Truncate(kBlocks * kBlock);
  SettleAndCompare();
}

TEST_F(ContentSpill, CheckpointReadsPiecesThatWereSpilledUnderIt) {
  Scatter(7, 3);
  std::atomic<bool> has_begun = false;
  std::atomic<bool> may_go_on = false;
  ops_.before = [&](Call call) {
    // The image's first byte: the snapshot has been taken.
    if (call == Call::kOpen && !has_begun) {
      has_begun = true;
    } else if (call == Call::kSyncData && has_begun) {
      while (!may_go_on) std::this_thread::yield();
    }
    return 0;
  };
  std::thread checkpoint([this] { ASSERT_TRUE(content_->Settle()); });
  while (!has_begun) std::this_thread::yield();
  for (uint32_t seed = 8; seed < 12; ++seed) Scatter(seed);
  EXPECT_TRUE(ReadAll() == plain_);
  may_go_on = true;
  checkpoint.join();
  EXPECT_TRUE(ReadAll() == plain_);
  ops_.before = nullptr;
  SettleAndCompare();
}

// A block that is spilled as members takes the place of the frozen one below it; what is
// synced during the checkpoint must be in the log of the base that comes.
TEST_F(ContentSpill, ABlockSpilledOverAFrozenOneIsInTheNextLog) {
  WriteBoth(5, test::FromText("in the snapshot"));
  ASSERT_TRUE(content_->Sync());
  bool has_spilled = false;
  ops_.before = [&](Call call) {
    // The image's bytes: the snapshot has been taken.
    if (call != Call::kCopy || std::exchange(has_spilled, true)) return 0;
    WriteBoth(100, test::Noise(50'000, 1));
    EXPECT_TRUE(store_->relief().Relieve());
    EXPECT_TRUE(content_->Sync());
    return 0;
  };
  EXPECT_TRUE(content_->Settle());
  ASSERT_TRUE(has_spilled);
  ops_.before = nullptr;
  EXPECT_TRUE(ReadAll() == plain_);
  // As after a death of the process: from the new base and its log.
  Open();
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
}

// Spill files would grow for as long as bytes are overwritten and never synced.
TEST_F(ContentSpill, MuchSpilledIsBroughtIntoTheBase) {
  options_.log_bytes = 16 * kKiB;
  CloseStore();
  OpenStore();
  Open();
  const ino_t inode_before = test::StatOf(base_path()).st_ino;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  uint32_t seed = 100;
  while (test::StatOf(base_path()).st_ino == inode_before) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    Scatter(++seed);
  }
  SettleAndCompare();
}

TEST_F(ContentSpill, FailedSpillLosesNothing) {
  ops_.before = [](Call call) { return call == Call::kOpen ? ENOSPC : 0; };
  Scatter(12, 2);
  (void)dynamic_cast<Relievable&>(*content_).Relieve();
  ops_.before = nullptr;
  (void)content_->Flush();  // tells the error
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
}

}  // namespace
}  // namespace gzipfs
