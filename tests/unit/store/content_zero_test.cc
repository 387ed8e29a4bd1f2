// Zeroed ranges: what is read, what is stored, and what that costs.
#include "fs/store/log_reader.h"
#include "fs/store/recovery.h"
#include "fs/store/redo_log.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;
using test::Buffer;
using test::kBlock;

class ContentZero : public test::StoreFixture {
 protected:
  // Zeroes a range and what is kept of it in `plain_`.
  void Zero(uint64_t begin, uint64_t end, bool may_grow = false) {
    const auto done = content_->Zero(begin, end, may_grow);
    ASSERT_TRUE(done) << done.error().message();
    if (may_grow && plain_.size() < end) plain_.resize(end);
    const uint64_t limit = std::min<uint64_t>(end, plain_.size());
    if (begin < limit) std::fill(plain_.begin() + begin, plain_.begin() + limit, std::byte{0});
  }
  void MakeText(uint64_t plain_bytes) {
    plain_ = test::TextLike(plain_bytes);
    Make(plain_);
  }
  void ExpectAll() {
    EXPECT_EQ(content_->plain_bytes(), plain_.size());
    EXPECT_TRUE(ReadAll() == plain_);
    Settle();
    EXPECT_TRUE(ReadAll() == plain_);
    EXPECT_TRUE(Gunzipped() == plain_);
  }
  uint64_t LogBytes() {
    uint64_t byte_count = 0;
    for (const auto& entry : files::directory_iterator(dir_ / ".gzipfs/log")) {
      byte_count += entry.file_size();
    }
    return byte_count;
  }
  void Remount() {
    CloseStore();
    OpenStore();
    const auto report = Recover(*store_, {});
    ASSERT_TRUE(report);
  }

  Buffer plain_;
};

TEST_F(ContentZero, AnyRangeReadsAsZerosAndTheRestAsBefore) {
  for (const uint64_t begin : {uint64_t{0}, uint64_t{1}, kBlock - 1, kBlock, 2 * kBlock + 5}) {
    for (const uint64_t count : {uint64_t{1}, uint64_t{100}, kBlock, 2 * kBlock, 9 * kBlock}) {
      MakeText(5 * kBlock + 77);
      Zero(begin, begin + count);
      ExpectAll();
      files::remove(base_path());
    }
  }
}

TEST_F(ContentZero, SizeStaysUnlessItMayGrow) {
  MakeText(kBlock + 10);
  Zero(kBlock + 5, 3 * kBlock);
  EXPECT_EQ(content_->plain_bytes(), kBlock + 10);
  Zero(5 * kBlock, 6 * kBlock);
  EXPECT_EQ(content_->plain_bytes(), kBlock + 10);
  Zero(5 * kBlock, 6 * kBlock, /*may_grow=*/true);
  EXPECT_EQ(content_->plain_bytes(), 6 * kBlock);
  ExpectAll();
  EXPECT_EQ(content_->Zero(0, kMaxPlainBytes + 1, true).error().value(), EFBIG);
}

TEST_F(ContentZero, BytesBehindAZeroedEndAreZerosWhenTheFileGrows) {
  MakeText(2 * kBlock + 500);
  Zero(2 * kBlock, 2 * kBlock + 500);
  Truncate(2 * kBlock + 700);
  plain_.resize(2 * kBlock + 700);
  Truncate(2 * kBlock + 100);
  plain_.resize(2 * kBlock + 100);
  Truncate(4 * kBlock);
  plain_.resize(4 * kBlock);
  ExpectAll();
}

TEST_F(ContentZero, WhatIsWrittenIntoAZeroedBlockStandsOnZeros) {
  MakeText(6 * kBlock);
  Zero(kBlock, 5 * kBlock);
  for (const uint64_t at : {kBlock + 9, 3 * kBlock - 2, 4 * kBlock + 1000}) {
    Write(at, test::FromText("words"));
    test::Overwrite(&plain_, at, test::FromText("words"));
  }
  EXPECT_TRUE(ReadAll() == plain_);
  Zero(2 * kBlock, 4 * kBlock);
  ExpectAll();
}

TEST_F(ContentZero, WhatIsNotStoredYetIsZeroedInAppendMode) {
  Open(/*is_new=*/true);
  plain_ = test::TextLike(4 * kBlock + 5);
  Write(0, std::span(plain_).subspan(0, 100));
  Write(kBlock, std::span(plain_).subspan(kBlock));
  std::fill(plain_.begin() + 100, plain_.begin() + kBlock, std::byte{0});
  Zero(kBlock + 7, 3 * kBlock);
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentZero, AForeignFileIsZeroedToo) {
  plain_ = test::TextLike(5 * kBlock);
  test::WriteFile(base_path(), test::MakeForeign(plain_));
  Open();
  Zero(kBlock + 3, 4 * kBlock);
  ExpectAll();
}

