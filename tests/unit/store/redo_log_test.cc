// The redo log on disk: what is written is read, a torn end is no error, and
// damage in front of something durable is.
#include "fs/store/redo_log.h"

#include "fs/store/log_reader.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;

class RedoLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_fd_ = UniqueFd(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto log = RedoLog::Create(ops_, dir_fd_.get(), kName, kBase);
    ASSERT_TRUE(log);
    log_ = std::move(*log);
  }
  Result<void> Commit(uint64_t plain_bytes) {
    log_->Add(LogRecordType::kCommit, plain_bytes, EncodeLogTime(std::nullopt));
    return log_->Commit();
  }
  void Data(uint64_t plain_offset, const char* text) {
    log_->Add(LogRecordType::kData, plain_offset, test::FromText(text));
  }
  Result<LogSummary> Read() {
    const UniqueFd fd(::open((dir_ / kName).c_str(), O_RDONLY | O_CLOEXEC));
    return ReadLogSummary(ops_, fd.get());
  }
  // What a replay would do, one line for each record.
  std::string Replay() {
    const UniqueFd fd(::open((dir_ / kName).c_str(), O_RDONLY | O_CLOEXEC));
    const auto summary = ReadLogSummary(ops_, fd.get());
    EXPECT_TRUE(summary);
    std::string text;
    const auto done = ReplayLog(ops_, fd.get(), *summary, [&](const LogRecord& record) {
      const auto* bytes = reinterpret_cast<const char*>(record.payload.data());
      text += fmt::format("{}@{}:{} ", static_cast<int>(record.type), record.plain_offset,
                          std::string_view(bytes, record.payload.size()));
      return Result<void>();
    });
    EXPECT_TRUE(done);
    return text;
  }
  Buffer Bytes() { return test::ReadFile(dir_ / kName); }
  void SetBytes(const Buffer& bytes) { test::WriteFile(dir_ / kName, bytes); }

  static constexpr char kName[] = "7.log";
  static constexpr BaseIdentity kBase{.ino = 7, .stored_bytes = 1234, .end_crc = 99};
  test::TempDir dir_;
  test::FaultOps ops_;
  UniqueFd dir_fd_;
  std::unique_ptr<RedoLog> log_;
};

TEST_F(RedoLogTest, CommittedRecordsAreReadBackInOrder) {
  Data(10, "ten");
  log_->Add(LogRecordType::kCut, 5, {});
  const timespec mtime{.tv_sec = -3, .tv_nsec = 999'999'999};
  log_->Add(LogRecordType::kCommit, 5, EncodeLogTime(mtime));
  ASSERT_TRUE(log_->Commit());
  Data(70, "not committed");
  const auto summary = Read();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->header.base, kBase);
  EXPECT_TRUE(summary->has_commit);
  EXPECT_FALSE(summary->is_damaged);
  EXPECT_EQ(summary->plain_bytes, 5u);
  EXPECT_EQ(summary->mtime->tv_sec, -3);
  EXPECT_EQ(summary->mtime->tv_nsec, 999'999'999);
  EXPECT_EQ(summary->committed_bytes, Bytes().size());
  EXPECT_TRUE(Replay().starts_with("1@10:ten 3@5: 4@5:")) << Replay();
}

TEST_F(RedoLogTest, OneCommitIsOneWriteAndOneSync) {
  Data(1, "first");
  ASSERT_TRUE(Commit(10));
  std::vector<Call> calls;
  ops_.before = [&](Call call) {
    calls.push_back(call);
    return 0;
  };
  Data(2, "second");
  Data(3, "third");
  ASSERT_TRUE(Commit(10));
  EXPECT_EQ(calls, (std::vector{Call::kWrite, Call::kSyncData}));
}

