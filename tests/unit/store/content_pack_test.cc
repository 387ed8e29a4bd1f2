// Whole blocks that the kernel's writeback cache brings: they are in memory as members
// only, and nobody can tell.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::kBlock;

// While it lives, about kLeftBytes of memory can be had by this thread. What malloc has
// reserved for threads counts as had: it is taken, but never touched.
class ScarceMemory {
 public:
  static constexpr size_t kLeftBytes = 2 * kMiB;

  ScarceMemory() {
    taken_.reserve(1 << 20);
    EXPECT_EQ(::getrlimit(RLIMIT_AS, &before_), 0);
    Limit(0);
    // Each refusal has asked another one of malloc's arenas.
    for (int refusals = 0; refusals < 1000 && taken_.size() < taken_.capacity();) {
      void* const taken = std::malloc(kTakenBytes);
      if (taken == nullptr) ++refusals;
      if (taken != nullptr) taken_.push_back(taken);
    }
    Limit(kLeftBytes);
  }
  ~ScarceMemory() {
    (void)::setrlimit(RLIMIT_AS, &before_);
    for (void* const taken : taken_) std::free(taken);
  }
  ScarceMemory(const ScarceMemory&) = delete;
  ScarceMemory& operator=(const ScarceMemory&) = delete;

 private:
  static constexpr size_t kTakenBytes = 16 * kKiB;

  // So many bytes more than now. Takes no memory.
  void Limit(uint64_t byte_count) {
    char text[128] = {};
    const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    EXPECT_GT(::read(fd, text, sizeof(text) - 1), 0);
    (void)::close(fd);
    const uint64_t pages = std::strtoull(text, nullptr, 10);
    rlimit limit = before_;
    limit.rlim_cur = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) + byte_count;
    EXPECT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
  }

  rlimit before_{};
  std::vector<void*> taken_;
};

class ContentPack : public test::StoreFixture {
 protected:
  explicit ContentPack(int level = kLevelFast)
      : StoreFixture({.level = level, .dirty_bytes = 32 * kBlock}) {}

  void SetUp() override {
    StoreFixture::SetUp();
    Open(/*is_new=*/true);
    plain_ = test::TextLike(kBlocks * kBlock);
  }
  // As the kernel does.
  void Bring(uint64_t plain_offset, uint64_t byte_count) {
    const auto bytes = std::span<const std::byte>(plain_).subspan(plain_offset, byte_count);
    const auto done = content_->Write(plain_offset, bytes, WriteSource::kKernel);
    ASSERT_TRUE(done) << done.error().message();
  }
  void Zero(uint64_t begin, uint64_t end) {
    ASSERT_TRUE(content_->Zero(begin, end, /*may_grow=*/false));
    std::fill(plain_.begin() + static_cast<ptrdiff_t>(begin),
              plain_.begin() + static_cast<ptrdiff_t>(end), std::byte{0});
  }
  void SettleAndCompare() { SettleAndExpect(plain_); }

  // Behind a hole of two blocks, of which nothing is there.
  void LetBlocksWait() {
    Bring(0, 10 * kBlock);
    Flush();
    Bring(12 * kBlock, 8 * kBlock);
    std::fill(plain_.begin() + 10 * kBlock, plain_.begin() + 12 * kBlock, std::byte{0});
  }

  static constexpr uint64_t kBlocks = 20;
  Buffer plain_;
};

TEST_F(ContentPack, FrontToBackGoesToTheBaseAtOnce) {
  Bring(0, 8 * kBlock);
  ExpectNothingDirty();  // without a flush, and without a worker
  Bring(8 * kBlock, 12 * kBlock);
  EXPECT_TRUE(ReadAll() == plain_);
  Flush();
  EXPECT_EQ(Members().size(), kBlocks);
  SettleAndCompare();
}

TEST_F(ContentPack, RequestsNeedNotBeginAtABlock) {
  constexpr uint64_t kRequest = 5 * kBlock / 2 + 4096;
  for (uint64_t at = 0; at < plain_.size(); at += kRequest) {
    Bring(at, std::min(kRequest, plain_.size() - at));
  }
  Flush();
  EXPECT_EQ(Members().size(), kBlocks);
  SettleAndCompare();
}

TEST_F(ContentPack, BlocksThatWaitTakeTheRoomOfTheirMembers) {
  Bring(10 * kBlock, 10 * kBlock);
  EXPECT_LT(store_->budget().used_bytes(), 8 * kBlock);
  EXPECT_GT(store_->budget().used_bytes(), 0u);
  std::fill(plain_.begin(), plain_.begin() + 10 * kBlock, std::byte{0});
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
}

