// POSIX ACLs and the umask, as far as the kernel leaves them to the mount.
#include "fs/sys/privileges.h"
#include "fs/sys/xattr.h"
#include "tests/unit/capability.h"
#include "tests/unit/vfs/vfs_fixture.h"

namespace gzipfs::test {
namespace {

constexpr Caller kMaskedCaller{.uid = 0, .gid = 0, .pid = 0, .umask = 0027};
constexpr Caller kOutsider{.uid = 1000, .gid = 1000, .pid = 0};

// An entry of an ACL as an extended attribute (linux/posix_acl_xattr.h).
struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id = 0xffffffff;
};
enum : uint16_t { kOwner = 1, kUser = 2, kGroup = 4, kMask = 16, kOther = 32 };

std::vector<std::byte> AclOf(std::initializer_list<AclEntry> entries) {
  std::vector<std::byte> bytes(4);
  bytes[0] = std::byte{2};  // the version
  for (const AclEntry& entry : entries) {
    const auto* at = reinterpret_cast<const std::byte*>(&entry);
    bytes.insert(bytes.end(), at, at + sizeof entry);
  }
  return bytes;
}

const std::vector<std::byte> kAcl =
    AclOf({{kOwner, 7}, {kUser, 6, 1234}, {kGroup, 5}, {kMask, 7}, {kOther, 0}});

class OpsAclTest : public VfsFixture {
 protected:
  void SetUp() override {
    VfsFixture::SetUp();
    if (!vfs_->has_acls()) GTEST_SKIP() << "no ACLs here";
  }
  int SetAcl(const std::string& name, const char* kind, const Caller& caller = kRootCaller) {
    return ErrorOf(vfs_->SetXattr(caller, Node(name), kind, kAcl, 0));
  }
  mode_t Mode(const std::string& name) { return Attr(name).st_mode & 07777; }
  void MakeAll(NodeId parent) {
    const auto made = vfs_->Create(kMaskedCaller, parent, "file", 0666, O_RDWR | O_CREAT);
    ASSERT_TRUE(made);
    Close(made->opened.handle);
    ASSERT_TRUE(vfs_->MakeDirectory(kMaskedCaller, parent, "dir", 0777));
    ASSERT_TRUE(vfs_->MakeNode(kMaskedCaller, parent, "fifo", S_IFIFO | 0666, 0));
  }
};

TEST_F(OpsAclTest, TheUmaskCountsWhereNothingIsInherited) {
  MakeAll(MakeDir("d"));
  EXPECT_EQ(Mode("d/file"), 0640u);
  EXPECT_EQ(Mode("d/dir"), 0750u);
  EXPECT_EQ(Mode("d/fifo"), 0640u);
}

TEST_F(OpsAclTest, WhereADefaultAclIsInheritedTheUmaskDoesNotCount) {
  const NodeId parent = MakeDir("d");
  ASSERT_EQ(SetAcl("d", kDefaultAclName), 0);
  MakeAll(parent);
  EXPECT_EQ(Mode("d/file"), 0660u) << "the group bits are the mask";
  EXPECT_EQ(Mode("d/dir"), 0770u);
  EXPECT_EQ(Mode("d/fifo"), 0660u);
  EXPECT_EQ(ErrorOf(vfs_->GetXattr(Node("d/dir"), kDefaultAclName)), 0);
  EXPECT_EQ(ErrorOf(vfs_->GetXattr(Node("d/file"), kAccessAclName)), 0);
}

TEST_F(OpsAclTest, AnAccessAclSetsTheModeAndDropsSetGroupIdOfOutsiders) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  for (const Caller& caller : {kRootCaller, kOutsider}) {
    const std::string name = caller.uid == 0 ? "by-root" : "by-outsider";
    Make(name, "text");
    AttrChanges changes;
    changes.uid = kOutsider.uid;
    changes.gid = 1234;
    ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node(name), changes, nullptr));
    ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node(name), {.mode = 06711}, nullptr));
    ASSERT_EQ(SetAcl(name, kAccessAclName, caller), 0);
    EXPECT_EQ(Mode(name), caller.uid == 0 ? 06770u : 04770u);
  }
}

