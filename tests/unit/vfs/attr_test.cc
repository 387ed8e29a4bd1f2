// The set-id bits that a file loses when it is changed or given away.
#include "fs/vfs/attr.h"

#include <gtest/gtest.h>

namespace gzipfs::test {
namespace {

constexpr Caller kRootUser{.uid = 0, .gid = 0, .pid = 0};
constexpr Caller kInGroup{.uid = 1000, .gid = 50, .pid = 0};
constexpr Caller kOutsideGroup{.uid = 1000, .gid = 1000, .pid = 0};

mode_t ModeAfter(const Caller& caller, mode_t mode) {
  struct stat base{};
  base.st_mode = S_IFREG | mode;
  base.st_gid = 50;
  return ModeWithoutSetIds(caller, base) & 07777;
}

TEST(AttrTest, SetUserIdAlwaysGoes) {
  for (const Caller& caller : {kRootUser, kInGroup, kOutsideGroup}) {
    EXPECT_EQ(ModeAfter(caller, 04755), 0755u);
    EXPECT_EQ(ModeAfter(caller, 04644), 0644u);
    EXPECT_EQ(ModeAfter(caller, 01777), 01777u);
  }
}

TEST(AttrTest, SetGroupIdGoesWhereItIsOne) {
  for (const Caller& caller : {kRootUser, kInGroup, kOutsideGroup}) {
    EXPECT_EQ(ModeAfter(caller, 02755), 0755u);
  }
}

TEST(AttrTest, WithoutGroupExecutionTheGroupsMembersKeepSetGroupId) {
  EXPECT_EQ(ModeAfter(kRootUser, 06745), 02745u);
  EXPECT_EQ(ModeAfter(kInGroup, 06745), 02745u);
  EXPECT_EQ(ModeAfter(kOutsideGroup, 06745), 0745u);
}

}  // namespace
}  // namespace gzipfs::test
