// A look into a store's private directory: what waits, what fits nothing, and
// that nothing changes.
#include "fs/store/survey.h"

#include "fs/store/redo_log.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;
using test::Buffer;
using test::kBlock;
using Found = SurveyFinding::Kind;

class SurveyTest : public test::StoreFixture {
 protected:
  // A file with a log, in a store that nobody has.
  void LeaveWithLog() {
    Make(test::TextLike(3 * kBlock));
    Write(kBlock + 5, test::Noise(2 * kBlock));
    ASSERT_TRUE(content_->Sync());
    content_.reset();
    store_.reset();
  }
  std::string OnlyLog() const {
    return files::directory_iterator(dir_ / ".gzipfs/log")->path().string();
  }
  StoreSurvey Survey(SurveyDepth depth = SurveyDepth::kEnds) {
    const auto before = Listing();
    const auto survey = SurveyStore(ops_, dir_.path(), depth);
    EXPECT_TRUE(survey) << survey.error().message();
    EXPECT_EQ(Listing(), before) << "something was changed";
    return survey.value_or(StoreSurvey{});
  }
  std::vector<std::string> Listing() const {
    std::vector<std::string> names;
    for (const auto& entry : files::recursive_directory_iterator(dir_.path())) {
      const struct stat status = test::StatOf(entry.path().string());
      names.push_back(entry.path().string() + " " + std::to_string(status.st_size) + " " +
                      std::to_string(status.st_ctim.tv_sec) + "." +
                      std::to_string(status.st_ctim.tv_nsec));
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  static size_t Count(const StoreSurvey& survey, Found kind, const std::string& part) {
    return static_cast<size_t>(std::count_if(
        survey.findings.begin(), survey.findings.end(), [&](const SurveyFinding& finding) {
          return finding.kind == kind && finding.sentence.find(part) != std::string::npos;
        }));
  }
};

TEST_F(SurveyTest, NothingIsFoundInAStoreThatIsInOrder) {
  Make(test::TextLike(100));
  CloseStore();
  const StoreSurvey survey = Survey();
  EXPECT_TRUE(survey.findings.empty()) << survey.findings[0].sentence;
  EXPECT_TRUE(survey.waiting_paths.empty());
  EXPECT_FALSE(survey.is_in_use);
  EXPECT_FALSE(IsStoreInUse(ops_, dir_.path()));
}

TEST_F(SurveyTest, DirectoryThatIsNoStoreHasNothing) {
  CloseStore();
  files::remove_all(dir_ / ".gzipfs");
  EXPECT_TRUE(Survey().findings.empty());
  EXPECT_FALSE(SurveyStore(ops_, dir_ / "nowhere", SurveyDepth::kEnds));
}

TEST_F(SurveyTest, StoreInUseIsToldAndItsLogsAreNotJudged) {
  Make(test::TextLike(3 * kBlock));
  Write(5, test::FromText("changed"));
  ASSERT_TRUE(content_->Sync());
  const StoreSurvey survey = Survey();
  EXPECT_TRUE(survey.is_in_use);
  EXPECT_TRUE(IsStoreInUse(ops_, dir_.path()));
  EXPECT_EQ(survey.waiting_paths, std::vector<std::string>{"file.gz"});
  EXPECT_TRUE(survey.findings.empty());
}

TEST_F(SurveyTest, LogThatFitsWaits) {
  LeaveWithLog();
  files::create_directory(dir_ / "deep");
  files::rename(base_path(), dir_ / "deep/moved.gz");
  for (const SurveyDepth depth : {SurveyDepth::kEnds, SurveyDepth::kEveryBlock}) {
    const StoreSurvey survey = Survey(depth);
    EXPECT_EQ(survey.waiting_paths, std::vector<std::string>{"deep/moved.gz"});
    EXPECT_TRUE(survey.findings.empty()) << survey.findings[0].sentence;
  }
}

TEST_F(SurveyTest, LogOfAFileThatIsGoneIsAnOrphan) {
  LeaveWithLog();
  files::remove(base_path());
  const StoreSurvey survey = Survey();
  EXPECT_EQ(Count(survey, Found::kDamage, "orphaned log: no file has inode"), 1u);
  EXPECT_TRUE(survey.waiting_paths.empty());
}

TEST_F(SurveyTest, LogOfAFileThatWasChangedIsAnOrphan) {
  LeaveWithLog();
  Buffer changed = Base();
  test::Append(&changed, Base());
  test::WriteFile(base_path(), changed);
  EXPECT_EQ(Count(Survey(), Found::kDamage, "file.gz was changed while it was not mounted"), 1u);
}

TEST_F(SurveyTest, LogWithADamagedHeaderIsAnOrphan) {
  LeaveWithLog();
  Buffer log = test::ReadFile(OnlyLog());
  log[20] ^= std::byte{1};
  test::WriteFile(OnlyLog(), log);
  EXPECT_EQ(Count(Survey(), Found::kDamage, "orphaned log: it cannot be read"), 1u);
}

TEST_F(SurveyTest, LogWithADamagedRecordIsDamage) {
  Make(test::TextLike(3 * kBlock));
  for (int i = 0; i < 3; ++i) {
    Write(10, test::FromText("more"));
    ASSERT_TRUE(content_->Sync());
  }
  CloseStore();
  Buffer log = test::ReadFile(OnlyLog());
  log[kLogHeaderBytes + kLogRecordHeaderBytes] ^= std::byte{1};
  test::WriteFile(OnlyLog(), log);
  EXPECT_EQ(Count(Survey(), Found::kDamage, "file.gz: its log is damaged"), 1u);
}

TEST_F(SurveyTest, LeftoversAndWhatWasPutAsideAreNotes) {
  CloseStore();
  files::create_directory(dir_ / ".gzipfs/quarantine");
  test::WriteFile(dir_ / ".gzipfs/quarantine/x.gz.rest", test::Noise(10));
  test::WriteFile(dir_ / ".gzipfs/quarantine/7.log.123", test::Noise(10));
  test::WriteFile(dir_ / ".gzipfs/image/new-17-0", test::Noise(1000));
  test::WriteFile(dir_ / ".gzipfs/lock", test::FromText("17        \n"));
  const StoreSurvey survey = Survey();
  EXPECT_EQ(Count(survey, Found::kNote, "x.gz.rest was put aside: what a repair cut off"), 1u);
  EXPECT_EQ(Count(survey, Found::kNote, "7.log.123 was put aside: a log that fitted no file"), 1u);
  EXPECT_EQ(Count(survey, Found::kNote, "1 scratch file that nobody needs"), 1u);
  EXPECT_EQ(Count(survey, Found::kNote, "did not come to its end"), 1u);
  EXPECT_EQ(survey.findings.size(), 4u);
}

TEST_F(SurveyTest, DamagedConfigurationIsNamed) {
  CloseStore();
  test::WriteFile(dir_ / ".gzipfs/config.json", test::FromText("{"));
  EXPECT_EQ(Count(Survey(), Found::kDamage, ".gzipfs/config.json is damaged"), 1u);
}

TEST_F(SurveyTest, EveryFailingCallIsAnErrorAndChangesNothing) {
  LeaveWithLog();
  const auto before = Listing();
  for (int call = 1;; ++call) {
    ops_.call_count = 0;
    ops_.before = [this, call](test::Call) { return ops_.call_count == call ? EIO : 0; };
    (void)SurveyStore(ops_, dir_.path(), SurveyDepth::kEveryBlock);
    ops_.before = nullptr;
    EXPECT_EQ(Listing(), before);
    if (ops_.call_count < call) break;
  }
}

}  // namespace
}  // namespace gzipfs
