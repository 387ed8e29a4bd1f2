// Operations on files, their attributes, and directories' lists.
#include <sys/xattr.h>

#include <chrono>
#include <future>

#include "tests/unit/vfs/vfs_fixture.h"

namespace gzipfs::test {
namespace {

constexpr timespec kOldTime{.tv_sec = 1234567890, .tv_nsec = 123456789};

class OpsFileTest : public VfsFixture {
 protected:
  // A file that has to be settled by a new base.
  void OverwriteStart(const std::string& name, std::string_view text) {
    FileHandle* handle = Open(name, O_RDWR);
    Write(handle, 0, text);
    Close(handle);
  }
  std::string Gunzipped(const std::string& store_name) {
    const Buffer plain = GunzipAll(ReadFile(StorePath(store_name))).value_or(Buffer{});
    return {reinterpret_cast<const char*>(plain.data()), plain.size()};
  }
  AttrChanges SizeChange(uint64_t plain_bytes) {
    AttrChanges changes;
    changes.plain_bytes = plain_bytes;
    return changes;
  }
};

TEST_F(OpsFileTest, AClosedFileIsSettledInTheBackgroundAtTheLatestBySettleAll) {
  Make("a", std::string(200000, 'x'));
  OverwriteStart("a", "changed");
  EXPECT_EQ(Text("a").substr(0, 9), "changedxx");
  ASSERT_TRUE(vfs_->SettleAll());
  EXPECT_EQ(vfs_->Counts().unsettled_files, 0u);
  EXPECT_EQ(Gunzipped("a.gz").substr(0, 9), "changedxx");
}

TEST_F(OpsFileTest, AHoleIsLeftToOthersWhoHaveTheFileOpenAndFilledByTheLastClose) {
  Make("a", "");
  FileHandle* first = Open("a", O_RDWR);
  FileHandle* second = Open("a", O_RDWR);
  const std::string text(100000, 'x');
  Write(first, 65536, text);
  EXPECT_EQ(ErrorOf(vfs_->Flush(*first)), 0);
  EXPECT_EQ(Gunzipped("a.gz"), "");
  Write(second, 0, text.substr(0, 65536));
  EXPECT_EQ(ErrorOf(vfs_->Flush(*second)), 0);  // the first handle is as good as closed
  EXPECT_EQ(Gunzipped("a.gz"), text + text.substr(0, 65536));
  vfs_->Release(first);
  vfs_->Release(second);
}

TEST_F(OpsFileTest, ANewBaseIsStillTheSameFile) {
  Make("a", std::string(200000, 'x'));
  const struct stat before = Attr("a");
  const NodeId node = Node("a");
  OverwriteStart("a", "changed");
  ASSERT_TRUE(vfs_->SettleAll());
  EXPECT_NE(StatOf(StorePath("a.gz")).st_ino, before.st_ino) << "no new base: nothing is tested";
  EXPECT_EQ(Node("a"), node);
  EXPECT_EQ(Attr("a").st_ino, before.st_ino);
}

TEST_F(OpsFileTest, ANewBaseDoesNotChangeTheDirectorysTime) {
  const NodeId dir = MakeDir("d");
  Make("a", std::string(200000, 'x'), dir);
  AttrChanges changes;
  changes.mtime = kOldTime;
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, dir, changes, nullptr));
  OverwriteStart("d/a", "changed");
  ASSERT_TRUE(vfs_->SettleAll());
  EXPECT_EQ(Attr("d").st_mtim.tv_sec, kOldTime.tv_sec);
  EXPECT_EQ(Attr("d").st_mtim.tv_nsec, kOldTime.tv_nsec);
}

TEST_F(OpsFileTest, AFileIsRenamedWhileItIsUnsettled) {
  Make("a", std::string(200000, 'x'));
  FileHandle* handle = Open("a", O_RDWR);
  Write(handle, 5, "middle");
  EXPECT_EQ(Rename("a", "b"), 0);
  Close(handle);
  ASSERT_TRUE(vfs_->SettleAll());
  EXPECT_FALSE(IsInStore("a.gz"));
  EXPECT_EQ(Gunzipped("b.gz").substr(5, 6), "middle");
}

