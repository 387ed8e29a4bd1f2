// Results are taken in the order of their serial numbers, whoever came first.
#include "codec/ordered_results.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace gzipfs {
namespace {

TEST(OrderedResults, HoldsBackWhatCameEarly) {
  OrderedResults<std::unique_ptr<int>> results;
  const uint64_t first = results.NextSerial(), second = results.NextSerial();
  EXPECT_EQ(results.pending(), 2u);
  results.Put(second, std::make_unique<int>(2));
  EXPECT_FALSE(results.TryTake());
  results.Put(first, std::make_unique<int>(1));
  EXPECT_EQ(**results.TryTake(), 1);
  EXPECT_EQ(*results.Take(), 2);
  EXPECT_FALSE(results.TryTake());
  EXPECT_EQ(results.pending(), 0u);
}

TEST(OrderedResults, SerialsGoOnAfterResultsWereTaken) {
  OrderedResults<int> results;
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(results.NextSerial(), i);
    results.Put(i, static_cast<int>(i));
    EXPECT_EQ(results.Take(), static_cast<int>(i));
  }
}

TEST(OrderedResults, TakerWaitsForResultsOfOtherThreads) {
  constexpr int kResults = 2000;
  OrderedResults<int> results;
  std::vector<uint64_t> serials(kResults);
  for (uint64_t& serial : serials) serial = results.NextSerial();
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::shuffle(serials.begin(), serials.end(), std::mt19937(seed));
  std::vector<std::jthread> workers;
  for (size_t worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      for (size_t i = worker; i < serials.size(); i += 4)
        results.Put(serials[i], static_cast<int>(serials[i]));
    });
  }
  for (int i = 0; i < kResults; ++i) ASSERT_EQ(results.Take(), i);
}

// Two takers wait; the results arrive in reverse, so that one Put makes both
// of them ready at once.
TEST(OrderedResults, NoTakerIsLeftWaiting) {
  for (int round = 0; round < 200; ++round) {
    OrderedResults<int> results;
    results.NextSerial();
    results.NextSerial();
    std::atomic<int> sum{0};
    std::vector<std::jthread> takers;
    for (int i = 0; i < 2; ++i) takers.emplace_back([&] { sum += results.Take(); });
    results.Put(1, 20);
    results.Put(0, 1);
    takers.clear();
    EXPECT_EQ(sum.load(), 21);
  }
}

}  // namespace
}  // namespace gzipfs
