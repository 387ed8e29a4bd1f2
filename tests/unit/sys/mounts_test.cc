// Reading the kernel's list of mounts.
#include "fs/sys/mounts.h"

#include <gtest/gtest.h>

namespace gzipfs {
namespace {

constexpr char kText[] =
    "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "30 21 0:40 / /mnt/a\\040b rw,nosuid - fuse.gzipfs /srv/my\\040store rw,user_id=0\n"
    "31 21 0:41 / /mnt/plain rw shared:2 master:1 - fuse.gzipfs /srv/one rw\n"
    "nonsense\n"
    "32 21 0:42 / /mnt/plain rw - fuse.gzipfs /srv/two rw\n";

TEST(Mounts, LinesAreReadAndUnescaped) {
  const auto mounts = ParseMounts(kText);
  ASSERT_EQ(mounts.size(), 4u);
  EXPECT_EQ(mounts[1].mount_point, "/mnt/a b");
  EXPECT_EQ(mounts[1].source, "/srv/my store");
  EXPECT_EQ(mounts[1].type, kMountType);
  EXPECT_EQ(mounts[1].device, "0:40");
  EXPECT_EQ(mounts[2].source, "/srv/one");
}

TEST(Mounts, PathIsFoundInTheInnermostAndLastMount) {
  const auto mounts = ParseMounts(kText);
  EXPECT_EQ(FindMountOf(mounts, "/mnt/plain/x/y")->source, "/srv/two");
  EXPECT_EQ(FindMountOf(mounts, "/mnt/plain")->source, "/srv/two");
  EXPECT_EQ(FindMountOf(mounts, "/mnt/plainer")->source, "/dev/vda");
  EXPECT_EQ(FindMountOf(mounts, "/")->source, "/dev/vda");
}

TEST(Mounts, InsideIsByWholeNames) {
  EXPECT_TRUE(IsInside("/a/b", "/a"));
  EXPECT_TRUE(IsInside("/a", "/a"));
  EXPECT_TRUE(IsInside("/a", "/"));
  EXPECT_FALSE(IsInside("/ab", "/a"));
  EXPECT_FALSE(IsInside("/", "/a"));
}

TEST(Mounts, OwnListHasTheRoot) {
  const auto mounts = ReadMounts();
  ASSERT_TRUE(mounts);
  EXPECT_TRUE(FindMountOf(*mounts, "/"));
}

}  // namespace
}  // namespace gzipfs
