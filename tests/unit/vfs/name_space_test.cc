// Reaching objects by descriptors, few of them, at any depth.
#include "fs/vfs/name_space.h"

#include <sys/resource.h>

#include "tests/unit/vfs/vfs_fixture.h"

namespace gzipfs::test {
namespace {

// Lowers the number of descriptors that may be open for a scope.
class DescriptorLimitScope {
 public:
  explicit DescriptorLimitScope(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const struct rlimit lowered{.rlim_cur = limit, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~DescriptorLimitScope() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  struct rlimit before_;
};

class NameSpaceTest : public VfsFixture {};

TEST_F(NameSpaceTest, AFewDescriptorsDoForThousandsOfKnownInodes) {
  Unmount();
  const DescriptorLimitScope limit(64);
  Mount();
  std::vector<NodeId> files;
  for (int d = 0; d < 300; ++d) {
    const NodeId dir = MakeDir("d" + std::to_string(d));
    for (int f = 0; f < 4; ++f) {
      Make("f" + std::to_string(f), "text " + std::to_string(d), dir);
      files.push_back(vfs_->Lookup(dir, ("f" + std::to_string(f)).c_str())->node_id);
    }
  }
  for (const NodeId file : files) ASSERT_EQ(ErrorOf(vfs_->GetAttr(file)), 0);
  EXPECT_EQ(Text("d123/f3"), "text 123");
}

TEST_F(NameSpaceTest, APathMayBeOfAnyDepth) {
  constexpr int kDepth = 600;
  NodeId dir = kRootNodeId;
  std::vector<NodeId> dirs;
  for (int i = 0; i < kDepth; ++i) dirs.push_back(dir = MakeDir("directory", dir));
  Make("bottom", "deep", dir);
  // From the top again, and from the middle after it was moved.
  EXPECT_EQ(ErrorOf(vfs_->GetAttr(dir)), 0);
  ASSERT_EQ(ErrorOf(vfs_->Rename(dirs[298], "directory", kRootNodeId, "moved", 0)), 0);
  const auto found = vfs_->Lookup(dir, "bottom");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->attr.st_size, 4);
}

TEST_F(NameSpaceTest, ADirectoryMovedBehindTheMountIsStaleNotAnother) {
  const NodeId dir = MakeDir("d");
  Make("f", "ours", dir);
  Unmount();
  Mount();
  const NodeId known = Node("d");
  ASSERT_NE(known, 0u);
  // Nothing is open: not the directory, nor anything in it.
  const NodeId file = Node("d/f");
  std::filesystem::rename(StorePath("d"), StorePath("elsewhere"));
  std::filesystem::create_directory(StorePath("d"));
  PutInStore("d/f", "theirs");
  const auto attr = vfs_->GetAttr(file);
  EXPECT_TRUE(!attr || attr->st_size == 4) << "the other file's attributes were given";
  EXPECT_EQ(ErrorOf(vfs_->GetAttr(known)), ESTALE);
}

TEST_F(NameSpaceTest, ASymlinkInThePlaceOfADirectoryIsNotFollowed) {
  MakeDir("sub", MakeDir("d"));
  Unmount();
  Mount();
  const NodeId sub = Node("d/sub");
  ASSERT_NE(sub, 0u);
  TempDir outside;
  std::filesystem::create_directory(outside / "sub");
  WriteFile(outside / "sub/secret", BytesOf("secret"));
  std::filesystem::rename(StorePath("d"), StorePath("hidden"));
  std::filesystem::create_symlink(outside.path(), StorePath("d"));
  EXPECT_FALSE(Exists("d/sub"));
  EXPECT_FALSE(vfs_->Lookup(sub, "secret"));
}

TEST_F(NameSpaceTest, ThePrivateDirectoryIsReachedByNoName) {
  EXPECT_EQ(ErrorOf(vfs_->Lookup(kRootNodeId, kPrivateDirName)), ENOENT);
  EXPECT_EQ(TryMake(kPrivateDirName, ""), EPERM);
  EXPECT_EQ(ErrorOf(vfs_->MakeDirectory(kRootCaller, kRootNodeId, kPrivateDirName, 0755)), EPERM);
  Make("a", "");
  EXPECT_EQ(Rename("a", kPrivateDirName), EPERM);
  EXPECT_EQ(Rename(kPrivateDirName, "b"), ENOENT);
  EXPECT_EQ(ErrorOf(vfs_->RemoveDirectory(kRootNodeId, kPrivateDirName)), ENOENT);
  EXPECT_EQ(List(), std::vector<std::string>{"a"});
  // Below the root it is a name like any other.
  const NodeId dir = MakeDir("d");
  EXPECT_EQ(TryMake(kPrivateDirName, "x", dir), 0);
}

}  // namespace
}  // namespace gzipfs::test
