// Content in logged mode: what an overwrite does to the base when it settles.
#include <sys/xattr.h>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;

class ContentCheckpoint : public test::StoreFixture {
 protected:
  // A settled file of `blocks` blocks of text; plain_ is what it should hold.
  void MakeBlocks(uint64_t blocks) {
    plain_ = test::TextLike(blocks * kBlock);
    Make(plain_);
  }
  void WriteBoth(uint64_t plain_offset, std::span<const std::byte> bytes) {
    Write(plain_offset, bytes);
    test::Overwrite(&plain_, plain_offset, bytes);
  }
  void SettleAndCompare() {
    Settle();
    EXPECT_TRUE(Gunzipped() == plain_);
    EXPECT_TRUE(ReadAll() == plain_);
    const Buffer base = Base();
    const auto layout = test::Layout(base);
    ASSERT_TRUE(layout && layout->has_tail);
    EXPECT_TRUE(*test::DecodeAll(base, *layout) == plain_);
    EXPECT_EQ(test::StatOf(base_path()).st_size, static_cast<off_t>(base.size()));
    EXPECT_TRUE(std::filesystem::is_empty(dir_ / ".gzipfs/image"));
  }
  Buffer MemberBytes(const Buffer& base, const MemberInfo& member) const {
    const auto begin = base.begin() + static_cast<ptrdiff_t>(member.file_offset);
    return Buffer(begin, begin + static_cast<ptrdiff_t>(member.member_bytes));
  }

  Buffer plain_;
};

TEST_F(ContentCheckpoint, OverwriteWaitsOutsideTheBase) {
  MakeBlocks(5);
  const Buffer base = Base();
  WriteBoth(2 * kBlock + 100, test::FromText("changed"));
  EXPECT_FALSE(content_->IsSettled());
  Flush();
  EXPECT_EQ(Base(), base);
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
  EXPECT_EQ(place_->replaced_count, 1);
  EXPECT_EQ(place_->replaced_ino, test::StatOf(base_path()).st_ino);
}

TEST_F(ContentCheckpoint, UnchangedMembersAreCopiedAsBytes) {
  MakeBlocks(100);
  const Buffer before = Base();
  const auto members_before = Members();
  WriteBoth(50 * kBlock + 1, test::FromText("changed"));
  SettleAndCompare();
  const Buffer after = Base();
  const auto members_after = Members();
  ASSERT_EQ(members_before.size(), members_after.size());
  for (size_t i = 0; i < members_before.size(); ++i) {
    const bool is_same =
        MemberBytes(before, members_before[i]) == MemberBytes(after, members_after[i]);
    EXPECT_EQ(is_same, i != 50) << i;
  }
}

TEST_F(ContentCheckpoint, AttributesOfTheBaseAreKept) {
  MakeBlocks(3);
  ASSERT_EQ(::chmod(base_path().c_str(), 0640), 0);
  ASSERT_EQ(::setxattr(base_path().c_str(), "user.note", "kept", 4, 0), 0);
  const bool is_root = ::geteuid() == 0;
  ASSERT_TRUE(!is_root || ::chown(base_path().c_str(), 1234, 5678) == 0);
  WriteBoth(10, test::FromText("changed"));
  SettleAndCompare();
  const struct stat after = test::StatOf(base_path());
  EXPECT_EQ(after.st_mode & 07777, 0640u);
  if (is_root) {
    EXPECT_EQ(after.st_uid, 1234u);
    EXPECT_EQ(after.st_gid, 5678u);
  }
  char value[16] = {};
  EXPECT_EQ(::getxattr(base_path().c_str(), "user.note", value, sizeof(value)), 4);
  EXPECT_STREQ(value, "kept");
}

TEST_F(ContentCheckpoint, TimeOfTheLastWriteSurvivesTheCheckpoint) {
  MakeBlocks(3);
  WriteBoth(10, test::FromText("changed"));
  const timespec written = content_->pending_mtime().value();
  SettleAndCompare();
  const struct stat after = test::StatOf(base_path());
  EXPECT_EQ(after.st_mtim.tv_sec, written.tv_sec);
  EXPECT_EQ(after.st_mtim.tv_nsec, written.tv_nsec);
}

