// The dirty budget: who waits, who helps, and who gives up.
#include "fs/store/dirty_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace gzipfs {
namespace {

// A Reserve on a thread of its own.
class Waiter {
 public:
  Waiter(DirtyBudget& budget, uint64_t bytes)
      : thread_([this, &budget, bytes] {
          result_ = budget.Reserve(bytes);
          is_done_ = true;
          is_done_.notify_all();
        }) {}
  bool is_done() const { return is_done_; }
  Result<void> Wait() {
    is_done_.wait(false);
    return result_;
  }

 private:
  Result<void> result_;
  std::atomic<bool> is_done_{false};
  std::jthread thread_;
};

TEST(DirtyBudget, CountsWhatIsHeld) {
  DirtyBudget budget(100);
  EXPECT_TRUE(budget.Reserve(60));
  EXPECT_TRUE(budget.Reserve(40));
  EXPECT_EQ(budget.used_bytes(), 100u);
  budget.Release(70);
  budget.Release(0);
  EXPECT_EQ(budget.used_bytes(), 30u);
}

TEST(DirtyBudget, WriterWaitsUntilThereIsRoom) {
  DirtyBudget budget(100);
  ASSERT_TRUE(budget.Reserve(80));
  Waiter waiter(budget, 30);
  EXPECT_FALSE(waiter.is_done());
  budget.Release(5);
  EXPECT_FALSE(waiter.is_done());
  budget.Release(5);
  EXPECT_TRUE(waiter.Wait());
  EXPECT_EQ(budget.used_bytes(), 100u);
}

TEST(DirtyBudget, RequestAboveTheLimitIsGrantedAlone) {
  DirtyBudget budget(100);
  ASSERT_TRUE(budget.Reserve(10));
  Waiter waiter(budget, 500);
  EXPECT_FALSE(waiter.is_done());
  budget.Release(10);
  EXPECT_TRUE(waiter.Wait());
  EXPECT_EQ(budget.used_bytes(), 500u);
}

TEST(DirtyBudget, WaitingWriterCallsForRelief) {
  DirtyBudget budget(100);
  std::atomic<int> calls{0};
  budget.SetRelief([&] {
    ++calls;
    budget.Release(50);
    return true;
  });
  ASSERT_TRUE(budget.Reserve(100));
  EXPECT_TRUE(budget.Reserve(80));  // two times 50
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(budget.used_bytes(), 80u);
}

TEST(DirtyBudget, NoReliefWhileSomethingIsOnItsWay) {
  DirtyBudget budget(100);
  std::atomic<int> calls{0};
  budget.SetRelief([&] {
    ++calls;
    return false;
  });
  ASSERT_TRUE(budget.Reserve(100));
  budget.BeginProgress();
  Waiter waiter(budget, 10);
  budget.Release(10);
  EXPECT_TRUE(waiter.Wait());
  budget.EndProgress();
  EXPECT_EQ(calls, 0);
}

TEST(DirtyBudget, ReliefIsCalledOnceProgressEnds) {
  DirtyBudget budget(100);
  budget.SetRelief([&] {
    budget.Release(100);
    return true;
  });
  ASSERT_TRUE(budget.Reserve(100));
  budget.BeginProgress();
  Waiter waiter(budget, 10);
  EXPECT_FALSE(waiter.is_done());
  budget.EndProgress();
  EXPECT_TRUE(waiter.Wait());
}

TEST(DirtyBudget, GivesUpWithENOSPCAfterItsPatience) {
  DirtyBudget budget(100);
  std::atomic<int> calls{0};
  budget.SetRelief([&] {
    ++calls;
    return false;
  });
  ASSERT_TRUE(budget.Reserve(100));
  const auto begin = std::chrono::steady_clock::now();
  const auto reserved = budget.Reserve(10);
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(reserved);
  EXPECT_EQ(reserved.error().value(), ENOSPC);
  EXPECT_GE(elapsed, std::chrono::seconds(1));
  EXPECT_GT(calls, 10);
  EXPECT_EQ(budget.used_bytes(), 100u);
  budget.Release(100);
  EXPECT_TRUE(budget.Reserve(10));
}

TEST(DirtyBudget, PatienceBeginsAnewWhenSomethingMoves) {
  DirtyBudget budget(100);
  std::atomic<int> calls{0};
  // Each call frees a little, but never says so.
  budget.SetRelief([&] {
    if (++calls % 30 == 0) budget.Release(1);
    return false;
  });
  ASSERT_TRUE(budget.Reserve(100));
  EXPECT_TRUE(budget.Reserve(8));
  EXPECT_GE(calls, 240);
}

TEST(DirtyBudget, ManyWritersNeverHoldMoreThanTheLimit) {
  DirtyBudget budget(1000);
  std::atomic<int64_t> held{0};
  std::atomic<int64_t> most{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          const int bytes = 1 + i % 400;
          ASSERT_TRUE(budget.Reserve(static_cast<uint64_t>(bytes)));
          const int64_t now = held += bytes;
          int64_t before = most;
          while (now > before && !most.compare_exchange_weak(before, now)) {
          }
          held -= bytes;
          budget.Release(static_cast<uint64_t>(bytes));
        }
      });
    }
  }
  EXPECT_LE(most, 1000);
  EXPECT_EQ(budget.used_bytes(), 0u);
}