TEST_F(OpsAclTest, AReplacedBaseKeepsAclAndAttributes) {
  Make("a", std::string(200'000, 'a'));
  ASSERT_EQ(SetAcl("a", kAccessAclName), 0);
  ASSERT_EQ(ErrorOf(vfs_->SetXattr(kRootCaller, Node("a"), "user.colour", BytesOf("red"), 0)), 0);
  const auto before = ops_.StatAt(AT_FDCWD, StorePath("a.gz").c_str());
  FileHandle* handle = Open("a", O_RDWR);
  Write(handle, 70'000, "changed");
  Close(handle);
  ASSERT_EQ(ErrorOf(vfs_->SettleAll()), 0);
  const auto after = ops_.StatAt(AT_FDCWD, StorePath("a.gz").c_str());
  ASSERT_TRUE(before && after);
  EXPECT_NE(before->st_ino, after->st_ino);
  EXPECT_EQ(*vfs_->GetXattr(Node("a"), kAccessAclName), kAcl);
  EXPECT_EQ(vfs_->GetXattr(Node("a"), "user.colour")->size(), 3u);
  EXPECT_EQ(Mode("a"), 0770u);
}

// Bytes that the kernel gathered reach the store later than what was given by then.
TEST_F(OpsAclTest, WhatTheKernelWritesBackTakesNoCapabilitiesAway) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr char kName[] = "security.capability";
  const std::vector<std::byte> capability = SomeCapability();
  Make("gzip", "text");
  PutInStore("raw", "raw bytes");
  for (const std::string name : {"gzip", "raw"}) {
    FileHandle* handle = Open(name, O_RDWR);
    ASSERT_EQ(ErrorOf(vfs_->Write(nullptr, *handle, 0, BytesOf("TEXT"))), 0);
    ASSERT_EQ(ErrorOf(vfs_->SetXattr(kRootCaller, Node(name), kName, capability, 0)), 0);
    ASSERT_EQ(ErrorOf(vfs_->Write(nullptr, *handle, 100'000, BytesOf("more"))), 0);
    Close(handle);
    ASSERT_EQ(ErrorOf(vfs_->SettleAll()), 0);
    EXPECT_EQ(ErrorOf(vfs_->GetXattr(Node(name), kName)), 0) << name;
  }
}

// A checkpoint of a hard link copies its image over the base. Who writes meanwhile
// must find that there is something to take away.
TEST_F(OpsAclTest, CapabilitiesAreThereWhileTheirBaseIsOverwritten) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Make("a", std::string(3 * kBlock, 'x'));
  ASSERT_EQ(ErrorOf(vfs_->Link(Node("a"), kRootNodeId, "b")), 0);
  const NodeId node = Node("a");
  ASSERT_EQ(ErrorOf(vfs_->SetXattr(kRootCaller, node, kCapabilityXattr, SomeCapability(), 0)),
            0);
  FileHandle* handle = Open("a", O_RDWR);
  ASSERT_EQ(ErrorOf(vfs_->Write(nullptr, *handle, 70'000, BytesOf("changed"))), 0);
  int looks = 0;
  ops_.before = [&](Call call) {
    if (call != Call::kTruncate || looks++ > 0) return 0;
    const int base = ::open(StorePath("a.gz").c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_FALSE(gzipfs::GetXattr(base, kCapabilityXattr)) << "the test looks too early";
    ::close(base);
    EXPECT_EQ(ErrorOf(vfs_->GetXattr(node, kCapabilityXattr)), 0);
    const auto names = vfs_->ListXattrs(node);
    EXPECT_TRUE(names && names->find(kCapabilityXattr) != std::string::npos);
    return 0;
  };
  EXPECT_EQ(ErrorOf(vfs_->SettleAll()), 0);
  ops_.before = nullptr;
  EXPECT_GT(looks, 0);
  EXPECT_EQ(ErrorOf(vfs_->GetXattr(node, kCapabilityXattr)), 0);
  Close(handle);
}

}  // namespace
}  // namespace gzipfs::test
