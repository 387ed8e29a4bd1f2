// The pool runs everything it is given, and results come out in order.
#include "codec/codec_pool.h"

#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <thread>

#include "codec/member.h"
#include "codec/ordered_results.h"
#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

// Deletes itself when it has run.
class CountJob final : public Job {
 public:
  explicit CountJob(std::atomic<int>* count) : count_(count) {}
  void Run() override {
    const std::unique_ptr<CountJob> self(this);
    count_->fetch_add(1, std::memory_order_relaxed);
  }

 private:
  std::atomic<int>* count_;
};

class EncodeJob final : public Job {
 public:
  EncodeJob(std::span<const std::byte> plain, OrderedResults<EncodedBlock>* results)
      : plain_(plain), results_(results), serial_(results->NextSerial()) {}
  void Run() override {
    const std::unique_ptr<EncodeJob> self(this);
    results_->Put(serial_, EncodeBlock(Profile::kBgzf, kLevelFast, plain_));
  }

 private:
  std::span<const std::byte> plain_;
  OrderedResults<EncodedBlock>* results_;
  uint64_t serial_;
};

// Blocks its worker until it is let go.
class GateJob final : public Job {
 public:
  void Run() override {
    entered.count_down();
    gate.wait();
    done.count_down();
  }
  std::latch entered{1};
  std::latch gate{1};
  std::latch done{1};
};

TEST(CodecPool, RunsJobsOfManyProducers) {
  constexpr int kProducers = 4, kJobs = 5000;
  std::atomic<int> count{0};
  {
    CodecPool pool(3);
    EXPECT_EQ(pool.worker_count(), 3u);
    std::vector<std::jthread> producers;
    for (int i = 0; i < kProducers; ++i) {
      producers.emplace_back([&] {
        for (int j = 0; j < kJobs; ++j) pool.Submit(new CountJob(&count));
      });
    }
  }
  EXPECT_EQ(count.load(), kProducers * kJobs);
}

TEST(CodecPool, DestructorRunsWhatIsQueued) {
  std::atomic<int> count{0};
  GateJob gate;
  {
    CodecPool pool(1);
    pool.Submit(&gate);
    gate.entered.wait();
    for (int i = 0; i < 10; ++i) pool.Submit(new CountJob(&count));
    EXPECT_EQ(count.load(), 0);
    gate.gate.count_down();
  }
  EXPECT_EQ(count.load(), 10);
}

TEST(CodecPool, SubmitterRunsTheJobWhenTheQueueIsFull) {
  std::atomic<int> count{0};
  GateJob gate;
  CodecPool pool(1);
  pool.Submit(&gate);
  gate.entered.wait();
  int submitted = 0;
  while (count.load() == 0) {  // the only worker is blocked
    pool.Submit(new CountJob(&count));
    ASSERT_LT(++submitted, 100000);
  }
  EXPECT_EQ(count.load(), 1);
  gate.gate.count_down();
}

TEST(CodecPool, WaitingThreadCanHelp) {
  std::atomic<int> count{0};
  GateJob gate;
  CodecPool pool(1);
  EXPECT_FALSE(pool.HelpOnce());
  pool.Submit(&gate);
  gate.entered.wait();
  pool.Submit(new CountJob(&count));
  EXPECT_TRUE(pool.HelpOnce());
  EXPECT_EQ(count.load(), 1);
  EXPECT_FALSE(pool.HelpOnce());
  gate.gate.count_down();
}

class BytesJob final : public Job {
 public:
  explicit BytesJob(uint64_t byte_count) : byte_count_(byte_count) {}
  void Run() override {
    CodecPool::CountBytes(byte_count_, 0);
    CodecPool::CountBytes(byte_count_, 1);
    delete this;
  }

 private:
  const uint64_t byte_count_;
};

TEST(CodecPool, WorkersCountTheBytesOfTheirOwnJobs) {
  constexpr uint64_t kJobs = 300;  // less than the queue takes: this thread runs none
  CodecPool pool(8);
  CodecPool::CountBytes(1'000'000, 1'000'000);  // nobody's
  for (uint64_t i = 1; i <= kJobs; ++i) pool.Submit(new BytesJob(i));
  CodecPool::Load all;
  while (all.job_count < kJobs) {
    std::this_thread::yield();
    all = {};
    for (const CodecPool::Load& load : pool.Loads()) {
      all.job_count += load.job_count;
      all.in_bytes += load.in_bytes;
      all.out_bytes += load.out_bytes;
    }
  }
  EXPECT_EQ(all.in_bytes, kJobs * (kJobs + 1));
  EXPECT_EQ(all.out_bytes, kJobs);
}

TEST(CodecPool, HasAtLeastOneWorker) {
  EXPECT_EQ(CodecPool(0).worker_count(), 1u);
  EXPECT_GE(UsableCores(), 1u);
}

TEST(CodecPool, EncodedBlocksComeOutInFileOrder) {
  const test::Buffer plain = test::TextLike(100 * kBgzfBlockBytes + 5);
  OrderedResults<EncodedBlock> results;
  test::Buffer file;
  {
    CodecPool pool(4);
    for (size_t offset = 0; offset < plain.size(); offset += kBgzfBlockBytes) {
      const size_t length = std::min<size_t>(kBgzfBlockBytes, plain.size() - offset);
      pool.Submit(new EncodeJob(std::span(plain).subspan(offset, length), &results));
    }
    while (results.pending() > 0) test::Append(&file, results.Take().bytes);
  }
  EXPECT_EQ(test::GunzipAll(file), plain);
}

}  // namespace
}  // namespace gzipfs