// A full disk: files are settled again and again, and what is relieved takes memory
// before it finds out that there is no space.
TEST(DirtyBudget, AFullStoreIsToldWhileOthersTryInVain) {
  DirtyBudget budget(1000);
  budget.SetRelief([&budget] {
    EXPECT_TRUE(budget.Reserve(100, [] { return true; }));
    budget.Release(100);
    return false;
  });
  ASSERT_TRUE(budget.Reserve(1000));
  std::jthread settler([&budget](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      { const DirtyBudget::Settling settling(budget); }
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  Waiter one(budget, 100);
  Waiter two(budget, 100);
  EXPECT_FALSE(one.Wait());
  EXPECT_FALSE(two.Wait());
  settler.request_stop();
  settler.join();
  budget.SetRelief(nullptr);
}

// Somebody who always finds the little room he asks for.
std::jthread MakeBusyWriter(DirtyBudget& budget) {
  return std::jthread([&budget](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (budget.Reserve(100)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        budget.Release(100);
      }
    }
  });
}

TEST(DirtyBudget, WhoAsksForMoreIsNotOvertakenForEver) {
  DirtyBudget budget(1000);
  std::atomic<int> calls{0};
  budget.SetRelief([&] {
    if (calls++ == 0) budget.Release(500);
    return calls == 1;
  });
  ASSERT_TRUE(budget.Reserve(850));
  const auto begin = std::chrono::steady_clock::now();
  std::jthread busy = MakeBusyWriter(budget);
  EXPECT_TRUE(budget.Reserve(300));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  busy.request_stop();
  busy.join();
  EXPECT_GE(calls, 1);
}

TEST(DirtyBudget, WhoAsksForMoreIsToldOfAFullStore) {
  DirtyBudget budget(1000);
  budget.SetRelief([] { return false; });
  ASSERT_TRUE(budget.Reserve(850));
  std::jthread busy = MakeBusyWriter(budget);
  EXPECT_FALSE(budget.Reserve(300));
  busy.request_stop();
  busy.join();
  budget.SetRelief(nullptr);
}

// As when memory runs out between the two ends.
TEST(DirtyBudget, ProgressAndReservationEndWithTheirScope) {
  DirtyBudget budget(100);
  uint64_t reserved_bytes = 80;
  ASSERT_TRUE(budget.Reserve(reserved_bytes));
  try {
    const DirtyBudget::Rest rest(budget, reserved_bytes);
    const DirtyBudget::Progress progress(budget);
    EXPECT_TRUE(budget.AwaitProgress(std::chrono::milliseconds(0)));
    throw std::bad_alloc();
  } catch (const std::bad_alloc&) {
  }
  EXPECT_FALSE(budget.AwaitProgress(std::chrono::milliseconds(0)));
  EXPECT_EQ(budget.used_bytes(), 0u);
}

}  // namespace
}  // namespace gzipfs
