// Ranges of a block: joining, cutting, asking; against a bitmap.
#include "fs/store/extent_set.h"

#include <gtest/gtest.h>

#include <random>

namespace gzipfs {
namespace {

using Extents = std::vector<Extent>;

TEST(ExtentSet, EmptySetCoversNothingButNothing) {
  const ExtentSet set;
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.Covers(0, 1));
  ASSERT_EQ(set.Pieces(3, 9).size(), 1u);
  EXPECT_FALSE(set.Pieces(3, 9)[0].is_covered);
  EXPECT_TRUE(set.Pieces(3, 3).empty());
}

TEST(ExtentSet, TouchingRangesBecomeOne) {
  ExtentSet set;
  set.Add(10, 20);
  set.Add(20, 30);
  set.Add(5, 10);
  EXPECT_EQ(set.extents(), (Extents{{5, 30}}));
  EXPECT_EQ(set.first_byte(), 5u);
  EXPECT_EQ(set.end_byte(), 30u);
}

TEST(ExtentSet, RangesApartStayApartUntilTheGapIsFilled) {
  ExtentSet set;
  set.Add(30, 40);
  set.Add(10, 20);
  EXPECT_EQ(set.extents(), (Extents{{10, 20}, {30, 40}}));
  EXPECT_FALSE(set.Covers(10, 40));
  set.Add(15, 35);
  EXPECT_EQ(set.extents(), (Extents{{10, 40}}));
  EXPECT_TRUE(set.Covers(10, 40));
  EXPECT_TRUE(set.Covers(12, 13));
  EXPECT_FALSE(set.Covers(9, 12));
  EXPECT_FALSE(set.Covers(39, 41));
}

TEST(ExtentSet, EmptyRangeAddsNothing) {
  ExtentSet set;
  set.Add(7, 7);
  EXPECT_TRUE(set.empty());
}

TEST(ExtentSet, CutForgetsWhatIsBehind) {
  ExtentSet set;
  set.Add(0, 10);
  set.Add(20, 30);
  set.CutAt(25);
  EXPECT_EQ(set.extents(), (Extents{{0, 10}, {20, 25}}));
  set.CutAt(20);
  EXPECT_EQ(set.extents(), (Extents{{0, 10}}));
  set.CutAt(15);
  EXPECT_EQ(set.extents(), (Extents{{0, 10}}));
  set.CutAt(0);
  EXPECT_TRUE(set.empty());
}

TEST(ExtentSet, AnswersLikeABitmap) {
  constexpr uint32_t kBytes = 64;
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    ExtentSet set;
    std::vector<bool> map(kBytes, false);
    for (int step = 0; step < 30; ++step) {
      const uint32_t begin = random() % kBytes;
      const uint32_t end = begin + random() % (kBytes - begin + 1);
      if (random() % 4) {
        set.Add(begin, end);
        std::fill(map.begin() + begin, map.begin() + end, true);
      } else {
        set.CutAt(begin);
        std::fill(map.begin() + begin, map.end(), false);
      }
      const uint32_t from = random() % kBytes;
      const uint32_t to = from + random() % (kBytes - from + 1);
      uint32_t at = from;
      bool covers = true;
      for (const auto& piece : set.Pieces(from, to)) {
        ASSERT_EQ(piece.begin, at);
        ASSERT_LT(piece.begin, piece.end);
        for (; at < piece.end; ++at) ASSERT_EQ(map[at], piece.is_covered) << at;
        covers = covers && piece.is_covered;
      }
      ASSERT_EQ(at, to);
      ASSERT_TRUE(from == to || set.Covers(from, to) == covers);
      for (size_t i = 1; i < set.extents().size(); ++i) {
        ASSERT_LT(set.extents()[i - 1].end, set.extents()[i].begin);
      }
    }
  }
}

}  // namespace
}  // namespace gzipfs