TEST_F(OpsFileTest, SizesAreChangedOpenOrClosed) {
  Make("a", "0123456789");
  EXPECT_EQ(vfs_->SetAttr(kRootCaller, Node("a"), SizeChange(4), nullptr)->st_size, 4);
  EXPECT_EQ(Text("a"), "0123");
  FileHandle* handle = Open("a", O_RDWR);
  EXPECT_EQ(vfs_->SetAttr(kRootCaller, Node("a"), SizeChange(6), handle)->st_size, 6);
  EXPECT_EQ(Read(handle), std::string("0123\0\0", 6));
  Close(handle);
  Close(Open("a", O_WRONLY | O_TRUNC));
  EXPECT_EQ(Attr("a").st_size, 0);
}

TEST_F(OpsFileTest, ATimeThatWasSetOutlivesSettling) {
  Make("a", std::string(200000, 'x'));
  FileHandle* handle = Open("a", O_RDWR);
  Write(handle, 5, "middle");
  AttrChanges changes;
  changes.mtime = kOldTime;
  EXPECT_EQ(vfs_->SetAttr(kRootCaller, Node("a"), changes, nullptr)->st_mtim.tv_nsec,
            kOldTime.tv_nsec);
  Close(handle);
  ASSERT_TRUE(vfs_->SettleAll());
  EXPECT_EQ(Attr("a").st_mtim.tv_sec, kOldTime.tv_sec);
  EXPECT_EQ(StatOf(StorePath("a.gz")).st_mtim.tv_nsec, kOldTime.tv_nsec);
}

TEST_F(OpsFileTest, OwnerAndModeAreTheBases) {
  Make("a", "text");
  const auto changed = vfs_->SetAttr(kRootCaller, Node("a"), {.mode = 0640}, nullptr);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->st_mode & 07777, 0640u);
  FileHandle* handle = Open("a", O_RDWR);
  Write(handle, 1, "E");
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("a"), {.mode = 0604}, nullptr));
  Close(handle);
  ASSERT_TRUE(vfs_->SettleAll());
  EXPECT_EQ(StatOf(StorePath("a.gz")).st_mode & 07777, 0604u);
}

TEST_F(OpsFileTest, WritingByAnOrdinaryUserDropsSetIdBits) {
  const Caller user{.uid = 1000, .gid = 1000, .pid = 0};
  std::vector<NodeId> told;
  vfs_->TellAttrChanged([&](NodeId id) { told.push_back(id); });
  Make("a", "text");
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("a"), {.mode = 06755}, nullptr));
  FileHandle* handle = Open("a", O_RDWR);
  Write(handle, 0, "T");
  EXPECT_EQ(Attr("a").st_mode & 07000, 06000u) << "root may keep them";
  ASSERT_TRUE(vfs_->Write(nullptr, *handle, 0, BytesOf("t")));
  EXPECT_EQ(Attr("a").st_mode & 07000, 06000u) << "written back for nobody";
  ASSERT_TRUE(vfs_->Write(&user, *handle, 0, BytesOf("T")));
  EXPECT_EQ(Attr("a").st_mode & 07000, 0u);
  EXPECT_EQ(told, std::vector<NodeId>{Node("a")});
  const Caller member{.uid = 1000, .gid = Attr("a").st_gid, .pid = 0};
  ASSERT_TRUE(vfs_->SetAttr(kRootCaller, Node("a"), {.mode = 06745}, nullptr));
  ASSERT_TRUE(vfs_->SetAttr(member, Node("a"), SizeChange(1), nullptr));
  EXPECT_EQ(Attr("a").st_mode & 07000, 02000u) << "not a set-id bit without group execution";
  Close(handle);
}

TEST_F(OpsFileTest, WithoutWritebackAppendingGoesToTheEndAsItIs) {
  Unmount();
  Mount(/*read_only=*/false, /*writeback=*/false);
  Make("a", "");
  FileHandle* first = Open("a", O_WRONLY | O_APPEND);
  FileHandle* second = Open("a", O_WRONLY | O_APPEND);
  Write(first, 0, "one ");
  Write(second, 0, "two ");
  Write(first, 0, "three");
  EXPECT_EQ(Text("a"), "one two three");
  Close(first);
  Close(second);
}

TEST_F(OpsFileTest, RawFilesAreWrittenAsTheyAre) {
  PutInStore("raw", "raw bytes");
  FileHandle* handle = Open("raw", O_RDWR);
  Write(handle, 4, "BYTES!");
  Close(handle);
  EXPECT_EQ(ReadFile(StorePath("raw")), FromText("raw BYTES!"));
  EXPECT_EQ(Attr("raw").st_size, 10);
}