TEST_F(ContentCheckpoint, TimesSetByTheUserSurviveToTheNanosecond) {
  MakeBlocks(3);
  WriteBoth(10, test::FromText("changed"));
  const timespec modification{.tv_sec = 1'000'000'000, .tv_nsec = 123'456'789};
  ASSERT_TRUE(content_->SetTimes(std::nullopt, modification));
  Settle();
  const struct stat after = test::StatOf(base_path());
  EXPECT_EQ(after.st_mtim.tv_sec, modification.tv_sec);
  EXPECT_EQ(after.st_mtim.tv_nsec, modification.tv_nsec);
}

TEST_F(ContentCheckpoint, HardLinkKeepsItsInode) {
  MakeBlocks(5);
  ASSERT_EQ(::link(base_path().c_str(), (dir_ / "other.gz").c_str()), 0);
  const ino_t inode = test::StatOf(base_path()).st_ino;
  WriteBoth(kBlock, test::FromText("changed"));
  const timespec written = content_->pending_mtime().value();
  SettleAndCompare();
  EXPECT_EQ(place_->replaced_count, 0);
  const struct stat after = test::StatOf(dir_ / "other.gz");
  EXPECT_EQ(after.st_ino, inode);
  EXPECT_EQ(after.st_nlink, 2u);
  EXPECT_EQ(after.st_mtim.tv_nsec, written.tv_nsec);
  EXPECT_EQ(test::ReadFile(dir_ / "other.gz"), Base());
}

TEST_F(ContentCheckpoint, HardLinkedFileMayGrowAndShrink) {
  MakeBlocks(5);
  ASSERT_EQ(::link(base_path().c_str(), (dir_ / "other.gz").c_str()), 0);
  WriteBoth(kBlock, test::Noise(3 * kBlock));
  SettleAndCompare();
  WriteBoth(0, Buffer(5 * kBlock));
  SettleAndCompare();
}

TEST_F(ContentCheckpoint, CutInsideAMemberSettlesToThatSize) {
  MakeBlocks(5);
  Truncate(2 * kBlock + 1000);
  plain_.resize(2 * kBlock + 1000);
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
}

TEST_F(ContentCheckpoint, BytesBehindACutAreZerosWhenTheFileGrowsAgain) {
  MakeBlocks(5);
  Truncate(kBlock + 1000);
  Truncate(4 * kBlock);
  plain_.resize(kBlock + 1000);
  plain_.resize(4 * kBlock);
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
}

TEST_F(ContentCheckpoint, RewriteAfterTruncateInsideAMember) {
  MakeBlocks(3);
  Truncate(kBlock / 2);
  plain_.resize(kBlock / 2);
  WriteBoth(kBlock / 2, test::Noise(2 * kBlock));
  WriteBoth(10, test::FromText("front"));
  SettleAndCompare();
}

TEST_F(ContentCheckpoint, WritesGoOnAfterIt) {
  MakeBlocks(3);
  for (int i = 0; i < 5; ++i) {
    WriteBoth(100 * i, test::FromText("round " + std::to_string(i)));
    SettleAndCompare();
    WriteBoth(plain_.size(), test::FromText("appended"));
    Flush();
    EXPECT_TRUE(content_->IsSettled());  // append mode again
  }
}

TEST_F(ContentCheckpoint, ForeignFileIsConvertedByTheFirstWrite) {
  plain_ = test::TextLike(3 * kBlock + 5);
  test::WriteFile(base_path(), test::MakeForeign(plain_));
  Open();
  WriteBoth(plain_.size(), test::FromText("appended"));
  EXPECT_TRUE(ReadAll() == plain_);
  SettleAndCompare();
  for (const MemberInfo& member : Members()) EXPECT_EQ(member.profile, Profile::kBgzf);
}

TEST_F(ContentCheckpoint, UnevenMembersOfOthersKeepTheirBytes) {
  // bgzip's blocks are 65,280 bytes.
  plain_ = test::TextLike(20 * 65'280);
  Buffer base;
  for (int i = 0; i < 20; ++i) {
    test::Append(&base, EncodeBlock(Profile::kBgzf, 6,
                                    std::span(plain_).subspan(i * 65'280, 65'280)).bytes);
  }
  test::WriteFile(base_path(), base);
  Open();
  WriteBoth(5 * kBlock, test::FromText("changed"));
  const auto first = Members().front();
  const Buffer first_bytes = MemberBytes(base, first);
  SettleAndCompare();
  EXPECT_EQ(MemberBytes(Base(), Members().front()), first_bytes);
}

TEST_F(ContentCheckpoint, DeadTailsStayBehind) {
  Open(true);
  for (int i = 0; i < 30; ++i) {
    WriteBoth(plain_.size(), test::TextLike(100));
    Flush();
  }
  const size_t before = Base().size();
  WriteBoth(0, test::FromText("X"));
  SettleAndCompare();
  EXPECT_LT(Base().size(), before - 29 * 84);
}

TEST_F(ContentCheckpoint, FileReplacedBehindOurBackIsNotOverwritten) {
  MakeBlocks(3);
  WriteBoth(10, test::FromText("changed"));
  std::filesystem::rename(base_path(), dir_ / "moved.gz");
  test::WriteFile(base_path(), test::FromText("somebody else's"));
  const auto settled = content_->Settle();
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().value(), ESTALE);
  EXPECT_EQ(Base(), test::FromText("somebody else's"));
  EXPECT_TRUE(ReadAll() == plain_);
}

TEST_F(ContentCheckpoint, UnlinkedFileNeedsNone) {
  MakeBlocks(3);
  WriteBoth(10, test::FromText("changed"));
  std::filesystem::remove(base_path());
  place_->is_gone = true;
  EXPECT_TRUE(content_->Settle());
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_TRUE(ReadAll() == plain_);
  EXPECT_FALSE(std::filesystem::exists(base_path()));
}

// --- Writes while a checkpoint is under way ------------------------------------------

// Runs `action` once, when the image is complete and about to be made durable.
class ContentDuringCheckpoint : public ContentCheckpoint {
 protected:
  ContentDuringCheckpoint() {
    options_.cache_bytes = kMiB;
    options_.dirty_bytes = 6 * kBlock;
  }
  void DuringCheckpoint(std::function<void()> action) {
    ops_.before = [this, action = std::move(action), is_done = false](test::Call call) mutable {
      if (call != test::Call::kSyncData || std::exchange(is_done, true)) return 0;
      in_checkpoint_ = true;
      action();
      return 0;
    };
  }
  void SettleDuring() {
    const auto settled = content_->Settle();
    ops_.before = nullptr;
    ASSERT_TRUE(settled) << settled.error().message();
    EXPECT_TRUE(in_checkpoint_);
    EXPECT_TRUE(ReadAll() == plain_);
    SettleAndCompare();
  }
  bool in_checkpoint_ = false;
};

TEST_F(ContentDuringCheckpoint, OverwritesStayOnTop) {
  MakeBlocks(5);
  WriteBoth(100, test::FromText("before"));
  DuringCheckpoint([this] {
    WriteBoth(103, test::FromText("during"));
    WriteBoth(3 * kBlock, test::FromText("elsewhere"));
    EXPECT_TRUE(ReadAll() == plain_);
  });
  SettleDuring();
}

TEST_F(ContentDuringCheckpoint, AppendsStayOnTop) {
  MakeBlocks(5);
  WriteBoth(100, test::FromText("before"));
  DuringCheckpoint([this] { WriteBoth(plain_.size(), test::TextLike(kBlock + 17, 3)); });
  SettleDuring();
}

TEST_F(ContentDuringCheckpoint, ManyAppendsBeyondTheDirtyLimitStayOnTop) {
  MakeBlocks(5);
  WriteBoth(100, test::FromText("before"));
  DuringCheckpoint([this] {
    for (uint32_t i = 0; i < 40; ++i) WriteBoth(plain_.size(), test::TextLike(kBlock, i));
  });
  SettleDuring();
}

}  // namespace
}  // namespace gzipfs
