// Content on a disk that is full or fails: who is told, what stays, and how it
// goes on afterwards.
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;

using test::kBlock;

class ContentFault : public test::StoreFixture {
 protected:
  void FullDisk() {
    ops_.before = [](Call call) {
      return call == Call::kWrite || call == Call::kCopy ? ENOSPC : 0;
    };
  }
  void Fail(Call failing, int error) {
    ops_.before = [=](Call call) { return call == failing ? error : 0; };
  }
  void Repair() { ops_.before = nullptr; }
  void WriteBoth(uint64_t plain_offset, std::span<const std::byte> bytes) {
    Write(plain_offset, bytes);
    test::Overwrite(&plain_, plain_offset, bytes);
  }
  void MakeBlocks(uint64_t blocks) {
    plain_ = test::TextLike(blocks * kBlock);
    Make(plain_);
  }
  // Writes until the failure shows: at a write, or at the flush. Nobody tries to append
  // any more when it returns.
  std::error_code StreamUntilError() {
    for (int i = 0; i < 1000; ++i) {
      const auto done = content_->WriteAtEnd(test::Noise(kBlock, static_cast<uint32_t>(i)));
      if (done) continue;
      (void)content_->Flush();  // waits for an append that is under way, and is cut off
      return done.error();
    }
    const auto flushed = content_->Flush();
    return flushed ? std::error_code() : flushed.error();
  }
  void ExpectImageDirEmpty() {
    EXPECT_TRUE(std::filesystem::is_empty(dir_ / ".gzipfs/image"));
  }

  Buffer plain_;
};

TEST_F(ContentFault, FullDiskReachesTheWriterAndTheBaseStaysValid) {
  MakeBlocks(3);
  FullDisk();
  EXPECT_EQ(StreamUntilError().value(), ENOSPC);
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentFault, FullDiskIsReportedByFlushOfAShortFile) {
  Open(true);
  FullDisk();
  WriteBoth(0, test::TextLike(1000));
  const auto flushed = content_->Flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().value(), ENOSPC);
  EXPECT_EQ(Base().size(), 0u);
  Repair();
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentFault, SpaceFreedLaterLetsTheSameFileGoOn) {
  MakeBlocks(3);
  FullDisk();
  ASSERT_EQ(StreamUntilError().value(), ENOSPC);
  const Buffer seen = ReadAll();  // what was taken is not lost
  Repair();
  (void)content_->Flush();  // may tell of an append that was under way till now
  Flush();
  EXPECT_TRUE(Gunzipped() == seen);
  Append(test::FromText("and more"));
  Settle();
  EXPECT_EQ(Gunzipped().size(), seen.size() + 8);
  EXPECT_TRUE(content_->Sync());
}

// A logger never closes its file: it drops the lines that fail and goes on.
TEST_F(ContentFault, WriterWhoIgnoresTheErrorGoesOnOnceThereIsSpace) {
  Open(true);
  FullDisk();
  ASSERT_EQ(StreamUntilError().value(), ENOSPC);
  Repair();
  bool is_writable = false;
  for (int i = 0; i < 10 && !is_writable; ++i) {
    is_writable = content_->WriteAtEnd(test::FromText("line\n")).has_value();
  }
  EXPECT_TRUE(is_writable);
  Settle();
  EXPECT_TRUE(Gunzipped() == ReadAll());
}

TEST_F(ContentFault, OverwriteThatDoesNotFitLeavesTheBaseAndWorksLater) {
  MakeBlocks(5);
  const Buffer base = Base();
  WriteBoth(kBlock + 5, test::FromText("changed"));
  FullDisk();
  for (int i = 0; i < 2; ++i) {
    const auto settled = content_->Settle();
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().value(), ENOSPC);
    EXPECT_TRUE(Base() == base);
    EXPECT_FALSE(content_->IsSettled());
    EXPECT_TRUE(ReadAll() == plain_);
    ExpectImageDirEmpty();
  }
  Repair();
  WriteBoth(3 * kBlock, test::FromText("changed too"));
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
  EXPECT_TRUE(ReadAll() == plain_);
}

TEST_F(ContentFault, OverwriteOfAHardLinkThatDoesNotFitLosesNothing) {
  MakeBlocks(5);
  ASSERT_EQ(::link(base_path().c_str(), (dir_ / "other.gz").c_str()), 0);
  WriteBoth(kBlock, test::Noise(2 * kBlock));  // longer than what it replaces
  // The image has its attributes by the time it is copied over the base.
  ops_.before = [has_attributes = false](Call call) mutable {
    has_attributes = has_attributes || call == Call::kSetTimes;
    return has_attributes && call == Call::kCopy ? ENOSPC : 0;
  };
  const auto settled = content_->Settle();
  Repair();
  ASSERT_FALSE(settled);
  EXPECT_TRUE(ReadAll() == plain_);
  EXPECT_EQ(Gunzipped().size(), plain_.size());
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentFault, HardLinkHalfOverwrittenIsStillReadAndItsImageKept) {
  MakeBlocks(5);
  ASSERT_EQ(::link(base_path().c_str(), (dir_ / "other.gz").c_str()), 0);
  WriteBoth(kBlock, test::Noise(2 * kBlock));
  // The first copy goes behind the end, the second over the base.
  ops_.before = [has_attributes = false, copies = 0](Call call) mutable {
    has_attributes = has_attributes || call == Call::kSetTimes;
    return has_attributes && call == Call::kCopy && ++copies == 2 ? EIO : 0;
  };
  EXPECT_FALSE(content_->Settle());
  Repair();
  EXPECT_TRUE(ReadAll() == plain_);
  EXPECT_EQ(content_->Flush().error().value(), EIO);
  CloseStore();
  OpenStore();  // removes what is stale
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / ".gzipfs/image")) {
    EXPECT_TRUE(test::GunzipAll(test::ReadFile(entry.path())) == plain_);
    return;
  }
  FAIL() << "the image is gone";
}

