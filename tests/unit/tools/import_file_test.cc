// A tree that somebody changes while it is imported or exported: nothing outside of it is
// touched, and of two who import one file only one does.
#include "tools/import_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "fs/sys/file_lock.h"
#include "fs/sys/file_ops.h"
#include "tests/unit/tools/pack_data.h"
#include "tools/export_tree.h"
#include "tools/import_plan.h"
#include "tools/new_file.h"
#include "tools/tree.h"
#include "tools/tree_place.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;
using test::Buffer;
using test::FromText;

class ImportFileTest : public testing::Test {
 protected:
  ImportFileTest() : root_(files::canonical(directory_.path()).string()) {
    files::create_directories(Path("tree/d/e"));
    files::create_directories(Path("outside"));
  }
  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  // The directory goes, with its files, and a symlink to it comes.
  void MoveOut(const std::string& name) {
    files::remove(Path("outside"));
    files::rename(Path(name), Path("outside"));
    files::create_directory_symlink(Path("outside"), Path(name));
  }
  static size_t EntryCount(const std::string& path) {
    files::directory_iterator entries(path);
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
  }

  test::TempDir directory_;
  const std::string root_;
  std::atomic<uint64_t> done_bytes_{0};
};

// The symlink is there when the file is opened, not when it was listed.
TEST_F(ImportFileTest, ASymlinkInPlaceOfADirectoryIsNotFollowed) {
  test::WriteFile(Path("tree/d/e/plain"), FromText("some text"));
  test::WriteFile(Path("tree/d/e/foreign.gz"), test::MakeForeign(FromText("other text")));
  ImportPlan plan;
  PlanInPlace(Path("tree"), plan);
  FinishPlan(true, plan);
  ASSERT_EQ(plan.jobs.size(), 2u);
  MoveOut("tree/d");
  const Buffer foreign = test::ReadFile(Path("outside/e/foreign.gz"));
  for (const ImportJob& job : plan.jobs) {
    const auto result = ImportFile(job, ImportOptions{}, done_bytes_);
    EXPECT_FALSE(result) << job.sources[0];
  }
  EXPECT_EQ(test::ReadFile(Path("outside/e/plain")), FromText("some text"));
  EXPECT_EQ(test::ReadFile(Path("outside/e/foreign.gz")), foreign);
  EXPECT_EQ(EntryCount(Path("outside/e")), 2u);
}

// Neither is one that comes when the new file is there and the old one is to go.
TEST_F(ImportFileTest, NothingIsMadeOrTakenBehindASymlink) {
  test::WriteFile(Path("tree/d/x"), FromText("text"));
  test::WriteFile(Path("tree/d/.gzipfs-new.0123456789abcdef.tmp"), FromText("left"));
  MoveOut("tree/d");
  EXPECT_FALSE(NewFile::CreateInTree(Path("tree/d")));
  EXPECT_FALSE(RemoveLeftover(Path("tree/d/.gzipfs-new.0123456789abcdef.tmp")));
  EXPECT_FALSE(OpenInTree(Path("tree/d/x"), O_RDONLY));
  EXPECT_FALSE(StatInTree(Path("tree/d/x")));
  EXPECT_FALSE(SyncDirectoryInTree(Path("tree/d")));
  const auto status = RealFileOps().StatAt(AT_FDCWD, Path("tree").c_str());
  ASSERT_TRUE(status);
  EXPECT_FALSE(MakeLike(Path("tree"), *status, Path("tree/d/new")));
  EXPECT_FALSE(CompleteDirectory(Path("tree"), *status, Path("tree/d/x")));
  EXPECT_EQ(EntryCount(Path("outside")), 3u);
}

