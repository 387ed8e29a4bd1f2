// The kernel's calls behind FileOps: whole transfers or an error.
#include "fs/sys/file_ops.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {
namespace {

class FileOpsTest : public ::testing::Test {
 protected:
  int Open(const std::string& name) {
    auto fd = ops_.OpenAt(AT_FDCWD, (dir_ / name).c_str(), O_RDWR | O_CREAT, 0644);
    EXPECT_TRUE(fd);
    fds_.push_back(std::move(*fd));
    return fds_.back().get();
  }
  Buffer Random(size_t byte_count) {
    Buffer bytes(byte_count);
    for (size_t i = 0; i < byte_count; ++i) {
      bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
    }
    return bytes;
  }

  FileOps& ops_ = RealFileOps();
  TempDir dir_;
  std::vector<UniqueFd> fds_;
};

TEST_F(FileOpsTest, DescriptorsAreClosedOnExec) {
  const int fd = Open("a");
  EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  const auto copy = ops_.Duplicate(fd);
  ASSERT_TRUE(copy);
  EXPECT_EQ(::fcntl(copy->get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(FileOpsTest, AReadIsShortOnlyAtTheEnd) {
  const int fd = Open("a");
  const Buffer bytes = Random(10000);
  ASSERT_TRUE(ops_.WriteAt(fd, 5, bytes));
  Buffer out(20000);
  EXPECT_EQ(*ops_.ReadAt(fd, 5, out), 10000u);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), out.begin()));
  EXPECT_EQ(*ops_.ReadAt(fd, 99999, out), 0u);
}

TEST_F(FileOpsTest, AVectorOfAnyLengthIsWrittenWhole) {
  const int fd = Open("a");
  Buffer bytes = Random(5000);
  std::vector<iovec> parts;  // more than one call takes (IOV_MAX is 1024), empty ones too
  for (size_t i = 0; i < bytes.size(); i += 2) {
    parts.push_back({&bytes[i], 2});
    parts.push_back({nullptr, 0});
  }
  ASSERT_TRUE(ops_.WriteVectorAt(fd, 100, parts));
  Buffer out(5000);
  EXPECT_EQ(*ops_.ReadAt(fd, 100, out), 5000u);
  EXPECT_EQ(out, bytes);
}

TEST_F(FileOpsTest, ErrorsAreErrnoValues) {
  EXPECT_EQ(ErrnoOf(ops_.OpenAt(AT_FDCWD, (dir_ / "no").c_str(), O_RDONLY, 0).error()), ENOENT);
  EXPECT_EQ(ErrnoOf(ops_.WriteAt(-1, 0, Random(1)).error()), EBADF);
  EXPECT_EQ(ErrnoOf(ops_.StatAt(AT_FDCWD, (dir_ / "no").c_str()).error()), ENOENT);
}

TEST_F(FileOpsTest, ARangeIsCopiedWithinAndAcrossFilesystems) {
  const Buffer bytes = Random(700000);
  const int from = Open("from");
  ASSERT_TRUE(ops_.WriteAt(from, 0, bytes));
  std::string pattern = "/dev/shm/gzipfs_test.XXXXXX";
  const UniqueFd elsewhere(::mkstemp(pattern.data()));
  ASSERT_TRUE(elsewhere);
  ::unlink(pattern.c_str());
  for (const int to : {Open("to"), elsewhere.get()}) {
    ASSERT_TRUE(ops_.CopyRange(from, 1000, to, 50, 600000));
    Buffer out(600000);
    EXPECT_EQ(*ops_.ReadAt(to, 50, out), out.size());
    EXPECT_TRUE(std::equal(out.begin(), out.end(), bytes.begin() + 1000));
    EXPECT_EQ(ops_.Stat(to)->st_size, 600050);
  }
}

TEST_F(FileOpsTest, CopyingMoreThanThereIsFails) {
  const int from = Open("from");
  ASSERT_TRUE(ops_.WriteAt(from, 0, Random(1000)));
  EXPECT_EQ(ErrnoOf(ops_.CopyRange(from, 500, Open("to"), 0, 501).error()), EIO);
}

TEST_F(FileOpsTest, AttributesOfTheSourceAreAllTheTargetHas) {
  const int from = Open("from");
  const int to = Open("to");
  if (::fsetxattr(from, "user.a", "1", 1, 0) != 0) GTEST_SKIP() << "no extended attributes here";
  const std::string large(2000, 'x');
  ASSERT_EQ(::fsetxattr(from, "user.large", large.data(), large.size(), 0), 0);
  ASSERT_EQ(::fsetxattr(to, "user.other", "2", 1, 0), 0);
  ASSERT_TRUE(ops_.CopyAttributes(from, to));
  char value[4000];
  EXPECT_EQ(::fgetxattr(to, "user.a", value, sizeof value), 1);
  EXPECT_EQ(::fgetxattr(to, "user.large", value, sizeof value), 2000);
  EXPECT_EQ(::fgetxattr(to, "user.other", value, sizeof value), -1);
}

}  // namespace
}  // namespace gzipfs::test
