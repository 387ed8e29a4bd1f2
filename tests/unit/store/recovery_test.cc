// Recovery at mount: what was fsynced is in the base afterwards, and what fits
// no file is kept.
#include "fs/store/recovery.h"

#include "fs/store/log_reader.h"
#include "fs/store/redo_log.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;
using test::Buffer;
using test::kBlock;

class RecoveryTest : public test::StoreFixture {
 protected:
  // A file whose middle was overwritten and synced, left as kill -9 leaves it.
  void LeaveWithLog() {
    plain_ = MakeWithLog();
    ASSERT_EQ(LogCount(), 1u);
  }
  size_t Count(const char* dir) {
    if (!files::exists(dir_ / dir)) return 0;
    return static_cast<size_t>(
        std::distance(files::directory_iterator(dir_ / dir), files::directory_iterator()));
  }
  size_t LogCount() { return Count(".gzipfs/log"); }
  RecoveryReport Remount(bool read_only = false) {
    CloseStore();
    options_.read_only = read_only;
    OpenStore();
    said_.clear();
    RecoveryWatcher watcher;
    watcher.say = [this](const std::string& sentence) { said_ += sentence + "\n"; };
    const auto report = Recover(*store_, watcher);
    EXPECT_TRUE(report);
    return report.value_or(RecoveryReport{});
  }

  Buffer plain_;
  std::string said_;
};

TEST_F(RecoveryTest, SyncedChangesAreInTheBaseAfterwards) {
  LeaveWithLog();
  EXPECT_FALSE(Gunzipped() == plain_);
  const RecoveryReport report = Remount();
  EXPECT_EQ(report.recovered, 1u);
  EXPECT_NE(said_.find("recovered file.gz"), std::string::npos) << said_;
  EXPECT_EQ(LogCount(), 0u);
  EXPECT_TRUE(Gunzipped() == plain_);
  EXPECT_EQ(Remount().recovered, 0u);
  EXPECT_EQ(said_, "");
}