// Whatever the log is cut to, the commits that are still whole count, and
// nothing else does.
TEST_F(RedoLogTest, EveryTornEndLeavesTheCommitsBeforeIt) {
  std::vector<uint64_t> ends;
  for (uint64_t i = 1; i <= 3; ++i) {
    Data(i, "bytes");
    ASSERT_TRUE(Commit(i));
    ends.push_back(log_->committed_bytes());
  }
  const Buffer whole = Bytes();
  for (size_t size = kLogHeaderBytes; size <= whole.size(); ++size) {
    SetBytes(Buffer(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
    const auto summary = Read();
    ASSERT_TRUE(summary);
    const auto commits = std::count_if(ends.begin(), ends.end(),
                                       [size](uint64_t end) { return end <= size; });
    EXPECT_EQ(summary->has_commit, commits > 0);
    EXPECT_EQ(summary->plain_bytes, static_cast<uint64_t>(commits));
    EXPECT_FALSE(summary->is_damaged) << size;
  }
}

TEST_F(RedoLogTest, ZerosInTheLastCommitAreATornEndAndBeforeItDamage) {
  Data(1, "first");
  ASSERT_TRUE(Commit(1));
  const uint64_t first_end = log_->committed_bytes();
  Data(2, "second");
  ASSERT_TRUE(Commit(2));
  Buffer bytes = Bytes();
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(first_end), bytes.end(), std::byte{0});
  SetBytes(bytes);
  EXPECT_FALSE(Read()->is_damaged);
  EXPECT_EQ(Read()->plain_bytes, 1u);
}

TEST_F(RedoLogTest, FlippedBitInFrontOfADurableRecordIsDamage) {
  Data(1, "first");
  ASSERT_TRUE(Commit(1));
  Data(2, "second");
  ASSERT_TRUE(Commit(2));
  const uint64_t second_end = log_->committed_bytes();
  Data(3, "third");
  ASSERT_TRUE(Commit(3));
  const Buffer whole = Bytes();
  for (size_t at = kLogHeaderBytes; at < second_end; ++at) {
    Buffer bytes = whole;
    bytes[at] ^= std::byte{4};
    SetBytes(bytes);
    const auto summary = Read();
    ASSERT_TRUE(summary);
    EXPECT_TRUE(summary->is_damaged) << at;
  }
  // Nothing says that the last commit had come to its end.
  Buffer bytes = whole;
  bytes[second_end + 50] ^= std::byte{4};
  SetBytes(bytes);
  EXPECT_FALSE(Read()->is_damaged);
  EXPECT_EQ(Read()->plain_bytes, 2u);
}

TEST_F(RedoLogTest, BadHeaderIsNoLog) {
  ASSERT_TRUE(Commit(1));
  const Buffer whole = Bytes();
  for (size_t at = 0; at < kLogHeaderBytes; ++at) {
    Buffer bytes = whole;
    bytes[at] ^= std::byte{1};
    SetBytes(bytes);
    EXPECT_FALSE(Read()) << at;
  }
  SetBytes(Buffer(whole.begin(), whole.begin() + 63));
  EXPECT_EQ(Read().error(), DataError::kTruncated);
}

// Who applied the rest would have a state that never was.
TEST_F(RedoLogTest, RecordOfALaterVersionMakesTheWholeLogUnreadable) {
  Data(1, "first");
  ASSERT_TRUE(Commit(1));
  log_->Add(static_cast<LogRecordType>(9), 0, {});
  ASSERT_TRUE(Commit(2));
  EXPECT_EQ(Read().error(), std::error_code(EPROTONOSUPPORT, std::system_category()));
}

TEST_F(RedoLogTest, FailedWriteLeavesNothingBehindAndTheNextOneWorks) {
  Data(1, "first");
  ASSERT_TRUE(Commit(1));
  ops_.before = [](Call call) { return call == Call::kWrite ? ENOSPC : 0; };
  Data(2, "second, which is longer than what follows");
  EXPECT_EQ(Commit(2).error().value(), ENOSPC);
  ops_.before = nullptr;
  EXPECT_FALSE(log_->is_failed());
  EXPECT_EQ(Bytes().size(), log_->committed_bytes());
  Data(3, "third");
  ASSERT_TRUE(Commit(3));
  EXPECT_NE(Replay().find("1@3:third"), std::string::npos);
  EXPECT_EQ(Replay().find("second"), std::string::npos);
}

// A sync that makes no new size durable is cheaper: zeros are written ahead.
TEST_F(RedoLogTest, LongLogRarelyGrowsAndItsZerosAreItsEnd) {
  const std::string text(4000, 'x');
  int growth_count = 0;
  for (uint64_t i = 1; i <= 500; ++i) {
    const size_t before = i == 1 ? 0 : std::filesystem::file_size(dir_ / kName);
    Data(i, text.c_str());
    ASSERT_TRUE(Commit(i));
    growth_count += std::filesystem::file_size(dir_ / kName) != before;
  }
  EXPECT_LT(growth_count, 50);
  EXPECT_GT(Bytes().size(), log_->committed_bytes());
  const auto summary = Read();
  ASSERT_TRUE(summary);
  EXPECT_FALSE(summary->is_damaged);
  EXPECT_EQ(summary->plain_bytes, 500u);
  EXPECT_EQ(summary->committed_bytes, log_->committed_bytes());
  UniqueFd fd(::open((dir_ / kName).c_str(), O_RDWR | O_CLOEXEC));
  auto log = RedoLog::Resume(ops_, dir_fd_.get(), kName, std::move(fd), summary->header,
                             summary->committed_bytes, summary->last_sequence);
  ASSERT_TRUE(log);
  log_ = std::move(*log);
  ASSERT_TRUE(Commit(501));
  EXPECT_EQ(Read()->plain_bytes, 501u);
}

TEST_F(RedoLogTest, RoomForTheRecordsAloneIsEnough) {
  const std::string text(8000, 'x');
  Data(1, text.c_str());
  ASSERT_TRUE(Commit(1));
  Data(2, text.c_str());
  ASSERT_TRUE(Commit(2));
  ASSERT_TRUE(log_->committed_bytes() < Bytes().size()) << "no zeros were to be written";
  // As much as there are zeros for, and then some.
  while (log_->committed_bytes() + 8200 < Bytes().size()) {
    Data(3, text.c_str());
    ASSERT_TRUE(Commit(3));
  }
  bool is_full = true;
  ops_.before = [&is_full](Call call) {
    return call == Call::kWrite && std::exchange(is_full, false) ? ENOSPC : 0;
  };
  Data(4, text.c_str());
  ASSERT_TRUE(Commit(4));
  ops_.before = nullptr;
  EXPECT_FALSE(is_full);
  EXPECT_EQ(Read()->plain_bytes, 4u);
}

TEST_F(RedoLogTest, FailedSyncIsForGood) {
  ops_.before = [](Call call) { return call == Call::kSyncData ? EIO : 0; };
  EXPECT_FALSE(Commit(1));
  ops_.before = nullptr;
  EXPECT_TRUE(log_->is_failed());
  EXPECT_FALSE(Commit(2));
}

TEST_F(RedoLogTest, ResumedLogGoesOnBehindItsLastCommit) {
  Data(1, "first");
  ASSERT_TRUE(Commit(1));
  Buffer bytes = Bytes();
  test::Append(&bytes, test::FromText("torn"));
  SetBytes(bytes);
  const auto summary = Read();
  ASSERT_TRUE(summary);
  UniqueFd fd(::open((dir_ / kName).c_str(), O_RDWR | O_CLOEXEC));
  auto log = RedoLog::Resume(ops_, dir_fd_.get(), kName, std::move(fd), summary->header,
                             summary->committed_bytes, summary->last_sequence);
  ASSERT_TRUE(log);
  log_ = std::move(*log);
  Data(2, "second");
  ASSERT_TRUE(Commit(2));
  EXPECT_NE(Replay().find("1@1:first"), std::string::npos);
  EXPECT_NE(Replay().find("1@2:second"), std::string::npos);
}

TEST_F(RedoLogTest, LogsNamesAreThoseOfInodes) {
  EXPECT_EQ(InoOfLogName(LogName(18446744073709551615u)), 18446744073709551615u);
  EXPECT_EQ(InoOfLogName(NextLogName(5)), 5u);
  for (const char* name : {"", ".log", "5", "5.log.1", "x5.log", "5x.log", "-5.log"}) {
    EXPECT_FALSE(InoOfLogName(name)) << name;
  }
}

TEST_F(RedoLogTest, ImageRecordSurvivesTheRoundTripAndBadOnesAreRefused) {
  const LogImage image{.image = {.ino = 9, .stored_bytes = 8, .end_crc = 7},
                       .overwrites = true,
                       .has_next_log = true,
                       .name = "new-1-2"};
  const auto decoded = DecodeLogImage(EncodeLogImage(image));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->image, image.image);
  EXPECT_TRUE(decoded->overwrites && decoded->has_next_log);
  EXPECT_EQ(decoded->name, "new-1-2");
  LogImage hostile = image;
  hostile.name = "../../etc/passwd";
  EXPECT_FALSE(DecodeLogImage(EncodeLogImage(hostile)));
  EXPECT_FALSE(DecodeLogImage(Buffer(10)));
}

}  // namespace
}  // namespace gzipfs