TEST_F(OpsFileTest, ARawCopyThatFailsTellsHowFarItCame) {
  const std::string text(100'000, 'x');
  PutInStore("source", text);
  FileHandle* source = Open("source", O_RDONLY);
  for (const int good_calls : {0, 1}) {
    PutInStore("target", "old");
    FileHandle* target = Open("target", O_RDWR);
    int calls = 0;
    // The first one is for everything, and fails half-way; the second for half of it.
    ops_.before = [&](Call call) {
      if (call != Call::kCopy) return 0;
      const int number = calls++;
      return number >= 1 && number <= good_calls ? 0 : ENOSPC;
    };
    const auto copied = vfs_->CopyRange(kRootCaller, *source, 0, *target, 3, text.size());
    ops_.before = nullptr;
    if (good_calls == 0) {
      EXPECT_EQ(ErrorOf(copied), ENOSPC);
      EXPECT_EQ(Read(target), "old");
    } else {
      ASSERT_TRUE(copied);
      EXPECT_EQ(*copied, text.size() / 2);
      EXPECT_EQ(Read(target), "old" + text.substr(0, text.size() / 2));
    }
    Close(target);
    ASSERT_EQ(Unlink("target"), 0);
  }
  Close(source);
}

TEST_F(OpsFileTest, ARawCopyThatFailsLeavesWhatTheKernelWroteBackMeanwhile) {
  PutInStore("source", std::string(10'000, 'x'));
  PutInStore("target", "");
  FileHandle* source = Open("source", O_RDONLY);
  FileHandle* target = Open("target", O_RDWR);
  const std::string dirty(5000, 'd');
  std::future<int> written;
  ops_.before = [&](Call call) {
    if (call != Call::kCopy) return 0;
    if (!written.valid()) {
      written = std::async(std::launch::async, [&] {
        return ErrorOf(vfs_->Write(nullptr, *target, 0, BytesOf(dirty)));
      });
      // Either it is done before the copy fails, or it waits for that.
      written.wait_for(std::chrono::milliseconds(200));
    }
    return EIO;
  };
  EXPECT_EQ(ErrorOf(vfs_->CopyRange(kRootCaller, *source, 0, *target, 20'000, 4096)), EIO);
  ASSERT_TRUE(written.valid()) << "no copy: nothing is tested";
  EXPECT_EQ(written.get(), 0);
  ops_.before = nullptr;
  EXPECT_EQ(Read(target), dirty);
  Close(target);
  Close(source);
}

TEST_F(OpsFileTest, AllocatingMakesAFileLongerAndNothingElse) {
  Make("a", "text");
  FileHandle* handle = Open("a", O_RDWR);
  EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, 0, 2, 100)), 0);
  EXPECT_EQ(Attr("a").st_size, 102);
  EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, 0, 0, 10)), 0);
  EXPECT_EQ(Attr("a").st_size, 102);
  EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, FALLOC_FL_KEEP_SIZE, 0, 1000)), 0);
  EXPECT_EQ(Attr("a").st_size, 102);
  for (const int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_PUNCH_HOLE}) {
    EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, mode, 0, 65536)), EOPNOTSUPP);
  }
  EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, 0, INT64_MAX, 10)), EFBIG);
  Close(handle);
}

TEST_F(OpsFileTest, ZeroingIsTheSameInBothForms) {
  Make("a", "some text");
  PutInStore("raw", "some text");
  const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  for (const char* name : {"a", "raw"}) {
    FileHandle* handle = Open(name, O_RDWR);
    EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, punch, 1, 2)), 0);
    EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, FALLOC_FL_ZERO_RANGE, 8, 3)), 0);
    EXPECT_EQ(Read(handle), std::string("s\0\0e tex\0\0\0", 11)) << name;
    Close(handle);
  }
}

TEST_F(OpsFileTest, AllocatingGivesARawFileRoom) {
  PutInStore("raw", "text");
  FileHandle* handle = Open("raw", O_RDWR);
  EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, 0, 10, 200000)), 0);
  EXPECT_EQ(ErrorOf(vfs_->Allocate(kRootCaller, *handle, 0, 0, 50)), 0);
  EXPECT_EQ(Attr("raw").st_size, 200010);
  EXPECT_GE(StatOf(StorePath("raw")).st_blocks * 512, 200010);
  Close(handle);
}

