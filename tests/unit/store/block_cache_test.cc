// The block cache: what it keeps, what it lets go, and its bound.
#include "fs/store/block_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "codec/base/units.h"

namespace gzipfs {
namespace {

CachedBlock Block(size_t byte_count, int value = 0) {
  return std::make_shared<std::vector<std::byte>>(byte_count, static_cast<std::byte>(value));
}

// What the cache alone holds of all that was put, in bytes.
uint64_t HeldBytes(const std::vector<std::weak_ptr<const std::vector<std::byte>>>& blocks) {
  uint64_t bytes = 0;
  for (const auto& block : blocks) {
    if (const CachedBlock held = block.lock()) bytes += held->size();
  }
  return bytes;
}

TEST(BlockCache, GivesBackWhatWasPut) {
  BlockCache cache(kMiB);
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  const CachedBlock block = Block(100, 7);
  cache.Put(1, 0, block);
  EXPECT_EQ(cache.Get(1, 0), block);
}

TEST(BlockCache, BasesAndOffsetsDoNotMix) {
  BlockCache cache(kMiB);
  cache.Put(1, 5, Block(10, 1));
  cache.Put(2, 5, Block(10, 2));
  cache.Put(1, 6, Block(10, 3));
  EXPECT_EQ((*cache.Get(1, 5))[0], std::byte{1});
  EXPECT_EQ((*cache.Get(2, 5))[0], std::byte{2});
  EXPECT_EQ((*cache.Get(1, 6))[0], std::byte{3});
  EXPECT_EQ(cache.Get(2, 6), nullptr);
}

TEST(BlockCache, NumbersOfBasesAreNeverGivenTwice) {
  BlockCache cache(kMiB);
  const uint64_t first = cache.NewBaseId();
  EXPECT_NE(cache.NewBaseId(), first);
}

TEST(BlockCache, FirstBlockUnderAKeyStays) {
  BlockCache cache(kMiB);
  const CachedBlock first = Block(100, 1);
  cache.Put(1, 0, first);
  cache.Put(1, 0, Block(100, 2));
  EXPECT_EQ(cache.Get(1, 0), first);
}

TEST(BlockCache, NeverHoldsMoreThanItsLimit) {
  constexpr uint64_t kLimit = 4 * kMiB;
  constexpr uint64_t kBlock = 64 * kKiB;
  BlockCache cache(kLimit);
  std::vector<std::weak_ptr<const std::vector<std::byte>>> blocks;
  for (uint64_t i = 0; i < 2000; ++i) {
    CachedBlock block = Block(kBlock);
    blocks.push_back(block);
    cache.Put(1, i * 20'000, std::move(block));
    if (i % 100 != 0) continue;
    ASSERT_LE(HeldBytes(blocks), kLimit);
  }
  EXPECT_LE(HeldBytes(blocks), kLimit);
  EXPECT_GE(HeldBytes(blocks), kLimit / 2);  // and makes use of it
}

TEST(BlockCache, LetsGoOfWhatWasNotUsedForLongest) {
  BlockCache cache(16 * 10 * kKiB);  // 10 KiB a shard
  for (uint64_t i = 0; i < 1000; ++i) {
    cache.Put(1, 0, Block(kKiB));
    cache.Put(1, 1000 + i * 16, Block(kKiB));
    ASSERT_NE(cache.Get(1, 0), nullptr) << i;
  }
  EXPECT_EQ(cache.Get(1, 1000), nullptr);
}

TEST(BlockCache, EvictedBlockLivesOnForItsReader) {
  BlockCache cache(16 * kKiB);
  const CachedBlock block = Block(kKiB, 9);
  cache.Put(1, 0, block);
  for (uint64_t i = 1; i < 1000; ++i) cache.Put(1, i, Block(kKiB));
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  EXPECT_EQ((*block)[kKiB - 1], std::byte{9});
}

// Blocks used now and then survive blocks that are used once, however many, and often
// within a short time.
TEST(BlockCache, ScanLeavesWhatIsUsedAgain) {
  constexpr uint64_t kShards = 16;
  BlockCache cache(kShards * 32 * kKiB);
  const auto use = [&cache](uint64_t offset) {
    if (cache.Get(1, offset)) return true;
    cache.Put(1, offset, Block(kKiB));
    return false;
  };
  uint64_t scanned = 1000;
  const auto scan = [&](uint64_t count) {
    for (uint64_t i = 0; i < count; ++i, ++scanned) {
      for (int part = 0; part < 16; ++part) use(scanned);
    }
  };
  for (int round = 0; round < 3; ++round) {
    for (uint64_t offset = 0; offset < 100; ++offset) use(offset);
    scan(10 * kShards);
  }
  scan(10000);
  uint64_t kept = 0;
  for (uint64_t offset = 0; offset < 100; ++offset) kept += use(offset) ? 1 : 0;
  EXPECT_EQ(kept, 100u);
  EXPECT_EQ(cache.Get(1, 1000), nullptr);
}

// What was used often, and is not any more, makes room.
TEST(BlockCache, WhatIsKeptGoesInTheEnd) {
  BlockCache cache(16 * 32 * kKiB);
  for (uint64_t set = 0; set < 10; ++set) {
    for (int round = 0; round < 4; ++round) {
      for (uint64_t i = 0; i < 300; ++i) {
        const uint64_t offset = set * 1000 + i;
        if (!cache.Get(1, offset)) cache.Put(1, offset, Block(kKiB));
      }
    }
  }
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  uint64_t found = 0;
  for (uint64_t i = 0; i < 300; ++i) found += cache.Get(1, 9000 + i) ? 1 : 0;
  EXPECT_GT(found, 200u);
}

TEST(BlockCache, BlockThatManyWantIsMadeOnce) {
  BlockCache cache(kMiB);
  std::atomic<int> made_count{0};
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (uint64_t offset = 0; offset < 200; ++offset) {
        std::unique_ptr<BlockCache::Claim> claim;
        if (!cache.GetOrClaim(1, offset, claim)) {
          ASSERT_NE(claim, nullptr);
          ++made_count;
          cache.Put(1, offset, Block(100));
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(made_count, 200);
}

// Who cannot make it leaves it to the next one.
TEST(BlockCache, ClaimThatComesToNothingIsAnothers) {
  BlockCache cache(kMiB);
  std::unique_ptr<BlockCache::Claim> claim;
  ASSERT_EQ(cache.GetOrClaim(1, 0, claim), nullptr);
  std::jthread other([&cache] {
    std::unique_ptr<BlockCache::Claim> next;
    EXPECT_EQ(cache.GetOrClaim(1, 0, next), nullptr);
    EXPECT_NE(next, nullptr);
  });
  claim.reset();
}

TEST(BlockCache, ThreadsMayShareIt) {
  BlockCache cache(256 * kKiB);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&cache] {
      for (uint64_t i = 0; i < 3000; ++i) {
        const uint64_t offset = i * 7919 % 500;
        if (const CachedBlock found = cache.Get(1, offset)) {
          ASSERT_EQ(found->front(), static_cast<std::byte>(offset));
        } else {
          cache.Put(1, offset, Block(kKiB, static_cast<int>(offset & 0xff)));
        }
      }
    });
  }
}

}  // namespace
}  // namespace gzipfs
