// Acting as somebody else, one thread at a time. Needs root; else skipped.
#include "fs/sys/credentials.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {
namespace {

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ::chmod(dir_.path().c_str(), 0777);
  }
  int MakeFile(const std::string& name, mode_t mode = 0644) {
    const UniqueFd fd(::open((dir_ / name).c_str(), O_CREAT | O_EXCL | O_WRONLY, mode));
    return fd ? 0 : errno;
  }

  TempDir dir_;
};

TEST_F(CredentialsTest, FilesAreMadeAsTheCallerAndThenAsRootAgain) {
  {
    const CredentialsGuard guard({.uid = 1234, .gid = 2345, .pid = 0});
    ASSERT_TRUE(guard.holds());
    ASSERT_EQ(MakeFile("caller"), 0);
  }
  ASSERT_EQ(MakeFile("root"), 0);
  EXPECT_EQ(StatOf(dir_ / "caller").st_uid, 1234u);
  EXPECT_EQ(StatOf(dir_ / "caller").st_gid, 2345u);
  EXPECT_EQ(StatOf(dir_ / "root").st_uid, 0u);
  EXPECT_EQ(StatOf(dir_ / "root").st_gid, ::getegid());
}

TEST_F(CredentialsTest, TheCallersRightsAreAllThatThereIs) {
  ::chmod(dir_.path().c_str(), 0755);
  {
    const CredentialsGuard guard({.uid = 1234, .gid = 2345, .pid = 0});
    EXPECT_EQ(MakeFile("a"), EACCES);
  }
  EXPECT_EQ(MakeFile("a"), 0);
}

TEST_F(CredentialsTest, SupplementaryGroupsAreThoseOfTheCallingProcess) {
  // A child with the group; the directory may be written by that group alone.
  ASSERT_EQ(::chown(dir_.path().c_str(), 0, 3456), 0);
  ::chmod(dir_.path().c_str(), 0770);
  int started[2];
  int done[2];
  ASSERT_EQ(::pipe(started), 0);
  ASSERT_EQ(::pipe(done), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const gid_t groups[] = {3456, 4567};
    const bool is_set = ::setgroups(2, groups) == 0;
    char byte = is_set ? 'y' : 'n';
    (void)!::write(started[1], &byte, 1);
    (void)!::read(done[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 'n';
  ASSERT_EQ(::read(started[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  EXPECT_THAT(SupplementaryGroupsOf(child), ::testing::UnorderedElementsAre(3456, 4567));
  for (const gid_t gid : {2345, 3456, 4567}) {
    EXPECT_TRUE(IsInGroup({.uid = 1234, .gid = 2345, .pid = child}, gid)) << gid;
  }
  EXPECT_FALSE(IsInGroup({.uid = 1234, .gid = 2345, .pid = child}, 5678));
  {
    const CredentialsGuard guard({.uid = 1234, .gid = 2345, .pid = child});
    EXPECT_EQ(MakeFile("a"), 0);
  }
  {
    const CredentialsGuard guard({.uid = 1234, .gid = 2345, .pid = 0});
    EXPECT_EQ(MakeFile("b"), EACCES);
  }
  (void)!::write(done[1], &byte, 1);
  ::waitpid(child, nullptr, 0);
  for (const int fd : {started[0], started[1], done[0], done[1]}) ::close(fd);
}

TEST_F(CredentialsTest, OtherThreadsStayRoot) {
  std::atomic<bool> is_switched{false};
  std::atomic<bool> may_end{false};
  std::thread other([&] {
    const CredentialsGuard guard({.uid = 1234, .gid = 2345, .pid = 0});
    is_switched = true;
    is_switched.notify_one();
    may_end.wait(false);
  });
  is_switched.wait(false);
  EXPECT_EQ(MakeFile("root"), 0);
  EXPECT_EQ(StatOf(dir_ / "root").st_uid, 0u);
  may_end = true;
  may_end.notify_one();
  other.join();
}

TEST_F(CredentialsTest, RootStaysWhatItIs) {
  const CredentialsGuard guard({.uid = 0, .gid = 0, .pid = ::getpid()});
  EXPECT_TRUE(guard.holds());
  EXPECT_EQ(MakeFile("a"), 0);
}

TEST(SupplementaryGroups, OfNoProcessAreNone) {
  EXPECT_TRUE(SupplementaryGroupsOf(0).empty());
  EXPECT_TRUE(SupplementaryGroupsOf(-1).empty());
}

}  // namespace
}  // namespace gzipfs::test
