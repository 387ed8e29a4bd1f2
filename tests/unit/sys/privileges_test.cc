// What a write takes from a file: given back afterwards, and never seen to be missing.
#include "fs/sys/privileges.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "fs/sys/at.h"
#include "fs/sys/xattr.h"
#include "tests/unit/capability.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs {
namespace {

class PrivilegesTest : public ::testing::Test {
 protected:
  UniqueFd Make(const char* name, mode_t mode) {
    UniqueFd fd(::open((dir_ / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_TRUE(ChangeMode(fd.get(), mode));
    return fd;
  }
  mode_t ModeSeen(int fd) {
    const auto found = view_.Stat(RealFileOps(), fd);
    EXPECT_TRUE(found);
    return found ? found->st_mode & 07777 : 0;
  }

  test::TempDir dir_;
  PrivilegeView view_;
};

TEST_F(PrivilegesTest, SetIdBitsAreSeenWhileAWriteHasTakenThemAway) {
  const UniqueFd fd = Make("file", 04755);
  {
    const KeptPrivileges kept(fd.get(), &view_);
    ASSERT_TRUE(ChangeMode(fd.get(), 0755));  // as a write by an ordinary user does
    EXPECT_EQ(ModeSeen(fd.get()), 04755u);
  }
  EXPECT_EQ(ModeSeen(fd.get()), 04755u);
  ASSERT_TRUE(ChangeMode(fd.get(), 0755));
  EXPECT_EQ(ModeSeen(fd.get()), 0755u);
}

TEST_F(PrivilegesTest, CapabilitiesAreSeenWhileAWriteHasTakenThemAway) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const UniqueFd fd = Make("file", 0755);
  ASSERT_TRUE(SetXattr(fd.get(), kCapabilityXattr, test::SomeCapability(), 0));
  {
    const KeptPrivileges kept(fd.get(), &view_);
    ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
    ASSERT_FALSE(GetXattr(fd.get(), kCapabilityXattr));
    EXPECT_TRUE(view_.Capability(fd.get()));
  }
  EXPECT_TRUE(GetXattr(fd.get(), kCapabilityXattr));
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
  EXPECT_FALSE(view_.Capability(fd.get()));
}

TEST_F(PrivilegesTest, WhatIsGivenAddsToWhatIsThere) {
  const UniqueFd from = Make("from", 04711);
  const UniqueFd to = Make("to", 0640);
  EXPECT_TRUE(GivePrivileges(from.get(), to.get()));
  EXPECT_EQ(ModeSeen(to.get()), 04640u);
  EXPECT_FALSE(GivePrivileges(Make("plain", 0755).get(), to.get()));
  EXPECT_EQ(ModeSeen(to.get()), 04640u);
}

}  // namespace
}  // namespace gzipfs