TEST_F(ContentPack, NoiseIsStoredAndCountsAsABlock) {
  plain_ = test::Noise(plain_.size(), 7);
  Bring(10 * kBlock, 10 * kBlock);
  EXPECT_EQ(store_->budget().used_bytes(), 10 * kBlock);
  Bring(0, 10 * kBlock);
  SettleAndCompare();
}

TEST_F(ContentPack, OverwritesLieOnTop) {
  Bring(10 * kBlock, 10 * kBlock);
  const Buffer piece = test::Noise(3000, 1);
  for (const uint64_t at : {10 * kBlock + 5, 12 * kBlock - 1500, 20 * kBlock - 3000}) {
    Write(at, piece);
    test::Overwrite(&plain_, at, piece);
  }
  Bring(0, 10 * kBlock);
  SettleAndCompare();
}

TEST_F(ContentPack, CutInsideABlockThatWaits) {
  Bring(10 * kBlock, 10 * kBlock);
  Bring(0, 10 * kBlock - 4096);
  const uint64_t cut = 13 * kBlock + 777;
  Truncate(cut);
  Truncate(16 * kBlock);
  std::fill(plain_.begin() + 10 * kBlock - 4096, plain_.begin() + 10 * kBlock, std::byte{0});
  plain_.resize(16 * kBlock);
  std::fill(plain_.begin() + static_cast<ptrdiff_t>(cut), plain_.end(), std::byte{0});
  SettleAndCompare();
}

// A part of the block comes to the base first, so that its members do not fit there.
TEST_F(ContentPack, BlockThatWaitedForAnOtherEnd) {
  Bring(0, kBlock + 1000);
  Flush();  // a short member: the base ends inside the second block
  Bring(2 * kBlock, 18 * kBlock);
  Bring(kBlock + 1000, kBlock - 1000);
  SettleAndCompare();
}

TEST_F(ContentPack, SpilledWhenMemoryIsShort) {
  plain_ = test::Noise(100 * kBlock, 3);
  for (uint64_t at = 10 * kBlock; at < 100 * kBlock; at += 10 * kBlock) Bring(at, 10 * kBlock);
  EXPECT_LE(store_->budget().used_bytes(), 32 * kBlock);
  Bring(0, 10 * kBlock);
  SettleAndCompare();
}

// The file becomes logged while packed blocks wait: an fsync takes them to the log, and
// who opens the file after a crash finds them there.
TEST_F(ContentPack, BlocksThatWaitAreInTheLogAfterSync) {
  LetBlocksWait();
  const Buffer piece = test::Noise(3000, 1);
  Write(5000, piece);
  test::Overwrite(&plain_, 5000, piece);
  const auto synced = content_->Sync();
  ASSERT_TRUE(synced) << synced.error().message();
  Open();  // the old one is given up unsettled, as by a crash
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
}

// Zeros hide what waits: in memory, and in the log, where what is zeroed comes first.
TEST_F(ContentPack, BlocksThatWaitAreZeroed) {
  LetBlocksWait();
  const uint64_t used_before = store_->budget().used_bytes();
  Zero(13 * kBlock, 15 * kBlock);
  EXPECT_LT(store_->budget().used_bytes(), used_before);
  Zero(16 * kBlock + 5, 17 * kBlock + 9);
  EXPECT_TRUE(ReadAll() == plain_);
  Zero(9 * kBlock + 100, 11 * kBlock);  // from here on logged
  ASSERT_TRUE(content_->Sync());
  Zero(18 * kBlock, 19 * kBlock);
  ASSERT_TRUE(content_->Sync());
  Open();  // the old one is given up unsettled, as by a crash
  SettleAndCompare();
}

TEST_F(ContentPack, BlocksThatWaitFollowOnesThatWereZeroed) {
  Bring(0, 10 * kBlock);
  Zero(2 * kBlock, 9 * kBlock);
  Settle();
  Bring(10 * kBlock, 10 * kBlock);
  Zero(8 * kBlock, 9 * kBlock);
  const Buffer text = test::TextLike(2 * kBlock, 9);
  std::copy(text.begin(), text.end(), plain_.begin() + 8 * kBlock);
  Bring(8 * kBlock, 4 * kBlock);
  ASSERT_TRUE(content_->Sync());
  Open();
  SettleAndCompare();
}

