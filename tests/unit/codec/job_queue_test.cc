// Every job pushed is handed out once, however many push and pop.
#include "codec/job_queue.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>
#include <vector>

namespace gzipfs {
namespace {

class CountedJob final : public Job {
 public:
  void Run() override { runs.fetch_add(1, std::memory_order_relaxed); }
  std::atomic<int> runs{0};
};

TEST(JobQueue, HandsJobsOutInOrder) {
  JobQueue queue(8);
  CountedJob first, second;
  EXPECT_EQ(queue.TryPop(), nullptr);
  EXPECT_TRUE(queue.TryPush(&first));
  EXPECT_TRUE(queue.TryPush(&second));
  EXPECT_EQ(queue.TryPop(), &first);
  EXPECT_EQ(queue.Pop(), &second);
  EXPECT_EQ(queue.TryPop(), nullptr);
}

TEST(JobQueue, RefusesWhatDoesNotFit) {
  constexpr size_t kCapacity = 16;
  JobQueue queue(kCapacity);
  CountedJob job;
  size_t pushed = 0;
  while (pushed <= 2 * kCapacity && queue.TryPush(&job)) ++pushed;
  EXPECT_GE(pushed, kCapacity);
  EXPECT_LE(pushed, kCapacity + 1);
  EXPECT_NE(queue.TryPop(), nullptr);
  EXPECT_TRUE(queue.TryPush(&job));
}

TEST(JobQueue, ClosedQueueIsDrainedAndThenEnds) {
  JobQueue queue(8);
  CountedJob job;
  EXPECT_TRUE(queue.TryPush(&job));
  queue.Close();
  EXPECT_FALSE(queue.TryPush(&job));
  EXPECT_EQ(queue.Pop(), &job);
  EXPECT_EQ(queue.Pop(), nullptr);
}

TEST(JobQueue, CloseWakesEverySleeper) {
  JobQueue queue(8);
  std::vector<std::jthread> sleepers;
  for (int i = 0; i < 4; ++i)
    sleepers.emplace_back([&] { EXPECT_EQ(queue.Pop(), nullptr); });
  queue.Close();
}

// One job at a time, so that the consumer sleeps (or is about to) at nearly
// every push: a lost wake-up hangs the test.
TEST(JobQueue, NoWakeUpIsLost) {
  JobQueue to(4), back(4);
  CountedJob job;
  constexpr int kRounds = 20000;
  std::jthread echo([&] {
    while (Job* got = to.Pop()) EXPECT_TRUE(back.TryPush(got));
  });
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_TRUE(to.TryPush(&job));
    ASSERT_EQ(back.Pop(), &job);
  }
  to.Close();
}

TEST(JobQueue, ManyProducersAndConsumersRunEachJobOnce) {
  constexpr int kThreads = 4;
  constexpr int kJobsPerThread = 5000;
  JobQueue queue(32);
  std::vector<CountedJob> jobs(kThreads * kJobsPerThread);
  std::vector<std::jthread> consumers, producers;
  std::atomic<int> handed_out{0};
  for (int i = 0; i < kThreads; ++i) {
    consumers.emplace_back([&] {
      while (Job* job = queue.Pop()) {
        job->Run();
        handed_out.fetch_add(1);
      }
    });
  }
  for (int i = 0; i < kThreads; ++i) {
    producers.emplace_back([&, i] {
      for (int j = 0; j < kJobsPerThread; ++j) {
        Job* const job = &jobs[static_cast<size_t>(i * kJobsPerThread + j)];
        while (!queue.TryPush(job)) std::this_thread::yield();
      }
    });
  }
  producers.clear();  // joins
  queue.Close();
  consumers.clear();
  EXPECT_EQ(handed_out.load(), kThreads * kJobsPerThread);
  for (const CountedJob& job : jobs) ASSERT_EQ(job.runs.load(), 1);
}

}  // namespace
}  // namespace gzipfs
