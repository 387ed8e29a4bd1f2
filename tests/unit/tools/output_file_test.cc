// Output that appears complete or not at all.
#include "tools/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/tools/pack_data.h"

namespace gzipfs {
namespace {

using test::FromText;

class OutputFileTest : public testing::Test {
 protected:
  size_t EntryCount() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(directory_ / ""))
      ++count;
    return count;
  }
  test::TempDir directory_;
  const std::string path_ = directory_ / "out";
};

TEST_F(OutputFileTest, AppearsWithCommit) {
  auto output = OutputFile::Create(path_);
  ASSERT_TRUE(output);
  ASSERT_TRUE(WriteStream(output->fd(), FromText("hello")));
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE(output->Commit(std::nullopt));
  EXPECT_EQ(test::ReadFile(path_), FromText("hello"));
  EXPECT_EQ(EntryCount(), 1u);
}

TEST_F(OutputFileTest, WithoutCommitNothingIsLeftAndNothingReplaced) {
  test::WriteFile(path_, FromText("old"));
  {
    auto output = OutputFile::Create(path_);
    ASSERT_TRUE(output);
    ASSERT_TRUE(WriteStream(output->fd(), FromText("new")));
  }
  EXPECT_EQ(test::ReadFile(path_), FromText("old"));
  EXPECT_EQ(EntryCount(), 1u);
}

TEST_F(OutputFileTest, ReplacedFileKeepsItsMode) {
  test::WriteFile(path_, FromText("old"));
  std::filesystem::permissions(path_, std::filesystem::perms{0640});
  auto output = OutputFile::Create(path_);
  ASSERT_TRUE(output && output->Commit(std::nullopt));
  EXPECT_EQ(std::filesystem::status(path_).permissions(), std::filesystem::perms{0640});
}

TEST_F(OutputFileTest, NewFileTakesModeAndTimeOfTheInput) {
  struct stat like {};
  like.st_mode = S_IFREG | 0604;
  like.st_mtim = {.tv_sec = 1000000000, .tv_nsec = 123456789};
  auto output = OutputFile::Create(path_);
  ASSERT_TRUE(output && output->Commit(like));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0604u);
  EXPECT_EQ(status.st_mtim.tv_sec, 1000000000);
  EXPECT_EQ(status.st_mtim.tv_nsec, 123456789);
}

TEST_F(OutputFileTest, SymlinkStaysOne) {
  test::WriteFile(directory_ / "target", FromText("old"));
  std::filesystem::create_symlink("target", path_);
  auto output = OutputFile::Create(path_);
  ASSERT_TRUE(output && WriteStream(output->fd(), FromText("new")));
  ASSERT_TRUE(output->Commit(std::nullopt));
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(test::ReadFile(directory_ / "target"), FromText("new"));
}

TEST_F(OutputFileTest, DeviceIsWrittenNotReplaced) {
  auto output = OutputFile::Create("/dev/null");
  ASSERT_TRUE(output && output->Commit(std::nullopt));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(OutputFileTest, MissingDirectoryIsAnError) {
  const auto output = OutputFile::Create(directory_ / "no/where");
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().value(), ENOENT);
}

}  // namespace
}  // namespace gzipfs
