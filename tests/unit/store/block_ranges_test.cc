// BlockRanges against a set of block numbers.
#include "fs/store/block_ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace gzipfs {
namespace {

TEST(BlockRanges, RangesThatTouchBecomeOne) {
  BlockRanges ranges;
  ranges.Add(5, 7);
  ranges.Add(9, 10);
  EXPECT_EQ(ranges.count(), 2u);
  ranges.Add(7, 9);
  EXPECT_EQ(ranges.count(), 1u);
  EXPECT_EQ(ranges.FindFrom(0), (BlockRanges::Range{5, 10}));
  EXPECT_EQ(ranges.FindFrom(9), (BlockRanges::Range{5, 10}));
  EXPECT_FALSE(ranges.FindFrom(10));
  ranges.Add(3, 3);
  EXPECT_FALSE(ranges.Contains(3));
}

TEST(BlockRanges, AnyAdditionsAndCutsAreThoseOfASet) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    BlockRanges ranges;
    std::set<uint64_t> blocks;
    for (int step = 0; step < 30; ++step) {
      const uint64_t begin = random() % 60;
      const uint64_t end = begin + random() % 9;
      if (step % 7 == 6) {
        ranges.CutAt(begin);
        blocks.erase(blocks.lower_bound(begin), blocks.end());
      } else {
        ranges.Add(begin, end);
        for (uint64_t block = begin; block < end; ++block) blocks.insert(block);
      }
      for (uint64_t block = 0; block < 70; ++block) {
        ASSERT_EQ(ranges.Contains(block), blocks.contains(block)) << block;
        const auto next = blocks.lower_bound(block);
        const auto found = ranges.FindFrom(block);
        ASSERT_EQ(found.has_value(), next != blocks.end());
        if (found) {
          ASSERT_EQ(std::max(found->begin, block), *next);
        }
      }
    }
    size_t covered = 0;
    ranges.ForEach([&](const BlockRanges::Range& range) { covered += range.end - range.begin; });
    EXPECT_EQ(covered, blocks.size());
  }
}

}  // namespace
}  // namespace gzipfs
