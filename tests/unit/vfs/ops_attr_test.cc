// Owners, set-id bits and times, as SETATTR changes them.
#include <thread>

#include "tests/unit/vfs/vfs_fixture.h"

namespace gzipfs::test {
namespace {

constexpr Caller kStranger{.uid = 1000, .gid = 1000, .pid = 0};

class OpsAttrTest : public VfsFixture {
 protected:
  void SetMode(const std::string& name, mode_t mode) {
    ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node(name), {.mode = mode}, nullptr));
  }
  // Until a file changed now gets another change time than `name` has.
  void WaitForClock(const std::string& name) {
    const int64_t last = Nanoseconds(Attr(name).st_ctim);
    while (Nanoseconds(FileClockNow()) <= last) std::this_thread::yield();
  }
  int64_t ChangeTime(const std::string& name) { return Nanoseconds(Attr(name).st_ctim); }
};

// What the kernel sends for chown(path, -1, -1).
AttrChanges SameOwner() {
  AttrChanges changes;
  changes.uid = kSameUid;
  return changes;
}

TEST_F(OpsAttrTest, GivingAFileAwayDropsItsSetIdBits) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Make("a", "text");
  SetMode("a", 06755);
  AttrChanges changes;
  changes.gid = 1234;
  const auto changed = vfs_->SetAttr(kRootCaller, Node("a"), changes, nullptr);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->st_gid, 1234u);
  EXPECT_EQ(changed->st_mode & 07777, 0755u);
}

TEST_F(OpsAttrTest, AnOwnerOutsideTheFilesGroupLosesSetGroupIdOfSpecialFilesToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(vfs_->MakeNode(kRootCaller, kRootNodeId, "fifo", S_IFIFO | 0600, 0));
  AttrChanges changes;
  changes.uid = kStranger.uid;
  changes.gid = 1234;
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("fifo"), changes, nullptr));
  SetMode("fifo", 02744);
  changes = {};
  changes.gid = kStranger.gid;
  ASSERT_TRUE(vfs_->SetAttr(kStranger, Node("fifo"), changes, nullptr));
  EXPECT_EQ(Attr("fifo").st_mode & 07777, 0744u);
}

TEST_F(OpsAttrTest, AChangeToTheSameOwnerCountsAsOne) {
  Make("a", "text");
  SetMode("a", 04755);
  WaitForClock("a");
  const int64_t before = ChangeTime("a");
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("a"), SameOwner(), nullptr));
  EXPECT_EQ(Attr("a").st_mode & 07777, 0755u);
  EXPECT_GT(ChangeTime("a"), before);
}

TEST_F(OpsAttrTest, AStrangerMayNotDropSetIdBitsByAChangeToTheSameOwner) {
  Make("a", "text");
  EXPECT_EQ(ErrorOf(vfs_->SetAttr(kStranger, Node("a"), SameOwner(), nullptr)), 0);
  SetMode("a", 04755);
  EXPECT_EQ(ErrorOf(vfs_->SetAttr(kStranger, Node("a"), SameOwner(), nullptr)), EPERM);
  EXPECT_EQ(Attr("a").st_mode & 07777, 04755u);
}

TEST_F(OpsAttrTest, NoChangeAtAllIsTheSameOwnerButForRegularFiles) {
  const NodeId dir = MakeDir("d");
  Make("a", "text");
  SetMode("a", 04755);
  WaitForClock("d");
  WaitForClock("a");
  const int64_t dir_time = ChangeTime("d");
  const int64_t file_time = ChangeTime("a");
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, dir, {}, nullptr));
  EXPECT_GT(ChangeTime("d"), dir_time);
  ASSERT_TRUE(vfs_->SetAttr(kStranger, Node("a"), {}, nullptr)) << "it comes before a write";
  EXPECT_EQ(ChangeTime("a"), file_time);
  EXPECT_EQ(Attr("a").st_mode & 07777, 04755u);
}

TEST_F(OpsAttrTest, WithoutWritebackTruncationToTheSameSizeIsAModification) {
  Unmount();
  Mount(/*read_only=*/false, /*writeback=*/false);
  Make("a", "text");
  AttrChanges changes;
  changes.mtime = timespec{.tv_sec = 1000, .tv_nsec = 7};
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("a"), changes, nullptr));
  changes = {};
  changes.plain_bytes = 4;
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("a"), changes, nullptr));
  EXPECT_GT(Attr("a").st_mtim.tv_sec, 1000);
  FileHandle* handle = Open("a", O_RDWR);
  changes = {};
  changes.mtime = timespec{.tv_sec = 1000, .tv_nsec = 7};
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("a"), changes, nullptr));
  ASSERT_TRUE(vfs_->Allocate(kRootCaller, *handle, 0, 0, 3));
  EXPECT_GT(Attr("a").st_mtim.tv_sec, 1000);
  EXPECT_EQ(Attr("a").st_size, 4);
  Close(handle);
}

}  // namespace
}  // namespace gzipfs::test
