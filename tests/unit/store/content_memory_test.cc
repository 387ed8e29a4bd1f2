// Content when the dirty budget is a few blocks: what waits in the log, and that
// a file in append mode stays in it.
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;

class ContentInTightMemory : public test::StoreFixture {
 protected:
  ContentInTightMemory()
      : StoreFixture({.level = 1, .cache_bytes = kMiB, .dirty_bytes = 4 * kBlock}) {}
};

TEST_F(ContentInTightMemory, AppendedFileOfAnySizeStaysWithinTheDirtyLimit) {
  Open(true);
  const Buffer block = test::TextLike(kBlock);
  for (int i = 0; i < 300; ++i) {
    Append(block);
    // The block that is next to be appended may be one more.
    ASSERT_LE(store_->budget().used_bytes(), 5 * kBlock);
  }
  Settle();
  EXPECT_EQ(content_->plain_bytes(), 300 * kBlock);
  EXPECT_EQ(Gunzipped().size(), 300 * kBlock);
  ExpectNothingDirty();
}

TEST_F(ContentInTightMemory, BlocksOutOfOrderWaitInTheLogAndAreInTheBaseAfterFlush) {
  Open(true);
  Buffer expected(101 * kBlock);
  for (int i = 100; i >= 0; --i) {
    const Buffer piece = test::TextLike(kBlock / 2, static_cast<uint32_t>(i));
    Write(i * kBlock, piece);
    test::Overwrite(&expected, i * kBlock, piece);
    // The block that others wait for may be one more.
    ASSERT_LE(store_->budget().used_bytes(), (i == 0 ? 5 : 4) * kBlock);
  }
  expected.resize(content_->plain_bytes());
  EXPECT_EQ(ReadAll(), expected);
  ASSERT_TRUE(content_->Flush());
  EXPECT_EQ(Gunzipped(), expected);
  ExpectNothingDirty();
}

TEST_F(ContentInTightMemory, WholeBlocksOutOfOrderGoFromTheLogToTheBase) {
  Open(true);
  const Buffer expected = test::TextLike(60 * kBlock, 4);
  for (int i = 59; i >= 0; --i) Write(i * kBlock, std::span(expected).subspan(i * kBlock, kBlock));
  ASSERT_TRUE(content_->Flush());
  EXPECT_EQ(Gunzipped(), expected);
  EXPECT_EQ(ReadAll(), expected);
  ExpectNothingDirty();
}

TEST_F(ContentInTightMemory, SpilledBlockTakesMoreBytesAndIsInTheBaseAfterFlush) {
  Open(true);
  Buffer expected(20 * kBlock);
  const auto write = [&](uint64_t at, size_t byte_count) {
    const Buffer piece = test::TextLike(byte_count, static_cast<uint32_t>(at));
    Write(at, piece);
    test::Overwrite(&expected, at, piece);
  };
  // The front of every block first, so that all but a few are spilled half full.
  for (uint64_t i = 0; i < 20; ++i) write(i * kBlock, 1000);
  // (Not into the first: its bytes may be in the base by now.)
  for (uint64_t i = 2; i < 20; i += 2) write(i * kBlock + 500, kBlock - 500);
  ASSERT_TRUE(content_->Truncate(20 * kBlock));
  ASSERT_TRUE(content_->Flush());
  EXPECT_EQ(Gunzipped(), expected);
  ExpectNothingDirty();
}

TEST_F(ContentInTightMemory, IdleFileGivesItsMemoryToABusyOne) {
  Open(true);
  const Buffer idle = test::TextLike(3 * kBlock, 9);
  Write(kBlock, idle);  // not next: it waits in memory
  test::TestPlace other_place(dir_fd_.get(), "other.gz");
  const int fd = ::openat(dir_fd_.get(), "other.gz", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  auto other = OpenContent(*store_, UniqueFd(fd), true, /*is_new=*/true, other_place);
  ASSERT_TRUE(other);
  for (uint64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE((*other)->Write(i * kBlock, test::TextLike(kBlock))) << i;
  }
  ASSERT_TRUE((*other)->Settle());
  EXPECT_EQ((*other)->plain_bytes(), 50 * kBlock);
  Settle();
  Buffer expected(kBlock);
  test::Append(&expected, idle);
  EXPECT_EQ(Gunzipped(), expected);
}

// A write that did not get to the base, spilled or compressed, and cut off again: what
// would hide it must not stay in memory, where nobody needs it.
TEST_F(ContentInTightMemory, CutBackToTheBaseLeavesNothingInMemory) {
  Make(test::TextLike(1000));
  Write(1000, test::Noise(100));
  Write(2 * kBlock, test::Noise(100));
  DirtyBudget& budget = store_->budget();
  ASSERT_TRUE(budget.Reserve(4 * kBlock));  // both blocks are spilled
  budget.Release(4 * kBlock);
  Truncate(1000);
  EXPECT_EQ(budget.used_bytes(), 0u);
  ASSERT_TRUE(budget.Reserve(4 * kBlock));
  budget.Release(4 * kBlock);
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  Truncate(1200);
  Buffer expected = test::TextLike(1000);
  expected.resize(1200);
  EXPECT_TRUE(ReadAll() == expected);
}

}  // namespace
}  // namespace gzipfs
