// Ranges cut into blocks: nothing lost, nothing twice.
#include "codec/block_math.h"

#include <gtest/gtest.h>

#include <vector>

#include "codec/gzip_format.h"

namespace gzipfs {
namespace {

constexpr uint64_t kBlock = 65536;

std::vector<BlockPiece> Cut(uint64_t offset, uint64_t length, uint64_t block_bytes = kBlock) {
  std::vector<BlockPiece> pieces;
  for (const BlockPiece piece : BlockPieces(offset, length, block_bytes)) pieces.push_back(piece);
  return pieces;
}

TEST(BlockPieces, EmptyRangeHasNone) {
  EXPECT_TRUE(Cut(0, 0).empty());
  EXPECT_TRUE(Cut(123, 0).empty());
  EXPECT_TRUE(Cut(kBlock, 0).empty());
}

TEST(BlockPieces, KnownRanges) {
  using Pieces = std::vector<BlockPiece>;
  EXPECT_EQ(Cut(0, 1), (Pieces{{0, 0, 1, true}}));
  EXPECT_EQ(Cut(0, kBlock), (Pieces{{0, 0, kBlock, false}}));
  EXPECT_EQ(Cut(kBlock - 1, 2), (Pieces{{0, kBlock - 1, 1, true}, {1, 0, 1, true}}));
  EXPECT_EQ(Cut(100, 3 * kBlock), (Pieces{{0, 100, kBlock - 100, true},
                                          {1, 0, kBlock, false},
                                          {2, 0, kBlock, false},
                                          {3, 0, 100, true}}));
}

TEST(BlockPieces, WorkAtTheLargestFile) {
  const auto pieces = Cut(kMaxPlainBytes - 1, 1, kMaxLargeBlockBytes);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].block_index, kMaxPlainBytes / kMaxLargeBlockBytes);
  EXPECT_EQ(pieces[0].skip, kMaxLargeBlockBytes - 2);
}

TEST(BlockPieces, CoverEveryRangeOnce) {
  constexpr uint64_t kSmall = 4;
  for (uint64_t offset = 0; offset < 12; ++offset) {
    for (uint64_t length = 0; length < 20; ++length) {
      uint64_t position = offset;
      for (const BlockPiece piece : BlockPieces(offset, length, kSmall)) {
        EXPECT_EQ(BlockStart(piece.block_index, kSmall) + piece.skip, position);
        EXPECT_GT(piece.length, 0u);
        EXPECT_LE(piece.skip + piece.length, kSmall);
        EXPECT_EQ(piece.is_partial, piece.length != kSmall);
        position += piece.length;
      }
      EXPECT_EQ(position, offset + length);
    }
  }
}

TEST(BlockMath, CountsAndSizesOfBlocks) {
  EXPECT_EQ(BlockCount(0, kBlock), 0u);
  EXPECT_EQ(BlockCount(1, kBlock), 1u);
  EXPECT_EQ(BlockCount(kBlock, kBlock), 1u);
  EXPECT_EQ(BlockCount(kBlock + 1, kBlock), 2u);
  EXPECT_EQ(BlockIndexAt(kBlock, kBlock), 1u);
  EXPECT_EQ(BlockPlainBytes(0, kBlock + 7, kBlock), kBlock);
  EXPECT_EQ(BlockPlainBytes(1, kBlock + 7, kBlock), 7u);
  EXPECT_EQ(BlockPlainBytes(2, kBlock + 7, kBlock), 0u);
}

}  // namespace
}  // namespace gzipfs
