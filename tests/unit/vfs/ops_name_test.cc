// Operations on names: creating, renaming, linking, removing.
#include <linux/fs.h>

#include <atomic>
#include <thread>

#include "tests/unit/vfs/vfs_fixture.h"

namespace gzipfs::test {
namespace {

class OpsNameTest : public VfsFixture {};

TEST_F(OpsNameTest, ARegularFileLiesInTheStoreWithTheSuffix) {
  Make("a", "hello");
  EXPECT_TRUE(IsInStore("a.gz"));
  EXPECT_FALSE(IsInStore("a"));
  EXPECT_EQ(GunzipAll(ReadFile(StorePath("a.gz"))).value(), FromText("hello"));
  EXPECT_EQ(Attr("a").st_size, 5);
  EXPECT_FALSE(Exists("a.gz"));
}

TEST_F(OpsNameTest, ANodeWithoutBytesIsGzipToo) {
  ASSERT_TRUE(vfs_->MakeNode(kRootCaller, kRootNodeId, "a", S_IFREG | 0600, 0));
  EXPECT_EQ(GunzipAll(ReadFile(StorePath("a.gz"))).value(), Buffer{});
}

TEST_F(OpsNameTest, OtherKindsKeepTheirNames) {
  MakeDir("d");
  ASSERT_TRUE(vfs_->MakeSymlink(kRootCaller, kRootNodeId, "l", "target"));
  ASSERT_TRUE(vfs_->MakeNode(kRootCaller, kRootNodeId, "f", S_IFIFO | 0600, 0));
  for (const char* name : {"d", "l", "f"}) EXPECT_TRUE(IsInStore(name)) << name;
  EXPECT_EQ(vfs_->ReadLink(Node("l")).value(), "target");
  EXPECT_EQ(List(), (std::vector<std::string>{"d", "f", "l"}));
}

TEST_F(OpsNameTest, CreatingFailsWhereEitherFormExists) {
  Make("a", "");
  EXPECT_EQ(TryMake("a", ""), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->MakeDirectory(kRootCaller, kRootNodeId, "a", 0755)), EEXIST);
  EXPECT_EQ(ErrorOf(vfs_->MakeDirectory(kRootCaller, kRootNodeId, "a.gz", 0755)), EEXIST)
      << "the store's name is taken";
  PutInStore("raw", "raw bytes");
  EXPECT_EQ(TryMake("raw", ""), EEXIST);
  MakeDir("d.gz");
  EXPECT_EQ(TryMake("d", ""), EEXIST);
}

TEST_F(OpsNameTest, NamesThatEndInTheSuffixAreNamesLikeAnyOther) {
  Make("a", "one");
  Make("a.gz", "two");
  Make("a.gz.gz", "three");
  EXPECT_EQ(Text("a") + Text("a.gz") + Text("a.gz.gz"), "onetwothree");
  EXPECT_EQ(Rename("a.gz.gz", "a"), 0);
  EXPECT_EQ(Text("a") + Text("a.gz"), "threetwo");
}

TEST_F(OpsNameTest, TooLongNamesAreRefusedEverywhere) {
  const std::string longest(kMaxMountNameBytes, 'n');
  const std::string longer = longest + "n";
  Make(longest, "x");
  EXPECT_EQ(Text(longest), "x");
  EXPECT_EQ(TryMake(longer, ""), ENAMETOOLONG);
  EXPECT_EQ(ErrorOf(vfs_->Lookup(kRootNodeId, longer.c_str())), ENAMETOOLONG);
  EXPECT_EQ(ErrorOf(vfs_->MakeDirectory(kRootCaller, kRootNodeId, longer.c_str(), 0755)),
            ENAMETOOLONG);
  EXPECT_EQ(Rename(longest, longer), ENAMETOOLONG);
  EXPECT_EQ(Unlink(longer), ENAMETOOLONG);
  EXPECT_EQ(vfs_->StatFilesystem()->f_namemax, kMaxMountNameBytes);
}

TEST_F(OpsNameTest, ARenamedFileIsTheSameInode) {
  Make("a", "text");
  const NodeId before = Node("a");
  EXPECT_EQ(Rename("a", "b"), 0);
  EXPECT_EQ(Node("b"), before);
  EXPECT_FALSE(Exists("a"));
  EXPECT_TRUE(IsInStore("b.gz"));
}

TEST_F(OpsNameTest, AReplacedFileThatIsOpenKeepsItsBytes) {
  Make("a", "new");
  Make("b", "old");
  FileHandle* held = Open("b", O_RDWR);
  EXPECT_EQ(Rename("a", "b"), 0);
  EXPECT_EQ(Text("b"), "new");
  EXPECT_EQ(Read(held), "old");
  Write(held, 3, "er");
  EXPECT_EQ(Read(held), "older");
  Close(held);
  EXPECT_EQ(Text("b"), "new");
}

TEST_F(OpsNameTest, ASymlinkReplacesAFileAndAFileASymlink) {
  Make("file", "text");
  ASSERT_TRUE(vfs_->MakeSymlink(kRootCaller, kRootNodeId, "link", "target"));
  EXPECT_EQ(Rename("link", "file"), 0);
  EXPECT_TRUE(S_ISLNK(Attr("file").st_mode));
  EXPECT_FALSE(IsInStore("file.gz"));
  Make("other", "text");
  EXPECT_EQ(Rename("other", "file"), 0);
  EXPECT_EQ(Text("file"), "text");
  EXPECT_EQ(List(), std::vector<std::string>{"file"});
  EXPECT_FALSE(IsInStore("file"));
}

TEST_F(OpsNameTest, DirectoriesAndFilesDoNotReplaceEachOther) {
  Make("file", "");
  MakeDir("dir");
  EXPECT_EQ(Rename("file", "dir"), EISDIR);
  EXPECT_EQ(Rename("dir", "file"), ENOTDIR);
  const NodeId full = MakeDir("full");
  Make("x", "", full);
  EXPECT_EQ(Rename("dir", "full"), ENOTEMPTY);
  EXPECT_EQ(Unlink("dir"), EISDIR);
  EXPECT_EQ(ErrorOf(vfs_->RemoveDirectory(kRootNodeId, "file")), ENOTDIR);
}

TEST_F(OpsNameTest, ARenameMayBeToldNotToReplace) {
  Make("a", "a");
  Make("b", "b");
  EXPECT_EQ(Rename("a", "b", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(Rename("a", "c", RENAME_NOREPLACE), 0);
  EXPECT_EQ(Text("b") + Text("c"), "ba");
}

TEST_F(OpsNameTest, FilesAreExchangedAtomicallyOrNotAtAll) {
  Make("a", "a");
  Make("b", "b");
  const NodeId a = Node("a");
  EXPECT_EQ(Rename("a", "b", RENAME_EXCHANGE), 0);
  EXPECT_EQ(Text("a") + Text("b"), "ba");
  EXPECT_EQ(Node("b"), a);
  MakeDir("d");
  EXPECT_EQ(Rename("a", "d", RENAME_EXCHANGE), EINVAL);
  EXPECT_EQ(Rename("a", "nothing", RENAME_EXCHANGE), ENOENT);
}

TEST_F(OpsNameTest, ARawFileStaysRawOrIsLeftToBeCopied) {
  PutInStore("raw", "raw bytes");
  EXPECT_EQ(Text("raw"), "raw bytes");
  EXPECT_EQ(Rename("raw", "raw2"), 0);
  EXPECT_TRUE(IsInStore("raw2"));
  EXPECT_EQ(Rename("raw2", "text.gz"), 0) << "no gzip inside: it cannot be taken for one";
  EXPECT_EQ(Text("text.gz"), "raw bytes");
  Make("packed", "plain");
  std::filesystem::copy(StorePath("packed.gz"), StorePath("copy"));
  EXPECT_EQ(Rename("copy", "copy2.gz"), EXDEV);
}

TEST_F(OpsNameTest, AFileKeepsItsNameWhileItIsCutAndWrittenAnew) {
  Make("a", "text");
  std::atomic<bool> is_done{false};
  std::atomic<int> lost_count{0};
  std::thread looker([&] {
    while (!is_done) {
      if (!Exists("a") || Exists("a.gz")) ++lost_count;
    }
  });
  for (int i = 0; i < 300; ++i) {
    FileHandle* handle = Open("a", O_RDWR | O_TRUNC);
    Write(handle, 0, "text");
    Close(handle);
  }
  is_done = true;
  looker.join();
  EXPECT_EQ(lost_count.load(), 0);
}

TEST_F(OpsNameTest, ARenameDoesNotDestroyAFileThatIsShownOtherwise) {
  Make("file", "text");
  MakeDir("dir");
  // The store's "file.gz" is in the way of a directory of that name.
  EXPECT_EQ(Rename("dir", "file.gz"), EEXIST);
  EXPECT_EQ(Text("file"), "text");
}

TEST_F(OpsNameTest, HardLinksAreOneInode) {
  Make("a", "text");
  const auto linked = vfs_->Link(Node("a"), kRootNodeId, "b");
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->attr.st_nlink, 2u);
  EXPECT_EQ(Node("a"), Node("b"));
  FileHandle* handle = Open("a", O_RDWR);
  Write(handle, 0, "TEXT");
  EXPECT_EQ(Text("b"), "TEXT");
  Close(handle);
  EXPECT_EQ(Rename("a", "b"), 0) << "links of one file: nothing to do";
  EXPECT_TRUE(Exists("a"));
  EXPECT_EQ(Unlink("a"), 0);
  EXPECT_EQ(Attr("b").st_nlink, 1u);
  EXPECT_EQ(ErrorOf(vfs_->Link(MakeDir("d"), kRootNodeId, "e")), EPERM);
}

TEST_F(OpsNameTest, AnUnlinkedFileLivesWhileItIsOpen) {
  Make("a", "text");
  const NodeId node = Node("a");
  FileHandle* handle = Open("a", O_RDWR);
  EXPECT_EQ(Unlink("a"), 0);
  EXPECT_FALSE(Exists("a"));
  Write(handle, 4, " and more");
  EXPECT_EQ(Read(handle), "text and more");
  const auto attr = vfs_->GetAttr(node);
  ASSERT_TRUE(attr);
  EXPECT_EQ(attr->st_nlink, 0u);
  EXPECT_EQ(attr->st_size, 13);
  Close(handle);
  Make("a", "another");
  EXPECT_NE(Node("a"), node);
}

TEST_F(OpsNameTest, AnUnlinkedFileIsKnownUntilItIsForgotten) {
  Make("a", "text");
  const NodeId node = Node("a");
  EXPECT_EQ(Unlink("a"), 0);
  const auto attr = vfs_->GetAttr(node);
  ASSERT_TRUE(attr);
  EXPECT_EQ(attr->st_nlink, 0u);
  EXPECT_EQ(ErrorOf(vfs_->Link(node, kRootNodeId, "again")), ENOENT);
  vfs_->Forget(node, 100);
  EXPECT_EQ(ErrorOf(vfs_->GetAttr(node)), ESTALE);
}

TEST_F(OpsNameTest, ARemovedDirectoryIsEmptyForWhoIsInIt) {
  const NodeId dir = MakeDir("d");
  EXPECT_EQ(ErrorOf(vfs_->RemoveDirectory(kRootNodeId, "d")), 0);
  EXPECT_EQ(ErrorOf(vfs_->GetAttr(dir)), 0);
  EXPECT_EQ(TryMake("x", "", dir), ENOENT);
  EXPECT_TRUE(List(dir).empty());
}

TEST_F(OpsNameTest, AReadOnlyMountChangesNothing) {
  Make("a", "text");
  Unmount();
  Mount(/*read_only=*/true);
  EXPECT_EQ(Text("a"), "text");
  EXPECT_EQ(TryMake("b", ""), EROFS);
  EXPECT_EQ(Unlink("a"), EROFS);
  EXPECT_EQ(Rename("a", "b"), EROFS);
  EXPECT_EQ(ErrorOf(vfs_->Open(kRootCaller, Node("a"), O_WRONLY)), EROFS);
  EXPECT_EQ(ErrorOf(vfs_->SetAttr(kRootCaller, Node("a"), {.mode = 0600}, nullptr)), EROFS);
  EXPECT_EQ(ErrorOf(vfs_->SetXattr(kRootCaller, Node("a"), "user.x", {}, 0)), EROFS);
}

}  // namespace
}  // namespace gzipfs::test