// Members that are copied here follow those that wait, or do not come at all.
TEST_F(ContentPack, MembersAreCopiedBehindBlocksThatWait) {
  Bring(0, 8 * kBlock);
  Bring(10 * kBlock, 10 * kBlock);
  std::fill(plain_.begin() + 8 * kBlock, plain_.begin() + 10 * kBlock, std::byte{0});
  const auto waiting = content_->CopyMembers(*content_, 12 * kBlock, 20 * kBlock, 2 * kBlock);
  ASSERT_TRUE(waiting);
  EXPECT_EQ(*waiting, 0u);  // they are in no base yet
  const auto copied = content_->CopyMembers(*content_, 2 * kBlock, 20 * kBlock, 3 * kBlock);
  ASSERT_TRUE(copied);
  EXPECT_EQ(*copied, 3 * kBlock);
  ExpectNothingDirty();
  const Buffer members(plain_.begin() + 2 * kBlock, plain_.begin() + 5 * kBlock);
  plain_.insert(plain_.end(), members.begin(), members.end());
  SettleAndCompare();
}

TEST_F(ContentPack, WhatCannotBeAppendedIsAppendedLater) {
  std::atomic<bool> is_full{true};
  ops_.before = [&is_full](Call call) { return call == Call::kWrite && is_full ? ENOSPC : 0; };
  Bring(0, 10 * kBlock);
  EXPECT_FALSE(content_->Flush());
  EXPECT_GT(store_->budget().used_bytes(), 0u);
  is_full = false;
  Flush();
  ExpectNothingDirty();
  Bring(10 * kBlock, 10 * kBlock);
  SettleAndCompare();
}

TEST_F(ContentPack, ManyThreadsBringOneFile) {
  std::vector<std::jthread> threads;
  for (uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      for (uint64_t index = i; index < kBlocks / 2; index += 4) {
        Bring(index * 2 * kBlock, 2 * kBlock);
      }
    });
  }
  threads.clear();
  Flush();
  EXPECT_EQ(Members().size(), kBlocks);
  SettleAndCompare();
}

class ContentPackDensely : public ContentPack {
 protected:
  ContentPackDensely() : ContentPack(6) {}

  // A job that ends when it may.
  class Gate final : public Job {
   public:
    void Run() override {
      ++arrived;
      may_end.wait(false);
      ++left;
    }
    static inline std::atomic<unsigned> arrived, left;
    static inline std::atomic<bool> may_end;
  };
};

TEST_F(ContentPackDensely, WorkersDoItWhileTheyCanTakeItUp) {
  Bring(0, kBlock);
  Settle();
  uint64_t job_count = 0;
  for (int tries = 0; job_count == 0 && tries < 1000; ++tries) {  // counted once it has ended
    for (const CodecPool::Load& load : store_->pool().Loads()) job_count += load.job_count;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(job_count, 1u);
}

TEST_F(ContentPackDensely, BehindABacklogItIsDoneAtOnce) {
  CodecPool& pool = store_->pool();
  const unsigned gate_count = pool.worker_count() + 1;
  std::vector<Gate> gates(gate_count);
  Gate::arrived = Gate::left = 0;
  Gate::may_end = false;
  for (Gate& gate : gates) pool.Submit(&gate);
  while (Gate::arrived < pool.worker_count()) std::this_thread::yield();
  Bring(0, 8 * kBlock);
  ExpectNothingDirty();  // no worker had a hand in it
  Gate::may_end = true;
  Gate::may_end.notify_all();
  while (Gate::left < gate_count) std::this_thread::yield();
  Bring(8 * kBlock, 12 * kBlock);
  SettleAndCompare();
}

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
// Other writers would wait for its room, and for it to be done.
TEST_F(ContentPack, ARequestThatMemoryRunsOutForHoldsNothing) {
  plain_ = test::Noise(8 * ScarceMemory::kLeftBytes);
  bool has_run_out = false;
  {
    const ScarceMemory scarce;
    try {
      (void)content_->Write(0, plain_, WriteSource::kKernel);
    } catch (const std::bad_alloc&) {
      has_run_out = true;
    }
  }
  EXPECT_TRUE(has_run_out);
  EXPECT_EQ(store_->budget().used_bytes(), 0u);
  EXPECT_FALSE(store_->budget().AwaitProgress(std::chrono::milliseconds(0)));
  plain_.resize(kBlocks * kBlock);
  Bring(0, plain_.size());
  SettleAndCompare();
}
#endif

}  // namespace
}  // namespace gzipfs
