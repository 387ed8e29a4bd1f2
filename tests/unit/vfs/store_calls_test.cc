// What operations ask of the store: how many calls those take that programs make by the
// thousand, and that what saves a call shows nothing but the truth.
#include <map>

#include "tests/unit/vfs/vfs_fixture.h"

namespace gzipfs::test {
namespace {

constexpr timespec kLongAgo{.tv_sec = 1000, .tv_nsec = 7};

class StoreCallsTest : public VfsFixture {
 protected:
  // What `operation` calls, and how often.
  template <typename Operation>
  std::map<Call, int> CallsOf(Operation operation) {
    std::map<Call, int> calls;
    ops_.before = [&](Call call) {
      ++calls[call];
      return 0;
    };
    operation();
    ops_.before = nullptr;
    return calls;
  }
  AttrChanges WithTime(const timespec& mtime) {
    AttrChanges changes;
    changes.mtime = mtime;
    return changes;
  }
};

TEST_F(StoreCallsTest, ANewSmallFileIsOneOpenAndOneWrite) {
  Make("warm", "text");
  auto calls = CallsOf([&] { Make("a", "text"); });
  EXPECT_EQ(calls[Call::kOpen], 1);
  EXPECT_EQ(calls[Call::kWrite], 1);
  EXPECT_EQ(calls[Call::kRead], 0);
  EXPECT_LE(calls[Call::kSetTimes], 1);
  EXPECT_LE(calls[Call::kStat], 10);
}

TEST_F(StoreCallsTest, ANewEntryIsLookedForOnce) {
  const auto create = [&] {
    return CallsOf([&] {
      const auto made = vfs_->Create(kRootCaller, kRootNodeId, "a", 0644, O_RDWR | O_EXCL);
      ASSERT_TRUE(made);
      EXPECT_EQ(made->entry.attr.st_size, 0);
      EXPECT_EQ(made->entry.attr.st_nlink, 1u);
      Close(made->opened.handle);
    });
  };
  auto calls = create();
  EXPECT_LE(calls[Call::kStat], 9);  // two of them by Create itself
  EXPECT_EQ(TryMake("a", "text"), EEXIST);
  PutInStore("raw", "not gzip");
  EXPECT_EQ(TryMake("raw", "text"), EEXIST);
  PutInStore("also.gz", "not gzip either");  // shown as also.gz
  EXPECT_EQ(TryMake("also", "text"), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->MakeDirectory(kRootCaller, kRootNodeId, "a", 0755)), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->MakeDirectory(kRootCaller, kRootNodeId, "a.gz", 0755)), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->MakeSymlink(kRootCaller, kRootNodeId, "a", "x")), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->Link(Node("raw"), kRootNodeId, "a")), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->Link(Node("a"), kRootNodeId, "raw")), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->Link(Node("a"), kRootNodeId, "also")), EEXIST);
}

TEST_F(StoreCallsTest, AKnownFileIsFoundByTwoLooks) {
  Make("a", "text");
  Unmount();
  Mount();
  auto first = CallsOf([&] { EXPECT_NE(Node("a"), 0u); });
  EXPECT_EQ(first[Call::kOpen], 1);
  EXPECT_EQ(first[Call::kRead], 2);
  EXPECT_EQ(first[Call::kStat], 3);
  auto second = CallsOf([&] { EXPECT_NE(Node("a"), 0u); });
  EXPECT_EQ(second[Call::kOpen] + second[Call::kRead], 0);
  EXPECT_EQ(second[Call::kStat], 2);
}

TEST_F(StoreCallsTest, AFileThatGoesIsNotRead) {
  Make("a", "text");
  Make("b", "longer text");
  EXPECT_EQ(ErrorOf(vfs_->Link(Node("b"), kRootNodeId, "c")), 0);
  EXPECT_EQ(Attr("c").st_size, 11);
  const NodeId a = Node("a");
  const timespec mtime = Attr("a").st_mtim;
  auto calls = CallsOf([&] {
    EXPECT_EQ(Unlink("a"), 0);
    const auto attr = vfs_->SetAttr(kRootCaller, a, WithTime(mtime), nullptr);  // as the kernel
    ASSERT_TRUE(attr);
    EXPECT_EQ(attr->st_size, 4);
    EXPECT_EQ(attr->st_nlink, 0u);
  });
  EXPECT_EQ(calls[Call::kRead], 0);
  EXPECT_EQ(calls[Call::kOpen], 1);
  EXPECT_LE(calls[Call::kStat], 6);
  EXPECT_EQ(CallsOf([&] { EXPECT_EQ(Unlink("c"), 0); })[Call::kRead], 0);
  EXPECT_EQ(Attr("b").st_size, 11);
}

TEST_F(StoreCallsTest, AFileWithoutANameTakesAnotherTime) {
  Make("a", "text");
  const NodeId node = Node("a");
  EXPECT_EQ(Unlink("a"), 0);
  const auto changed = vfs_->SetAttr(kRootCaller, node, WithTime(kLongAgo), nullptr);
  ASSERT_TRUE(changed);
  EXPECT_EQ(Nanoseconds(changed->st_mtim), Nanoseconds(kLongAgo));
  EXPECT_EQ(changed->st_size, 4);
}

TEST_F(StoreCallsTest, AChangeBehindTheMountIsNoPartOfARemoval) {
  Make("a", "text");
  EXPECT_EQ(ErrorOf(vfs_->Link(Node("a"), kRootNodeId, "b")), 0);
  Make("other", "of another size");
  EXPECT_EQ(Attr("b").st_size, 4);
  // The bytes change in place, as by cp(1), just before the name goes.
  const Buffer bytes = ReadFile(StorePath("other.gz"));
  ops_.before = [&](Call call) {
    if (call == Call::kUnlink) WriteFile(StorePath("a.gz"), bytes);
    return 0;
  };
  EXPECT_EQ(Unlink("a"), 0);
  ops_.before = nullptr;
  EXPECT_EQ(Attr("b").st_size, 15);
}

TEST_F(StoreCallsTest, AFileReplacedWhileItIsLookedUpIsReadAsItIs) {
  Make("a", "text");
  Make("other", std::string(100000, 'x') + "of another size");
  Unmount();
  Mount();
  bool is_done = false;
  ops_.before = [&](Call call) {
    if (call == Call::kOpen && !is_done) {
      is_done = true;
      std::filesystem::rename(StorePath("other.gz"), StorePath("a.gz"));
    }
    return 0;
  };
  (void)Node("a");
  ops_.before = nullptr;
  EXPECT_TRUE(is_done);
  EXPECT_EQ(Attr("a").st_size, 100015);
  EXPECT_EQ(Text("a").size(), 100015u);
}

}  // namespace
}  // namespace gzipfs::test