TEST_F(ContentZero, AGibibyteTakesNeitherMemoryNorLog) {
  Open(/*is_new=*/true);
  Write(0, test::TextLike(100));
  Truncate(kGiB);
  Write(kGiB, test::FromText("end"));
  Settle();
  Write(7, test::FromText("logged"));
  ASSERT_TRUE(content_->Sync());
  const uint64_t used_before = store_->budget().used_bytes();
  const uint64_t log_before = LogBytes();
  ASSERT_TRUE(content_->Zero(5, kGiB + 1, false));
  ASSERT_TRUE(content_->Sync());
  EXPECT_LE(store_->budget().used_bytes(), used_before + 2 * kBlock);
  EXPECT_LE(LogBytes(), log_before + 4 * kBlock);  // parts of two blocks, and zeros ahead
  Settle();
  Buffer start = test::TextLike(100);
  start.resize(5);
  start.resize(8);
  EXPECT_EQ(*TryRead(0, 8), start);
  Buffer end = test::FromText("xend");
  end[0] = end[1] = std::byte{0};
  EXPECT_EQ(*TryRead(kGiB - 1, 9), end);
  EXPECT_LE(Base().size(), kGiB / kBlock * 112 + 10'000);
}

// Behind the base's end no range of zeros is noted, but each has to go to the log.
TEST_F(ContentZero, AnyNumberOfHolesBehindTheBaseGoesToTheLogInPortions) {
  constexpr uint64_t kRanges = 64 * 1024;  // the bound
  MakeText(2 * kBlock);
  Write(7, test::FromText("logged"));
  test::Overwrite(&plain_, 7, test::FromText("logged"));
  ASSERT_TRUE(content_->Sync());
  Truncate(4 * kRanges * kBlock);
  const uint64_t log_before = LogBytes();
  for (uint64_t i = 0; i < kRanges; ++i) {
    ASSERT_TRUE(content_->Zero((3 + 2 * i) * kBlock, (4 + 2 * i) * kBlock, false));
  }
  EXPECT_EQ(LogBytes(), log_before);
  ASSERT_TRUE(content_->Zero(2 * kBlock + 2 * kRanges * kBlock, (4 + 2 * kRanges) * kBlock, false));
  EXPECT_GE(LogBytes(), log_before + kRanges * 40);
  Truncate(plain_.size());
  ASSERT_TRUE(content_->Sync());
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

// What a failed sync has lost must not be promised by a later one.
TEST_F(ContentZero, AFailedSyncIsNotTriedAgainToMakeRoom) {
  constexpr uint64_t kRanges = 64 * 1024;  // the bound
  MakeText(2 * kBlock);
  Write(7, test::FromText("logged"));
  ASSERT_TRUE(content_->Sync());
  Truncate(4 * kRanges * kBlock);
  for (uint64_t i = 0; i < kRanges; ++i) {
    ASSERT_TRUE(content_->Zero((3 + 2 * i) * kBlock, (4 + 2 * i) * kBlock, false));
  }
  ops_.before = [](test::Call call) { return call == test::Call::kSyncData ? EIO : 0; };
  EXPECT_FALSE(content_->Sync());
  std::atomic<int> tries = 0;
  ops_.before = [&](test::Call call) {
    if (call == test::Call::kWrite || call == test::Call::kSyncData) ++tries;
    return 0;
  };
  EXPECT_FALSE(content_->Zero(2 * kBlock, 3 * kBlock, false));
  ops_.before = nullptr;
  EXPECT_EQ(tries, 0);
}

TEST_F(ContentZero, SyncedZerosAreReplayedInOrder) {
  MakeText(8 * kBlock);
  Write(3 * kBlock, test::FromText("before"));
  ASSERT_TRUE(content_->Sync());
  Zero(kBlock + 1, 6 * kBlock + 3);
  Write(2 * kBlock + 5, test::FromText("after"));
  test::Overwrite(&plain_, 2 * kBlock + 5, test::FromText("after"));
  ASSERT_TRUE(content_->Sync());
  Zero(2 * kBlock, 3 * kBlock);
  Write(3 * kBlock + 5, test::FromText("after that"));
  test::Overwrite(&plain_, 3 * kBlock + 5, test::FromText("after that"));
  ASSERT_TRUE(content_->Sync());
  ASSERT_TRUE(content_->Zero(0, kBlock, false));  // never synced
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentZero, ALogOfAnEarlierVersionGetsNoZeros) {
  MakeText(4 * kBlock);
  const auto identity = IdentityOf(ops_, UniqueFd(::open(base_path().c_str(), O_RDONLY)).get());
  ASSERT_TRUE(identity);
  CloseStore();
  const LogHeader header{.salt = 5, .base = *identity, .version = kOldLogVersion};
  Buffer log = EncodeLogHeader(header);
  const Buffer text = test::FromText("from the old log");
  EncodeLogRecord({LogRecordType::kData, 1, 0, kBlock, text}, header.salt, &log);
  EncodeLogRecord({LogRecordType::kCommit, 2, 0, plain_.size(), {}}, header.salt, &log);
  const std::string log_path = dir_ / (".gzipfs/log/" + LogName(identity->ino));
  test::WriteFile(log_path, log);
  OpenStore();
  store_->logs().Add(identity->ino);
  Open();
  test::Overwrite(&plain_, kBlock, text);
  EXPECT_TRUE(ReadAll() == plain_);
  Zero(2 * kBlock, 3 * kBlock);
  ASSERT_TRUE(content_->Sync());
  EXPECT_FALSE(files::exists(log_path));  // all it says is in the base, which is another one
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentZero, AHundredHolesAreZerosAfterSettling) {
  MakeText(200 * kBlock);
  for (uint64_t block = 0; block < 200; block += 2) Zero(block * kBlock, (block + 1) * kBlock);
  const uint64_t settled_bytes = Base().size();
  ExpectAll();
  EXPECT_LE(Base().size(), settled_bytes / 2 + 100 * 112 + 1000);
}

}  // namespace
}  // namespace gzipfs