// A directory above goes while what is below is listed, or not, as chance has it.
TEST_F(ImportFileTest, ATreeIsListedWithoutWhatALinkLeadsTo) {
  for (int i = 0; i < 50; ++i) {
    files::create_directories(Path("tree/d/sub" + std::to_string(i)));
    files::create_directories(Path("outside/sub" + std::to_string(i)));
    test::WriteFile(Path("outside/sub" + std::to_string(i) + "/secret"), {});
  }
  files::create_directory_symlink(Path("outside"), Path("link"));
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    while (!is_over) {
      (void)RealFileOps().RenameAt(AT_FDCWD, Path("tree/d").c_str(), AT_FDCWD,
                                   Path("link").c_str(), RENAME_EXCHANGE);
    }
  });
  size_t secrets = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (secrets == 0 && std::chrono::steady_clock::now() < until) {
    for (const TreeEntry& entry : ListTree(Path("tree"), [](const auto&, auto) {}))
      secrets += NameOf(entry.path) == "secret" ? 1 : 0;
  }
  is_over = true;
  other.join();
  EXPECT_EQ(secrets, 0u);
}

TEST_F(ImportFileTest, AnExportFollowsNoSymlinkOnEitherSide) {
  test::WriteFile(Path("tree/d/x.gz"), test::PackInMemory(FromText("text")));
  files::create_directories(Path("to"));
  files::create_directory_symlink(Path("outside"), Path("to/d"));
  ExportTreeOptions options;
  options.form = ExportForm::kPlain;
  EXPECT_FALSE(ExportToFile(Path("tree/d/x.gz"), Path("to/d/x"), options));
  EXPECT_EQ(EntryCount(Path("outside")), 0u);
  EXPECT_TRUE(ExportToFile(Path("tree/d/x.gz"), Path("to/x"), options));
  MoveOut("tree/d");
  EXPECT_FALSE(ExportToFile(Path("tree/d/x.gz"), Path("to/y"), options));
}

TEST_F(ImportFileTest, AFileThatIsImportedAlreadyIsLeftAlone) {
  test::WriteFile(Path("tree/x"), FromText("text"));
  ImportPlan plan;
  PlanInPlace(Path("tree/x"), plan);
  ASSERT_EQ(plan.jobs.size(), 1u);
  {
    const auto held = RealFileOps().OpenAt(AT_FDCWD, Path("tree/x").c_str(), O_RDONLY, 0);
    ASSERT_TRUE(held && TryLockFile(held->get(), LockKind::kExclusive));
    const auto refused = ImportFile(plan.jobs[0], ImportOptions{}, done_bytes_);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find("by another process"), std::string::npos) << refused.error();
    EXPECT_EQ(EntryCount(Path("tree")), 2u);
  }
  ASSERT_TRUE(ImportFile(plan.jobs[0], ImportOptions{}, done_bytes_));
  EXPECT_TRUE(files::exists(Path("tree/x.gz")));
  EXPECT_FALSE(files::exists(Path("tree/x")));
}

TEST_F(ImportFileTest, OfTwoAtOnceOneImports) {
  for (int round = 0; round < 30; ++round) {
    const bool is_foreign = round % 2 == 1;
    const Buffer plain = test::TextLike(20'000, static_cast<uint32_t>(round));
    const std::string source = Path(is_foreign ? "tree/x.gz" : "tree/x");
    test::WriteFile(source, is_foreign ? test::MakeForeign(plain) : plain);
    ImportPlan plan;
    PlanInPlace(source, plan);
    ASSERT_EQ(plan.jobs.size(), 1u);
    std::atomic<int> done{0};
    const auto import = [&] {
      const auto result = ImportFile(plan.jobs[0], ImportOptions{}, done_bytes_);
      if (!result) return;
      done += result->kind == ImportResult::Kind::kImported ? 1 : 0;
    };
    std::thread first(import);
    std::thread second(import);
    first.join();
    second.join();
    EXPECT_EQ(done, 1);
    ASSERT_EQ(EntryCount(Path("tree")), 2u) << "d, and x.gz";
    const Buffer stored = test::ReadFile(Path("tree/x.gz"));
    const auto layout = ScanLayout(SpanSource(stored));
    ASSERT_TRUE(layout && !layout->rest);
    EXPECT_EQ(layout->index.plain_bytes(), plain.size());
    files::remove(Path("tree/x.gz"));
  }
}

}  // namespace
}  // namespace gzipfs
