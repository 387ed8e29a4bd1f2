// Temporary files that appear complete, and what is recognised as left by the dead.
#include "tools/new_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fs/sys/file_ops.h"
#include "tests/unit/tools/pack_data.h"
#include "tools/tree.h"

namespace gzipfs {
namespace {

using test::FromText;

class NewFileTest : public testing::Test {
 protected:
  size_t EntryCount() const {
    std::filesystem::directory_iterator entries(directory_ / "");
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
  }
  std::string Path(const char* name) const { return directory_ / name; }

  test::TempDir directory_;
};

TEST_F(NewFileTest, AppearsUnderItsName) {
  {
    auto file = NewFile::Create(directory_ / "");
    ASSERT_TRUE(file);
    EXPECT_TRUE(IsTemporaryName(NameOf(file->temporary_path())));
    ASSERT_TRUE(WriteStream(file->fd(), FromText("new")));
    ASSERT_TRUE(file->Appear(Path("x"), false));
  }
  EXPECT_EQ(test::ReadFile(Path("x")), FromText("new"));
  EXPECT_EQ(EntryCount(), 1u);
}

TEST_F(NewFileTest, ReplacesOnlyWhereThatIsSaid) {
  test::WriteFile(Path("x"), FromText("old"));
  auto file = NewFile::Create(directory_ / "");
  ASSERT_TRUE(file);
  const auto refused = file->Appear(Path("x"), false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().value(), EEXIST);
  EXPECT_EQ(test::ReadFile(Path("x")), FromText("old"));
  ASSERT_TRUE(file->Appear(Path("x"), true));
  EXPECT_TRUE(test::ReadFile(Path("x")).empty());
}

TEST_F(NewFileTest, GoesWithItsWriter) {
  { ASSERT_TRUE(NewFile::Create(directory_ / "")); }
  EXPECT_EQ(EntryCount(), 0u);
}

TEST_F(NewFileTest, LeftoverIsRemovedWhenItsWriterIsGone) {
  std::string path;
  {
    auto file = NewFile::Create(directory_ / "");
    ASSERT_TRUE(file);
    const auto kept = RemoveLeftover(file->temporary_path());
    ASSERT_TRUE(kept);
    EXPECT_FALSE(*kept) << "its writer lives";
    EXPECT_EQ(EntryCount(), 1u);
    path = file->temporary_path();
  }
  test::WriteFile(path, FromText("of a process that was killed"));
  const auto removed = RemoveLeftover(path);
  ASSERT_TRUE(removed);
  EXPECT_TRUE(*removed);
  EXPECT_EQ(EntryCount(), 0u);
}

TEST_F(NewFileTest, OtherNamesAreNotTemporary) {
  EXPECT_TRUE(IsTemporaryName(".gzipfs-new.0123456789abcdef.tmp"));
  for (const char* name : {"", ".gzipfs-new..tmp", ".gzipfs-new.0123456789abcdeg.tmp",
                           ".gzipfs-new.0123456789abcdef.tmp.gz",
                           "gzipfs-new.0123456789abcdef.tmp"})
    EXPECT_FALSE(IsTemporaryName(name)) << name;
}

TEST_F(NewFileTest, StatusIsCopied) {
  test::WriteFile(Path("from"), FromText("a"));
  test::WriteFile(Path("to"), FromText("b"));
  FileOps& ops = RealFileOps();
  const auto from = ops.OpenAt(AT_FDCWD, Path("from").c_str(), O_RDONLY, 0);
  const auto to = ops.OpenAt(AT_FDCWD, Path("to").c_str(), O_RDWR, 0);
  ASSERT_TRUE(from && to);
  ASSERT_TRUE(ops.SetMode(from->get(), 0640));
  const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 7}, {.tv_sec = 2000, .tv_nsec = 9}};
  ASSERT_TRUE(ops.SetTimes(from->get(), times));
  const auto like = ops.Stat(from->get());
  ASSERT_TRUE(like);
  ASSERT_TRUE(CopyObjectStatus(from->get(), *like, to->get(), OwnerRule::kMust));
  const auto now = ops.Stat(to->get());
  ASSERT_TRUE(now);
  EXPECT_EQ(now->st_mode & 07777, 0640u);
  EXPECT_EQ(now->st_mtim.tv_sec, 2000);
  EXPECT_EQ(now->st_mtim.tv_nsec, 9);
  EXPECT_EQ(now->st_atim.tv_sec, 1000);
}

TEST(TreePaths, ArePutTogetherAndTakenApart) {
  EXPECT_EQ(PathBelow("/a", ""), "/a");
  EXPECT_EQ(PathBelow("/a/", "b"), "/a/b");
  EXPECT_EQ(PathBelow("a", "b/c"), "a/b/c");
  EXPECT_EQ(ParentOf("a/b"), "a");
  EXPECT_EQ(ParentOf("/a"), "/");
  EXPECT_EQ(ParentOf("a"), ".");
  EXPECT_EQ(NameOf("a/b.gz"), "b.gz");
  EXPECT_EQ(NameOf("b"), "b");
}

}  // namespace
}  // namespace gzipfs
