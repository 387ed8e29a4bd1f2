// Who stays known, by what, and for how long.
#include "fs/vfs/inode_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <thread>

#include "fs/sys/file_ops.h"

namespace gzipfs {
namespace {

struct stat Base(ino_t ino, mode_t type = S_IFREG, off_t size = 10) {
  struct stat base{};
  base.st_dev = 1;
  base.st_ino = ino;
  base.st_mode = type | 0644;
  base.st_size = size;
  return base;
}

class InodeTableTest : public ::testing::Test {
 protected:
  InodeRef Root() { return *table_.Get(kRootNodeId); }
  InodeRef EnterFile(ino_t ino, const std::string& name) {
    return table_.Enter(Root(), name, Base(ino), Form::kGzip);
  }
  InodeRef EnterDir(const InodeRef& parent, ino_t ino, const std::string& name) {
    return table_.Enter(parent, name, Base(ino, S_IFDIR), Form::kRaw);
  }
  // Ends a reference and tells how many inodes are left.
  size_t CountWithout(InodeRef& inode) {
    inode = InodeRef();
    return table_.inode_count();
  }

  InodeTable table_{Base(2, S_IFDIR), 16};
};

TEST_F(InodeTableTest, KnowsTheRootForGood) {
  table_.Forget(kRootNodeId, 100);
  EXPECT_TRUE(table_.Get(kRootNodeId));
  EXPECT_EQ(ErrnoOf(table_.Get(77).error()), ESTALE);
}

TEST_F(InodeTableTest, OneBaseIsOneInodeUntilEveryLookupIsForgotten) {
  InodeRef inode = EnterFile(100, "a.gz");
  const NodeId id = inode->id();
  EXPECT_EQ(EnterFile(100, "a.gz")->id(), id);
  EXPECT_EQ(CountWithout(inode), 2u);
  table_.Forget(id, 1);
  EXPECT_TRUE(table_.Get(id));
  table_.Forget(id, 1);
  EXPECT_FALSE(table_.Get(id));
  EXPECT_NE(EnterFile(100, "a.gz")->id(), id) << "a node id was used twice";
}

TEST_F(InodeTableTest, StaysWhileSomebodyWorksWithIt) {
  InodeRef inode = EnterFile(100, "a.gz");
  table_.Forget(inode->id(), 1);
  EXPECT_TRUE(table_.Get(inode->id()));
  InodeRef second = inode;
  EXPECT_EQ(CountWithout(inode), 2u);
  EXPECT_EQ(CountWithout(second), 1u);
}

TEST_F(InodeTableTest, AParentStaysWhileAChildNeedsIt) {
  InodeRef dir = EnterDir(Root(), 100, "d");
  InodeRef file = table_.Enter(dir, "f.gz", Base(101), Form::kGzip);
  const NodeId dir_id = dir->id();
  table_.Forget(dir_id, 1);
  EXPECT_EQ(CountWithout(dir), 3u);
  table_.Forget(file->id(), 1);
  EXPECT_EQ(CountWithout(file), 1u);
}

TEST_F(InodeTableTest, ForgetsAChainOfAnyDepth) {
  constexpr int kDepth = 100000;
  std::vector<NodeId> ids;
  InodeRef dir = Root();
  for (int i = 0; i < kDepth; ++i) {
    dir = EnterDir(dir, 1000 + i, "d");
    ids.push_back(dir->id());
  }
  for (const NodeId id : ids) table_.Forget(id, 1);
  EXPECT_EQ(table_.inode_count(), kDepth + 1u);
  EXPECT_EQ(CountWithout(dir), 1u);
}

TEST_F(InodeTableTest, FormAndTypeTellInodesApart) {
  const InodeRef plain = EnterFile(100, "a.gz");
  const InodeRef raw = table_.Enter(Root(), "b", Base(100), Form::kRaw);
  const InodeRef fifo =
      table_.Enter(Root(), "c", Base(100, S_IFIFO), Form::kRaw);
  EXPECT_NE(plain->id(), raw->id());
  EXPECT_NE(raw->id(), fifo->id());
}

TEST_F(InodeTableTest, TheNewestNameComesFirstAndOthersStayKnown) {
  const InodeRef inode = EnterFile(100, "a.gz");
  EnterFile(100, "b.gz");
  EXPECT_EQ(table_.PlaceOf(inode)->store_name, "b.gz");
  EnterFile(100, "a.gz");
  EXPECT_EQ(table_.PlaceOf(inode)->store_name, "a.gz");
  table_.RemovePlace(inode, Root(), "a.gz");
  EXPECT_EQ(table_.PlaceOf(inode)->store_name, "b.gz");
  table_.RemovePlace(inode, Root(), "b.gz");
  EXPECT_FALSE(table_.PlaceOf(inode));
}

TEST_F(InodeTableTest, KeepsABoundedNumberOfNames) {
  const InodeRef inode = EnterFile(100, "first.gz");
  for (size_t i = 0; i < 10 * kMaxAliases; ++i) EnterFile(100, std::to_string(i) + ".gz");
  EXPECT_FALSE(table_.HasPlace(inode, {Root(), "first.gz"}));
  EXPECT_TRUE(table_.HasPlace(inode, {Root(), std::to_string(10 * kMaxAliases - 1) + ".gz"}));
}

TEST_F(InodeTableTest, ADirectoryHasOneName) {
  const InodeRef dir = EnterDir(Root(), 100, "old");
  EnterDir(Root(), 100, "new");
  EXPECT_EQ(table_.PlaceOf(dir)->store_name, "new");
  EXPECT_FALSE(table_.HasPlace(dir, {Root(), "old"}));
}

TEST_F(InodeTableTest, AfterTheLastLinkIsRemovedItsNumberMayComeBack) {
  const InodeRef inode = EnterFile(100, "a.gz");
  table_.NameRemoved(inode, Root(), "a.gz", true);
  const InodeRef next = EnterFile(100, "a.gz");
  EXPECT_NE(next->id(), inode->id());
  EXPECT_TRUE(table_.Get(inode->id())) << "the kernel still knows the removed file";
}

TEST_F(InodeTableTest, ANewFileNeverIsAKnownInode) {
  const InodeRef stale = EnterFile(100, "a.gz");  // removed behind the mount
  const InodeRef made = table_.EnterNew(Root(), "b.gz", Base(100), Form::kGzip);
  EXPECT_NE(made->id(), stale->id());
}

TEST_F(InodeTableTest, AReplacedBaseKeepsInodeAndShownNumber) {
  const InodeRef inode = EnterFile(100, "a.gz");
  table_.Rekey(inode, Base(200));
  EXPECT_EQ(inode->shown_ino(), 100u);
  EXPECT_EQ(EnterFile(200, "a.gz")->id(), inode->id());
  EXPECT_EQ(table_.ShownInoOf(Base(200), Form::kGzip), 100u);
  EXPECT_TRUE(table_.IsBaseOf(inode, Base(200)));
  EXPECT_FALSE(table_.IsBaseOf(inode, Base(100)));
}

TEST_F(InodeTableTest, NoTwoFilesShowOneNumber) {
  InodeRef first = EnterFile(100, "a.gz");
  table_.Rekey(first, Base(200));
  InodeRef second = EnterFile(100, "b.gz");  // the filesystem gave the number to the next file
  EXPECT_NE(second->shown_ino(), first->shown_ino());
  // When both have gone, the number is free again.
  table_.Rekey(second, Base(300));
  table_.Rekey(first, Base(201));
  table_.Forget(first->id(), 1);
  table_.Forget(second->id(), 1);
  first = second = InodeRef();
  EXPECT_EQ(EnterFile(100, "c.gz")->shown_ino(), 100u);
}

TEST_F(InodeTableTest, WhileABaseIsReplacedItsNameLeadsToTheInode) {
  const InodeRef inode = EnterFile(100, "a.gz");
  table_.BeginReplace(inode, {Root(), "a.gz"});
  EXPECT_EQ(EnterFile(200, "a.gz")->id(), inode->id());
  EXPECT_EQ(table_.Find(Root(), "a.gz", Base(200), Form::kGzip), inode);
  EXPECT_FALSE(table_.Find(Root(), "b.gz", Base(200), Form::kGzip));
  EXPECT_TRUE(table_.IsBaseOf(inode, Base(200)));
  table_.EndReplace(inode);
  EXPECT_FALSE(table_.IsBaseOf(inode, Base(200)));
}

TEST_F(InodeTableTest, ALookAtTheBaseBeforeCostsAnInodeNoName) {
  const InodeRef inode = EnterFile(100, "a.gz");
  const uint32_t before = table_.RekeyCount(inode);
  table_.Rekey(inode, Base(200));
  table_.DisownPlace(inode, {Root(), "a.gz"}, before);
  EXPECT_TRUE(table_.PlaceOf(inode));
  table_.DisownPlace(inode, {Root(), "a.gz"}, table_.RekeyCount(inode));
  EXPECT_FALSE(table_.PlaceOf(inode));
}

TEST_F(InodeTableTest, AFileChangedBehindTheMountMakesWayForANewInode) {
  const InodeRef inode = EnterFile(100, "a.gz");
  table_.Remember(inode, Base(100, S_IFREG, 10), 55);
  EXPECT_FALSE(table_.DoubtOf(Base(100), Form::kGzip));
  const struct stat changed = Base(100, S_IFREG, 20);
  const auto doubt = table_.DoubtOf(changed, Form::kGzip);
  ASSERT_TRUE(doubt);
  EXPECT_TRUE(table_.ResolveDoubt(*doubt, changed));
  const InodeRef fresh = table_.Enter(Root(), "a.gz", changed, Form::kGzip);
  EXPECT_NE(fresh->id(), inode->id());
  EXPECT_FALSE(table_.SetOpen(inode)) << "two open files for one base";
  EXPECT_TRUE(table_.SetOpen(fresh));
}

TEST_F(InodeTableTest, AnOpenFileIsNeverTakenForChangedBehindTheMount) {
  const InodeRef inode = EnterFile(100, "a.gz");
  table_.Remember(inode, Base(100), 55);
  ASSERT_TRUE(table_.SetOpen(inode));
  const struct stat grown = Base(100, S_IFREG, 999);
  EXPECT_FALSE(table_.DoubtOf(grown, Form::kGzip));
  table_.SetClosed(inode, grown, 5000);
  EXPECT_FALSE(table_.DoubtOf(grown, Form::kGzip));
  EXPECT_EQ(table_.KnownPlainBytes(inode, grown), 5000u);
}

TEST_F(InodeTableTest, OurOwnChangesOfAttributesAreNotChangesBehindTheMount) {
  const InodeRef inode = EnterFile(100, "a.gz");
  const struct stat before = Base(100);
  table_.Remember(inode, before, 55);
  struct stat after = before;
  after.st_mtim.tv_sec = 1234567890;
  after.st_ctim.tv_sec = 1;
  table_.BeginOwnChange(inode);
  EXPECT_FALSE(table_.DoubtOf(after, Form::kGzip));
  table_.EndOwnChange(inode, &before, &after);
  EXPECT_EQ(table_.KnownPlainBytes(inode, after), 55u);
  EXPECT_FALSE(table_.DoubtOf(after, Form::kGzip));
}

TEST_F(InodeTableTest, ADoubtIsDroppedWhenAChangeOfOursCameBetween) {
  const InodeRef inode = EnterFile(100, "a.gz");
  const struct stat now = Base(100);
  table_.Remember(inode, now, 55);
  const struct stat seen_before = Base(100, S_IFREG, 9);  // read before the file was closed
  const auto doubt = table_.DoubtOf(seen_before, Form::kGzip);
  ASSERT_TRUE(doubt);
  EXPECT_FALSE(table_.ResolveDoubt(*doubt, now)) << "the second look shows what is known";
  table_.BeginOwnChange(inode);
  table_.EndOwnChange(inode, nullptr, nullptr);
  EXPECT_FALSE(table_.ResolveDoubt(*doubt, seen_before));
}

TEST_F(InodeTableTest, AFileIsKnownForGzipWhileItIsOpenOrAsItWas) {
  const InodeRef inode = EnterFile(100, "a.gz");
  EXPECT_FALSE(table_.IsKnownGzip(Base(100)));
  ASSERT_TRUE(table_.SetOpen(inode));
  EXPECT_TRUE(table_.IsKnownGzip(Base(100, S_IFREG, 77))) << "its bytes may be cut and written";
  table_.SetClosed(inode, Base(100), 55);
  EXPECT_TRUE(table_.IsKnownGzip(Base(100)));
  EXPECT_FALSE(table_.IsKnownGzip(Base(100, S_IFREG, 77)));
}

TEST_F(InodeTableTest, PagesAreKeptOnlyOfAnUnchangedFile) {
  const InodeRef inode = EnterFile(100, "a.gz");
  EXPECT_TRUE(table_.MayKeepPages(inode, Base(100)));
  ASSERT_TRUE(table_.SetOpen(inode));
  table_.SetClosed(inode, Base(100), 55);
  EXPECT_TRUE(table_.MayKeepPages(inode, Base(100)));
  EXPECT_FALSE(table_.MayKeepPages(inode, Base(100, S_IFREG, 11)));
  ASSERT_TRUE(table_.SetOpen(inode));
  table_.SetClosedInDoubt(inode);
  EXPECT_FALSE(table_.MayKeepPages(inode, Base(100)));
}

TEST_F(InodeTableTest, KeepsAPinOnlyForTheLastNameAndNotTooMany) {
  const auto open = [] { return std::move(*RealFileOps().OpenAt(AT_FDCWD, "/", O_PATH, 0)); };
  const InodeRef linked = EnterFile(100, "a.gz");
  EnterFile(100, "b.gz");
  table_.Pin(linked, open());
  EXPECT_FALSE(table_.PinOf(linked));
  int pinned = 0;
  for (ino_t ino = 200; ino < 300; ++ino) {
    const InodeRef inode = EnterFile(ino, std::to_string(ino));
    table_.Pin(inode, open());
    pinned += table_.PinOf(inode) ? 1 : 0;
  }
  EXPECT_EQ(pinned, 16);
  const InodeRef another = EnterFile(500, "another");
  table_.Pin(another, open());
  EXPECT_FALSE(table_.PinOf(another));
  table_.Unpin(*table_.Get(3));  // the first of them: its name stays after all
  table_.Pin(another, open());
  EXPECT_TRUE(table_.PinOf(another));
}

TEST_F(InodeTableTest, ManyThreadsMayLookUpAndForget) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20000; ++i) {
        const InodeRef inode = EnterFile(100 + i % 7, "f" + std::to_string(t));
        InodeRef copy = inode;
        table_.Forget(inode->id(), 1);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(table_.inode_count(), 1u);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(InodeTableTest, AKnownInodeCostsLessThan512Bytes) {
  constexpr size_t kCount = 100000;
  const InodeRef root = Root();
  const size_t before = ::mallinfo2().uordblks;
  for (size_t i = 0; i < kCount; ++i) {
    // A usual name: too long to be kept inside std::string.
    EnterFile(1000 + i, "a_source_file_" + std::to_string(i) + ".cc.gz");
  }
  const size_t each = (::mallinfo2().uordblks - before) / kCount;
  EXPECT_LE(each, 512u);
  RecordProperty("bytes_per_inode", static_cast<int>(each));
}
#endif

}  // namespace
}  // namespace gzipfs
