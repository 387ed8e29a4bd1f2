// The space gate: who is let in, who waits for memory to become less, who is told.
#include "fs/store/space_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace gzipfs {
namespace {

constexpr uint64_t kSpare = SpaceGate::kSpareBytes;

class SpaceGateTest : public ::testing::Test {
 protected:
  Result<void> Enter(uint64_t bytes) {
    const auto pass = gate_.Enter(bytes);
    return pass ? Result<void>() : Fail(pass.error());
  }

  DirtyBudget budget_{uint64_t{1} << 40};
  std::atomic<uint64_t> free_bytes_{0};
  std::atomic<int> relief_count_{0};
  std::function<bool()> relief_ = [] { return false; };
  SpaceGate gate_{budget_, [this] { return free_bytes_.load(); },
                  [this] {
                    ++relief_count_;
                    return relief_();
                  }};
};

TEST_F(SpaceGateTest, LetsInWhatFitsEvenIfItDoesNotCompress) {
  free_bytes_ = kSpare + 17 * kKiB;
  EXPECT_TRUE(Enter(16 * kKiB));
  EXPECT_FALSE(Enter(16 * kKiB + 16));
}

TEST_F(SpaceGateTest, TellsAtOnceWhenNothingIsInMemory) {
  const Result<void> entered = Enter(1);
  ASSERT_FALSE(entered);
  EXPECT_EQ(entered.error(), std::error_code(ENOSPC, std::system_category()));
  EXPECT_EQ(relief_count_, 0);
}

TEST_F(SpaceGateTest, CountsWhatIsInMemoryAndWhoElseEnters) {
  free_bytes_ = kSpare + 34 * kKiB;
  ASSERT_TRUE(budget_.Reserve(16 * kKiB));
  EXPECT_TRUE(Enter(16 * kKiB));
  const auto other = gate_.Enter(8 * kKiB);
  ASSERT_TRUE(other);
  EXPECT_TRUE(Enter(8 * kKiB));
  EXPECT_FALSE(Enter(16 * kKiB));
}

TEST_F(SpaceGateTest, WaitsForMemoryToBecomeLess) {
  free_bytes_ = kSpare + 17 * kKiB;
  ASSERT_TRUE(budget_.Reserve(64 * kKiB));
  relief_ = [this] {
    if (relief_count_ > 3) return false;
    budget_.Release(16 * kKiB);
    return true;
  };
  EXPECT_FALSE(Enter(8 * kKiB));  // 16 KiB stay in memory, however often it is tried
  EXPECT_GE(relief_count_, 4);
  budget_.Release(8 * kKiB);
  EXPECT_TRUE(Enter(8 * kKiB));
}

TEST_F(SpaceGateTest, WaitsForBlocksOnTheirWay) {
  free_bytes_ = kSpare + 17 * kKiB;
  ASSERT_TRUE(budget_.Reserve(16 * kKiB));
  budget_.BeginProgress();
  std::jthread worker([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    budget_.Release(16 * kKiB);
    budget_.EndProgress();
  });
  EXPECT_TRUE(Enter(16 * kKiB));
  EXPECT_EQ(relief_count_, 0);
}

// Who waits does not keep out who waits: there is room for some of them.
TEST_F(SpaceGateTest, LetsInAsManyAsFit) {
  free_bytes_ = kSpare + 4 * 17 * kKiB;
  std::atomic<int> let_in{0};
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 12; ++i) {
      writers.emplace_back([this, &let_in] {
        const auto pass = gate_.Enter(16 * kKiB);
        if (!pass) return;
        ++let_in;
        (void)budget_.Reserve(16 * kKiB);
      });
    }
  }
  EXPECT_EQ(let_in, 4);
}

TEST_F(SpaceGateTest, IsLowForThoseWhoComeUnasked) {
  free_bytes_ = kSpare + 170 * kKiB;
  EXPECT_FALSE(gate_.IsLow(160 * kKiB));
  EXPECT_TRUE(gate_.IsLow(176 * kKiB));
}

TEST_F(SpaceGateTest, LooksAgainSoonAlsoWhereThereIsPlenty) {
  free_bytes_ = uint64_t{1} << 40;
  EXPECT_TRUE(Enter(kKiB));
  free_bytes_ = 0;
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(Enter(kKiB));
}

}  // namespace
}  // namespace gzipfs