TEST_F(RecoveryTest, UnsyncedChangesAreGone) {
  LeaveWithLog();
  Write(2 * kBlock, test::FromText("never synced"));
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(RecoveryTest, CutsAndGrowthAreReplayed) {
  LeaveWithLog();
  Truncate(kBlock + 6);
  Truncate(5 * kBlock);
  Write(4 * kBlock, test::FromText("far"));
  ASSERT_TRUE(content_->Sync());
  plain_.resize(kBlock + 6);
  plain_.resize(5 * kBlock);
  test::Overwrite(&plain_, 4 * kBlock, test::FromText("far"));
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(RecoveryTest, TimeOfTheLastSyncedWriteIsTheFilesTime) {
  LeaveWithLog();
  const timespec mtime{.tv_sec = 1'000'000'000, .tv_nsec = 123'456'789};
  ASSERT_TRUE(content_->SetTimes(std::nullopt, mtime));
  Write(9, test::FromText("x"));
  ASSERT_TRUE(content_->SetTimes(std::nullopt, mtime));
  ASSERT_TRUE(content_->Sync());
  Remount();
  EXPECT_EQ(test::StatOf(base_path()).st_mtim.tv_sec, mtime.tv_sec);
  EXPECT_EQ(test::StatOf(base_path()).st_mtim.tv_nsec, mtime.tv_nsec);
}

TEST_F(RecoveryTest, RenamedFileIsFoundByItsInode) {
  LeaveWithLog();
  files::create_directories(dir_ / "deep/er");
  files::rename(base_path(), dir_ / "deep/er/other.gz");
  EXPECT_EQ(Remount().recovered, 1u);
  EXPECT_NE(said_.find("deep/er/other.gz"), std::string::npos) << said_;
  EXPECT_TRUE(test::GunzipAll(test::ReadFile(dir_ / "deep/er/other.gz")) == plain_);
}

TEST_F(RecoveryTest, HardLinkedFileKeepsItsInode) {
  LeaveWithLog();
  files::create_hard_link(base_path(), dir_ / "link.gz");
  const auto ino = test::StatOf(base_path()).st_ino;
  EXPECT_EQ(Remount().recovered, 1u);
  EXPECT_EQ(test::StatOf(base_path()).st_ino, ino);
  EXPECT_TRUE(Gunzipped() == plain_);
  EXPECT_EQ(LogCount() + Count(".gzipfs/image"), 0u);
}

TEST_F(RecoveryTest, ACutOfAHardLinkedFileSurvivesEveryFailingCall) {
  LeaveWithLog();
  files::create_hard_link(base_path(), dir_ / "link.gz");
  for (int failing = 1; !HasFailure(); ++failing) {
    Remount();
    // A log with a cut and nothing else.
    Open();
    plain_.resize(2 * kBlock + 1000 - static_cast<size_t>(failing));
    Truncate(plain_.size());
    ASSERT_TRUE(content_->Sync());
    content_.reset();
    ops_.call_count = 0;
    ops_.before = [&](test::Call) { return ops_.call_count == failing ? EIO : 0; };
    const auto content = TryOpen();
    const bool is_settled = content && (*content)->Settle();
    const bool was_last = ops_.call_count < failing;
    ops_.before = nullptr;
    if (const auto left = TryOpen()) {
      EXPECT_EQ((*left)->plain_bytes(), plain_.size()) << "failing call " << failing;
    }
    if (!was_last) continue;
    EXPECT_TRUE(is_settled);
    break;
  }
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

// It goes to the base, and is in no log.
TEST_F(RecoveryTest, WhatIsAppendedWhileMembersAreJoinedIsKept) {
  Open(true);
  const Buffer late = test::TextLike(20'000, 8);
  bool has_appended = false;
  bool is_cut = false;
  bool has_overwritten = false;
  ops_.before = [&](test::Call call) {
    if (LogCount() == 0) return 0;
    is_cut = is_cut || call == test::Call::kTruncate;
    if (call != test::Call::kSyncData) return 0;
    // The log is synced: somebody appends. The base is, at the end: somebody overwrites.
    if (!std::exchange(has_appended, true)) {
      EXPECT_TRUE(content_->WriteAtEnd(late));
    } else if (is_cut && !std::exchange(has_overwritten, true)) {
      EXPECT_TRUE(content_->Write(3, test::FromText("X")));
    }
    return 0;
  };
  for (uint32_t i = 0; !has_overwritten && i < 2000; ++i) {
    const Buffer line = test::TextLike(300, i);
    Append(line);
    test::Append(&plain_, line);
    Flush();
  }
  ASSERT_TRUE(has_overwritten);
  test::Append(&plain_, late);
  test::Overwrite(&plain_, 3, test::FromText("X"));
  ASSERT_TRUE(content_->Sync());
  ops_.before = nullptr;
  ASSERT_EQ(LogCount(), 1u);
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(RecoveryTest, FileThatIsGoneLeavesItsLogInQuarantine) {
  LeaveWithLog();
  files::remove(base_path());
  EXPECT_EQ(Remount().quarantined, 1u);
  EXPECT_EQ(LogCount(), 0u);
  EXPECT_EQ(Count(".gzipfs/quarantine"), 1u);
}

TEST_F(RecoveryTest, FileThatWasChangedIsNotTouched) {
  LeaveWithLog();
  content_.reset();
  Buffer changed = Base();
  test::Append(&changed, Base());
  test::WriteFile(base_path(), changed);
  EXPECT_EQ(Remount().quarantined, 1u);
  EXPECT_NE(said_.find("was changed"), std::string::npos) << said_;
  EXPECT_TRUE(Base() == changed);
  EXPECT_EQ(Count(".gzipfs/quarantine"), 1u);
}

TEST_F(RecoveryTest, ReadOnlyStoreServesBaseAndLogAndWritesNothing) {
  LeaveWithLog();
  const Buffer base = Base();
  EXPECT_EQ(Remount(/*read_only=*/true).left, 1u);
  content_ = *TryOpen(false, O_RDONLY);
  EXPECT_TRUE(ReadAll() == plain_);
  EXPECT_FALSE(content_->Write(0, plain_));
  const UniqueFd fd(::open(base_path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(*ReadPlainSize(*store_, fd.get(), test::StatOf(base_path())), plain_.size());
  EXPECT_TRUE(Base() == base);
  EXPECT_EQ(LogCount(), 1u);
  Remount();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(RecoveryTest, DamagedLogMakesTheFileReadOnlyAndStays) {
  LeaveWithLog();
  for (int i = 0; i < 3; ++i) {
    Write(10, test::FromText("more"));
    ASSERT_TRUE(content_->Sync());
  }
  content_.reset();
  const auto log = files::directory_iterator(dir_ / ".gzipfs/log")->path();
  Buffer bytes = test::ReadFile(log);
  bytes[kLogHeaderBytes + kLogRecordHeaderBytes] ^= std::byte{1};
  test::WriteFile(log, bytes);
  const Buffer base = Base();
  EXPECT_EQ(Remount().left, 1u);
  Open();
  EXPECT_EQ(content_->Write(0, plain_).error().value(), EIO);
  EXPECT_EQ(ReadAll().size(), plain_.size());
  EXPECT_TRUE(Base() == base);
  EXPECT_EQ(LogCount(), 1u);
  EXPECT_EQ(Remount().left, 1u);
}

TEST_F(RecoveryTest, LogOfALaterVersionStaysAndTheFileCannotBeOpened) {
  LeaveWithLog();
  content_.reset();
  const std::string path = files::directory_iterator(dir_ / ".gzipfs/log")->path();
  const Buffer base = Base();
  Buffer log = test::ReadFile(path);
  const auto header = DecodeLogHeader(log);
  ASSERT_TRUE(header);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY));
  const auto summary = ReadLogSummary(ops_, fd.get());
  ASSERT_TRUE(summary);
  log.resize(summary->committed_bytes);
  const auto type = static_cast<LogRecordType>(99);
  EncodeLogRecord({type, summary->last_sequence + 1, 0, 0, {}}, header->salt, &log);
  test::WriteFile(path, log);
  const RecoveryReport report = Remount();
  EXPECT_EQ(report.left, 1u);
  EXPECT_EQ(Base(), base);
  EXPECT_EQ(test::ReadFile(path), log);
  EXPECT_EQ(TryOpen().error().value(), EPROTONOSUPPORT);
}

TEST_F(RecoveryTest, FullDiskLeavesTheLogAndTheFileIsServed) {
  LeaveWithLog();
  CloseStore();
  OpenStore();
  ops_.before = [](test::Call call) {
    return call == test::Call::kWrite || call == test::Call::kCopy ? ENOSPC : 0;
  };
  const auto report = Recover(*store_, {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->left, 1u);
  Open();
  EXPECT_TRUE(ReadAll() == plain_);
  ops_.before = nullptr;
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
  EXPECT_EQ(LogCount(), 0u);
}

TEST_F(RecoveryTest, FileClosedWithAnErrorIsReadFromItsLogAgain) {
  LeaveWithLog();
  ops_.before = [](test::Call call) { return call == test::Call::kSyncData ? EIO : 0; };
  Write(0, test::FromText("not synced"));
  EXPECT_FALSE(content_->Sync());
  ops_.before = nullptr;
  content_->Abandon();
  Open();
  const Buffer seen = ReadAll();
  EXPECT_TRUE(std::equal(plain_.begin() + 20, plain_.end(), seen.begin() + 20, seen.end()));
  Settle();
  EXPECT_TRUE(Gunzipped() == seen);
}

TEST_F(RecoveryTest, LeftoversOfUnfinishedCheckpointsGoAndOtherFilesStay) {
  test::WriteFile(dir_ / ".gzipfs/image/new-17-0", test::Noise(1000));
  test::WriteFile(dir_ / ".gzipfs/image/keep", test::Noise(1000));
  test::WriteFile(dir_ / ".gzipfs/log/5.next", test::Noise(1000));
  test::WriteFile(dir_ / ".gzipfs/log/6.log", Buffer(10));
  const RecoveryReport report = Remount();
  EXPECT_EQ(report.quarantined + report.left + report.recovered, 0u);
  EXPECT_EQ(LogCount(), 0u);
  EXPECT_FALSE(files::exists(dir_ / ".gzipfs/image/new-17-0"));
  EXPECT_TRUE(files::exists(dir_ / ".gzipfs/image/keep"));
}

}  // namespace
}  // namespace gzipfs