TEST_F(OpsFileTest, ADamagedFileCanBeListedAndRemovedButNotRead) {
  PutInStore("bad.gz", std::string("\x1f\x8b\x08\x00garbage", 11));
  EXPECT_EQ(List(), std::vector<std::string>{"bad"});
  EXPECT_TRUE(Exists("bad"));
  FileHandle* handle = nullptr;
  if (const auto opened = vfs_->Open(kRootCaller, Node("bad"), O_RDONLY)) {
    handle = opened->handle;
    std::byte byte[1];
    EXPECT_NE(ErrorOf(vfs_->Read(*handle, 0, byte)), 0);
    vfs_->Release(handle);
  }
  EXPECT_EQ(Unlink("bad"), 0);
  EXPECT_TRUE(List().empty());
}

TEST_F(OpsFileTest, AFileChangedBehindTheMountIsServedAnew) {
  Make("a", "old");
  const NodeId before = Node("a");
  EXPECT_EQ(Text("a"), "old");
  Make("other", "a longer new text");
  std::filesystem::copy_file(StorePath("other.gz"), StorePath("a.gz"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(Node("a"), before) << "the kernel would keep the old size";
  EXPECT_EQ(Attr("a").st_size, 17);
  EXPECT_EQ(Text("a"), "a longer new text");
}

TEST_F(OpsFileTest, ExtendedAttributesAreTheBases) {
  Make("a", "text");
  const NodeId node = Node("a");
  const auto set = vfs_->SetXattr(kRootCaller, node, "user.colour", BytesOf("red"), 0);
  if (ErrorOf(set) == EOPNOTSUPP) GTEST_SKIP() << "no extended attributes here";
  ASSERT_EQ(ErrorOf(set), 0);
  char value[16] = {};
  EXPECT_EQ(::getxattr(StorePath("a.gz").c_str(), "user.colour", value, sizeof value), 3);
  EXPECT_EQ(vfs_->GetXattr(node, "user.colour")->size(), 3u);
  EXPECT_EQ(*vfs_->ListXattrs(node), std::string("user.colour\0", 12));
  EXPECT_EQ(ErrorOf(vfs_->RemoveXattr(node, "user.colour")), 0);
  EXPECT_EQ(ErrorOf(vfs_->RemoveXattr(node, "user.colour")), ENODATA);
  EXPECT_EQ(ErrorOf(vfs_->GetXattr(node, "user.colour")), ENODATA);
}

TEST_F(OpsFileTest, ADirectoryIsListedInPiecesOfAnySizeWithNothingLostOrTwice) {
  std::vector<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back("file" + std::to_string(i));
    Make(expected.back(), "");
  }
  std::sort(expected.begin(), expected.end());
  for (const size_t piece : {1, 2, 7, 1000}) {
    const auto handle = vfs_->OpenDirectory(kRootNodeId);
    ASSERT_TRUE(handle);
    std::vector<std::string> names;
    int64_t position = 0;
    for (bool has_more = true; has_more;) {
      size_t room = piece;
      const EntrySink sink = [&](const ListedEntry& entry) {
        if (room == 0) return false;
        --room;
        if (entry.node_id != 0) names.push_back(entry.name);
        position = entry.next_position;
        return true;
      };
      ASSERT_EQ(ErrorOf(vfs_->ReadDirectoryPlus(**handle, position, sink)), 0);
      has_more = room == 0;
    }
    vfs_->ReleaseDirectory(*handle);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, expected) << "in pieces of " << piece;
  }
}

TEST_F(OpsFileTest, AnEntryThatDidNotFitIsNotCountedAsLookedUp) {
  Make("a", "");
  vfs_->Forget(Node("a"), 100);
  const uint64_t known = vfs_->Counts().known_inodes;
  const auto handle = vfs_->OpenDirectory(kRootNodeId);
  const EntrySink refuse = [](const ListedEntry& entry) { return entry.node_id == 0; };
  ASSERT_EQ(ErrorOf(vfs_->ReadDirectoryPlus(**handle, 0, refuse)), 0);
  vfs_->ReleaseDirectory(*handle);
  EXPECT_EQ(vfs_->Counts().known_inodes, known);
}

TEST_F(OpsFileTest, HandlesThatAreNeverReleasedDoNotOutliveTheMount) {
  Make("a", "text");
  Open("a", O_RDWR);
  ASSERT_TRUE(vfs_->OpenDirectory(kRootNodeId));
  EXPECT_EQ(vfs_->Counts().open_files, 1u);
}

}  // namespace
}  // namespace gzipfs::test
