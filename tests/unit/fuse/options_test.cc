// Mount options: what each one sets, and what is said about wrong ones.
#include "fs/fuse/options.h"

#include <gtest/gtest.h>

namespace gzipfs {
namespace {

MountOptions Applied(std::string_view list) {
  MountOptions options;
  const auto applied = ApplyMountOptions(list, options);
  EXPECT_TRUE(applied) << list << ": " << applied.error();
  return options;
}

std::string Refused(std::string_view list) {
  MountOptions options;
  const auto applied = ApplyMountOptions(list, options);
  EXPECT_FALSE(applied) << list;
  return applied ? "" : applied.error();
}

TEST(Options, OwnOptionsAreSet) {
  const MountOptions options = Applied(
      "ro,allow_other,level=fast,block_size=1M,threads=3,cache=16M,dirty=8M,nowriteback,"
      "log=/var/log/x");
  EXPECT_TRUE(options.store.read_only);
  EXPECT_TRUE(options.allow_other);
  EXPECT_EQ(options.store.level, kLevelFast);
  EXPECT_EQ(options.store.block_bytes, kMiB);
  EXPECT_EQ(options.store.thread_count, 3u);
  EXPECT_EQ(options.store.cache_bytes, 16 * kMiB);
  EXPECT_EQ(options.store.dirty_bytes, 8 * kMiB);
  EXPECT_EQ(options.writeback, false);
  EXPECT_EQ(Applied("ro").writeback, std::nullopt);
  EXPECT_EQ(options.log, "/var/log/x");
  EXPECT_TRUE(options.kernel_options.empty());
}

TEST(Options, LevelIsAutoUnlessOneIsNamed) {
  EXPECT_EQ(Applied("").store.level, kLevelAuto);
  EXPECT_EQ(Applied("level=3,level=auto").store.level, kLevelAuto);
  EXPECT_EQ(Applied("level=6").store.level, 6);
}

TEST(Options, LastOneCounts) {
  const MountOptions options = Applied("ro,level=1,nowriteback,rw,level=9,writeback");
  EXPECT_FALSE(options.store.read_only);
  EXPECT_EQ(options.store.level, 9);
  EXPECT_EQ(options.writeback, true);
}

TEST(Options, WordsOfMountAndFstabAreUnderstood) {
  const MountOptions options = Applied(
      "rw,nosuid,nodev,noexec,noatime,defaults,user=joe,users,nofail,_netdev,noauto,"
      "x-systemd.automount,x-gvfs-show,comment=hello,relatime,fsname=abc,subtype=gzipfs,,");
  EXPECT_EQ(options.kernel_options, (std::vector<std::string>{"nosuid", "nodev", "noexec",
                                                              "noatime", "fsname=abc"}));
}

TEST(Options, EscapedCommaIsPartOfTheValue) {
  EXPECT_EQ(Applied("log=/a\\,b,ro").log, "/a,b");
}

TEST(Options, WrongOnesAreNamed) {
  EXPECT_EQ(Refused("rw,frobnicate"), "unknown option 'frobnicate'");
  EXPECT_EQ(Refused("frob=1"), "unknown option 'frob='");
  EXPECT_EQ(Refused("level"), "option 'level' needs a value: level=VALUE");
  EXPECT_EQ(Refused("level=13"), "option level= takes auto, fast or 1 to 12, not '13'");
  EXPECT_NE(Refused("block_size=100K").find("block_size= takes 64K"), std::string::npos);
  EXPECT_EQ(Refused("threads=0"), "option threads= takes 1 to 1024, not '0'");
  EXPECT_EQ(Refused("cache=lots"), "option cache= takes a size such as 64M, not 'lots'");
  EXPECT_NE(Refused("dirty=1K").find("from 1 MiB on"), std::string::npos);
}

}  // namespace
}  // namespace gzipfs
