// When level=auto turns from dense to fast and back, by a clock of the test's own.
#include "fs/store/write_effort.h"

#include <gtest/gtest.h>

#include "fs/store/store.h"

namespace gzipfs {
namespace {

using Clock = WriteEffort::Clock;

constexpr uint64_t kPiece = 64 * kKiB;

class WriteEffortTest : public ::testing::Test {
 protected:
  // Writes `byte_count` at so many times the rate that the workers can do densely;
  // returns how many bytes of it are to be compressed fast.
  uint64_t WriteAt(double rate, uint64_t byte_count) {
    uint64_t fast_bytes = 0;
    for (uint64_t done = 0; done < byte_count; done += kPiece) {
      if (effort_.IsPressed(kPiece, now_)) fast_bytes += kPiece;
      const double seconds = static_cast<double>(kPiece) / (rate * effort_.dense_rate());
      now_ += std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
    }
    return fast_bytes;
  }

  static constexpr unsigned kWorkers = 4;
  WriteEffort effort_{kWorkers};
  Clock::time_point now_ = Clock::now();
};

TEST_F(WriteEffortTest, SlowWriterIsAlwaysDense) {
  EXPECT_EQ(WriteAt(0.9, 1000 * kMiB), 0u);
}

TEST_F(WriteEffortTest, FastWriterIsFastButForItsBeginning) {
  const uint64_t all = 1000 * kMiB;
  const uint64_t dense_bytes = all - WriteAt(5, all);
  EXPECT_LT(dense_bytes, 2 * kWorkers * WriteEffort::kBurstBytes);
  EXPECT_GE(dense_bytes, kWorkers * WriteEffort::kBurstBytes - kPiece);
}

TEST_F(WriteEffortTest, BurstIsDense) {
  for (uint64_t done = 0; done + kPiece < kWorkers * WriteEffort::kBurstBytes; done += kPiece) {
    EXPECT_FALSE(effort_.IsPressed(kPiece, now_)) << done;
  }
}

// One that waits for memory comes no faster than the workers go.
TEST_F(WriteEffortTest, WriterThatIsHeldUpIsFastToo) {
  effort_.AddWaiting(kWorkers * WriteEffort::kBurstBytes);
  EXPECT_TRUE(effort_.IsPressed(kPiece, now_));
  EXPECT_EQ(WriteAt(0.9, 100 * kMiB), 100 * kMiB);
  effort_.RemoveWaiting(kWorkers * WriteEffort::kBurstBytes);
  EXPECT_EQ(WriteAt(5, 100 * kMiB), 100 * kMiB);
}

TEST_F(WriteEffortTest, DenseAgainSoonAfterTheWriterSlowsDown) {
  (void)WriteAt(5, 100 * kMiB);
  ASSERT_TRUE(effort_.IsPressed(kPiece, now_));
  (void)WriteAt(0.5, kWorkers * WriteEffort::kBurstBytes);
  EXPECT_EQ(WriteAt(0.5, 100 * kMiB), 0u);
}

TEST_F(WriteEffortTest, DenseRateIsThatOfTheWorkers) {
  const auto took = std::chrono::microseconds(1000);
  for (int i = 0; i < 200; ++i) effort_.NoteDense(kPiece, took);
  EXPECT_NEAR(effort_.dense_rate(), kWorkers * kPiece * 1000.0, kPiece * 100.0);
}

// A worker that was not given a processor for a second is no slow compressor.
TEST_F(WriteEffortTest, OneLongWaitChangesLittle) {
  const double before = effort_.dense_rate();
  effort_.NoteDense(kPiece, std::chrono::seconds(1));
  EXPECT_GT(effort_.dense_rate(), before / 10);
}

}  // namespace
}  // namespace gzipfs