TEST_F(ContentFault, FailedSyncIsReportedForGood) {
  MakeBlocks(1);
  Append(test::FromText("more"));
  Fail(Call::kSyncData, EIO);
  const auto synced = content_->Sync();
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().value(), EIO);
  Repair();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(content_->Sync().error().value(), EIO);
    EXPECT_EQ(content_->Flush().error().value(), EIO);
    EXPECT_EQ(content_->Settle().error().value(), EIO);
    EXPECT_EQ(content_->Write(0, test::FromText("x")).error().value(), EIO);
  }
  Open();
  EXPECT_EQ(content_->plain_bytes(), kBlock + 4);
  EXPECT_TRUE(content_->Sync());
}

TEST_F(ContentFault, ImageThatCannotBeMadeDurableDoesNotReplaceTheBase) {
  MakeBlocks(3);
  const Buffer base = Base();
  for (Call failing : {Call::kSyncData, Call::kSyncAll, Call::kRename, Call::kSetMode,
                       Call::kSetTimes, Call::kCopyAttributes, Call::kOpen, Call::kStat}) {
    WriteBoth(10, test::FromText("changed"));
    Fail(failing, EIO);
    EXPECT_FALSE(content_->Settle()) << static_cast<int>(failing);
    Repair();
    EXPECT_TRUE(Base() == base) << static_cast<int>(failing);
    EXPECT_TRUE(ReadAll() == plain_);
    ExpectImageDirEmpty();
  }
  EXPECT_EQ(place_->replaced_count, 0);
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentFault, BaseThatMayNotBelongToUsIsOverwrittenInPlace) {
  MakeBlocks(3);
  const ino_t inode = test::StatOf(base_path()).st_ino;
  // Another owner than ours, and no right to give the new base to it.
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  ASSERT_EQ(::chown(base_path().c_str(), 1234, 5678), 0);
  Fail(Call::kSetOwner, EPERM);
  WriteBoth(10, test::FromText("changed"));
  Settle();
  Repair();
  EXPECT_EQ(test::StatOf(base_path()).st_ino, inode);
  EXPECT_EQ(test::StatOf(base_path()).st_uid, 1234u);
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentFault, ReadErrorOfTheDeviceIsNotKept) {
  MakeBlocks(3);
  Open();
  Fail(Call::kRead, EIO);
  EXPECT_FALSE(TryRead(0, kBlock));
  Repair();
  EXPECT_TRUE(ReadAll() == plain_);
}

TEST_F(ContentFault, ReadErrorDuringACheckpointLeavesTheBase) {
  MakeBlocks(5);
  const Buffer base = Base();
  WriteBoth(10, test::FromText("changed"));
  Fail(Call::kRead, EIO);
  EXPECT_FALSE(content_->Settle());
  Repair();
  EXPECT_TRUE(Base() == base);
  EXPECT_TRUE(ReadAll() == plain_);
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

class ContentFaultInTightMemory : public ContentFault {
 protected:
  ContentFaultInTightMemory() {
    options_.cache_bytes = kMiB;
    options_.dirty_bytes = 4 * kBlock;
  }
};

TEST_F(ContentFaultInTightMemory, WriterIsToldWhenNothingCanLeaveMemory) {
  MakeBlocks(3);
  FullDisk();
  EXPECT_EQ(StreamUntilError().value(), ENOSPC);
  EXPECT_TRUE(Gunzipped() == plain_);
  Repair();
  Settle();
  EXPECT_TRUE(Gunzipped() == ReadAll());
  ExpectNothingDirty();
}

TEST_F(ContentFaultInTightMemory, SpillThatDoesNotFitLosesNothing) {
  Open(true);
  FullDisk();
  std::error_code error;
  for (uint64_t i = 20; i > 0 && !error; --i) {  // from the back: nothing can be appended
    const Buffer block = test::TextLike(kBlock, static_cast<uint32_t>(i));
    const auto done = content_->Write(i * kBlock, block);
    if (!done) error = done.error();
    if (done) test::Overwrite(&plain_, i * kBlock, block);
  }
  EXPECT_EQ(error.value(), ENOSPC);
  EXPECT_TRUE(ReadAll() == plain_);
  Repair();
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentFaultInTightMemory, OneFullFileDoesNotStopTheOthersForGood) {
  MakeBlocks(1);
  FullDisk();
  ASSERT_EQ(StreamUntilError().value(), ENOSPC);
  Repair();
  test::TestPlace other_place(dir_fd_.get(), "other.gz");
  const int fd = ::openat(dir_fd_.get(), "other.gz", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  auto other = OpenContent(*store_, UniqueFd(fd), true, /*is_new=*/true, other_place);
  ASSERT_TRUE(other);
  std::error_code error;
  for (uint64_t i = 0; i < 10 && !error; ++i) {
    const auto done = (*other)->Write(i * kBlock, test::TextLike(kBlock));
    if (!done) error = done.error();
  }
  EXPECT_FALSE(error) << error.message();
}

}  // namespace
}  // namespace gzipfs
