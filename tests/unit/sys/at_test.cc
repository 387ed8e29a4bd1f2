// Calls that act on an object by any descriptor of it, O_PATH too.
#include "fs/sys/at.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "fs/sys/directory.h"
#include "fs/sys/xattr.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {
namespace {

class AtTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteFile(dir_ / "file", FromText("text"));
    std::filesystem::create_symlink("file", dir_ / "link");
  }
  UniqueFd Path(const std::string& name) {
    return UniqueFd(::open((dir_ / name).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }

  TempDir dir_;
};

TEST_F(AtTest, ModeOwnerAndTimesAreChangedThroughAPathDescriptor) {
  const UniqueFd fd = Path("file");
  ASSERT_TRUE(ChangeMode(fd.get(), 0600));
  EXPECT_EQ(StatOf(dir_ / "file").st_mode & 07777, 0600u);
  ASSERT_TRUE(ChangeOwner(fd.get(), ::geteuid(), static_cast<gid_t>(-1)));
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 5, .tv_nsec = 6}};
  ASSERT_TRUE(ChangeTimes(fd.get(), times));
  EXPECT_EQ(StatOf(dir_ / "file").st_mtim.tv_nsec, 6);
}

TEST_F(AtTest, ASymlinkIsChangedItselfNotItsTarget) {
  const UniqueFd fd = Path("link");
  const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6}, {.tv_sec = 5, .tv_nsec = 6}};
  ASSERT_TRUE(ChangeTimes(fd.get(), times));
  EXPECT_NE(StatOf(dir_ / "file").st_mtim.tv_sec, 5);
  EXPECT_EQ(ReadLinkOf(fd.get()).value(), "file");
  EXPECT_FALSE(SetXattr(fd.get(), "user.a", {}, 0)) << "went to the target";
}

TEST_F(AtTest, AFileWithoutANameIsReopenedButNotLinkedAgain) {
  const UniqueFd fd = Path("file");
  std::filesystem::remove(dir_ / "file");
  EXPECT_TRUE(Reopen(fd.get(), O_RDONLY));
  const UniqueFd dir(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(ErrnoOf(LinkDescriptorAt(fd.get(), dir.get(), "again").error()), ENOENT);
}

TEST_F(AtTest, ALinkIsMadeToTheObjectOfADescriptor) {
  const UniqueFd dir(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_TRUE(LinkDescriptorAt(Path("file").get(), dir.get(), "second"));
  EXPECT_EQ(StatOf(dir_ / "second").st_ino, StatOf(dir_ / "file").st_ino);
  ASSERT_TRUE(LinkDescriptorAt(Path("link").get(), dir.get(), "second_link"));
  EXPECT_TRUE(std::filesystem::is_symlink(dir_ / "second_link"));
}

TEST_F(AtTest, ADirectoryIsReadOnFromAnyPosition) {
  auto stream = DirectoryStream::Open(UniqueFd(::open(dir_.path().c_str(), O_RDONLY)));
  ASSERT_TRUE(stream);
  std::vector<DirectoryEntry> entries;
  while (auto entry = *stream->Next()) entries.push_back(*entry);
  ASSERT_EQ(entries.size(), 4u);
  for (size_t i = 0; i + 1 < entries.size(); ++i) {
    stream->Seek(entries[i].next_position);
    EXPECT_EQ((*stream->Next())->name, entries[i + 1].name);
  }
  stream->Seek(0);
  EXPECT_EQ((*stream->Next())->name, entries[0].name);
}

}  // namespace
}  // namespace gzipfs::test
