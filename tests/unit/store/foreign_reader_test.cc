// Many readers of one foreign member, front to back and anywhere, with what is
// known of it and with what is wrong.
#include "fs/store/foreign_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/unit/codec/test_data.h"

namespace gzipfs::test {
namespace {

class ForeignReaderTest : public ::testing::Test {
 protected:
  ForeignReaderTest() : plain_(TextLike(12 * kMiB, 3)), file_(MakeForeign(plain_)), source_(file_) {
    MemberScanner scanner(source_);
    scanner.RecordRestarts();
    member_ = **scanner.Next();
    restarts_ = scanner.TakeRestarts();
  }

  bool ReadsRight(ForeignReader& reader, uint64_t at, size_t byte_count) {
    Buffer got(std::min<uint64_t>(byte_count, plain_.size() - at));
    return reader.Read(member_, restarts_, 1, at, got) &&
           std::equal(got.begin(), got.end(), plain_.begin() + static_cast<long>(at));
  }
  // Two threads front to back, one after the other's heels, and two anywhere.
  int WrongReads(ForeignReader& reader) {
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (uint32_t number = 0; number < 4; ++number) {
      threads.emplace_back([&, number] {
        std::mt19937 random(number);
        for (uint64_t i = 0; i < 90; ++i) {
          const uint64_t at = number < 2 ? i * 130'000 : random() % (plain_.size() - 1);
          if (!ReadsRight(reader, at, 130'000)) ++wrong;
        }
      });
    }
    threads.clear();
    return wrong;
  }

  const Buffer plain_;
  const Buffer file_;
  const SpanSource source_;
  MemberInfo member_;
  RestartsRef restarts_;
  CodecPool pool_{2};
  std::atomic<int> doubts_{0};
};

TEST_F(ForeignReaderTest, GivesEverybodyTheRightBytes) {
  for (uint64_t cache_bytes : {64 * kMiB, 16 * kMiB, 64 * kKiB}) {
    BlockCache cache(cache_bytes);
    ForeignReader reader(source_, cache, pool_, [this] { ++doubts_; });
    EXPECT_EQ(WrongReads(reader), 0) << cache_bytes;
  }
  EXPECT_EQ(doubts_, 0);
}

TEST_F(ForeignReaderTest, EndsWhileItDecodesAhead) {
  for (int round = 0; round < 5; ++round) {
    BlockCache cache(64 * kMiB);
    ForeignReader reader(source_, cache, pool_, nullptr);
    for (uint64_t at = 0; at < kMiB; at += 128 * kKiB) ASSERT_TRUE(ReadsRight(reader, at, 1000));
  }
}

TEST_F(ForeignReaderTest, FindsOutOnceThatThePointsAreWrong) {
  MemberRestarts lying = *restarts_;
  ASSERT_FALSE(lying.points.empty());
  for (RestartPoint& point : lying.points) ++point.place.bit;
  restarts_ = std::make_shared<const MemberRestarts>(lying);
  BlockCache cache(64 * kMiB);
  ForeignReader reader(source_, cache, pool_, [this] { ++doubts_; });
  EXPECT_EQ(WrongReads(reader), 0);
  EXPECT_EQ(doubts_, 1);
}

// With the right points: the file has changed since they were made.
TEST_F(ForeignReaderTest, GivesNoByteThatIsNotWhatItWas) {
  Buffer changed = file_;
  for (size_t i = changed.size() / 2; i < changed.size() / 2 + 3000; ++i) {
    changed[i] = static_cast<std::byte>(i * 37);
  }
  const SpanSource source(changed);
  BlockCache cache(64 * kMiB);
  ForeignReader reader(source, cache, pool_, [this] { ++doubts_; });
  int failed = 0;
  for (uint64_t at = 0; at < plain_.size(); at += 100'000) {
    Buffer got(std::min<uint64_t>(100'000, plain_.size() - at));
    if (!reader.Read(member_, restarts_, 1, at, got)) {
      ++failed;
    } else {
      ASSERT_TRUE(std::equal(got.begin(), got.end(), plain_.begin() + static_cast<long>(at))) << at;
    }
  }
  EXPECT_GT(failed, 0);
  EXPECT_EQ(doubts_, 1);
}

}  // namespace
}  // namespace gzipfs::test
