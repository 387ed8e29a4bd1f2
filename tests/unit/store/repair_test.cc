// Repair of one file: what is cut, what gets a tail, what is left alone; and
// that no call at which it stops loses a byte that could be read.
#include "fs/store/repair.h"

#include <iostream>

#include "tests/unit/codec/lying_tail.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;
using test::Buffer;
using test::StoredFile;
using Kind = RepairResult::Kind;

class RepairTest : public ::testing::Test {
 protected:
  void SetUp() override {
    files::create_directory(dir_ / "kept");
    files::create_directory(dir_ / "scratch");
    dir_fd_ = OpenDir(dir_.path());
    kept_fd_ = OpenDir(dir_ / "kept");
    scratch_fd_ = OpenDir(dir_ / "scratch");
    for (uint32_t i = 0; i < 40; ++i) good_.AddPlain(test::TextLike(2000, i + 1));
    members_end_ = good_.bytes.size();
    good_.AddTail();
  }
  static UniqueFd OpenDir(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  std::string path() const { return dir_ / "file.gz"; }
  void Put(std::span<const std::byte> bytes) { test::WriteFile(path(), bytes); }
  Buffer Now() const { return test::ReadFile(path()); }

  Result<RepairResult> Repair() {
    const RepairSite site{.ops = ops_,
                          .dir_fd = dir_fd_.get(),
                          .name = "file.gz",
                          .kept_dir_fd = kept_fd_.get(),
                          .kept_name = "file.gz.rest",
                          .kept_path = "kept",
                          .scratch_dir_fd = scratch_fd_.get(),
                          .scratch_name = "scratch"};
    return RepairFile(site);
  }
  Kind RepairKind() {
    const auto result = Repair();
    EXPECT_TRUE(result) << result.error().message();
    return result ? result->kind : Kind::kLeft;
  }
  void ExpectUntouched(std::span<const std::byte> bytes) {
    Put(bytes);
    const struct stat before = test::StatOf(path());
    EXPECT_NE(RepairKind(), Kind::kRepaired);
    EXPECT_TRUE(std::ranges::equal(Now(), bytes));
    const struct stat after = test::StatOf(path());
    EXPECT_EQ(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
    EXPECT_TRUE(files::is_empty(dir_ / "kept"));
    EXPECT_TRUE(files::is_empty(dir_ / "scratch"));
  }
  // The file has these plain bytes and a tail that is right.
  void ExpectWhole(const Buffer& plain) {
    const Buffer file = Now();
    const auto unpacked = test::GunzipAll(file);
    ASSERT_TRUE(unpacked) << "gzip refuses it";
    EXPECT_TRUE(*unpacked == plain);
    const auto layout = test::Layout(file);
    ASSERT_TRUE(layout);
    EXPECT_TRUE(layout->has_tail);
    EXPECT_EQ(layout->index.plain_bytes(), plain.size());
    const auto by_index = test::DecodeAll(file, *layout);
    ASSERT_TRUE(by_index) << by_index.error().message();
    EXPECT_TRUE(*by_index == plain);
    EXPECT_TRUE(files::is_empty(dir_ / "scratch"));
  }
  Buffer WithRest(std::span<const std::byte> rest) const {
    Buffer file(good_.bytes.begin(), good_.bytes.begin() + static_cast<ptrdiff_t>(members_end_));
    test::Append(&file, rest);
    return file;
  }

  test::TempDir dir_;
  test::FaultOps ops_;
  UniqueFd dir_fd_, kept_fd_, scratch_fd_;
  StoredFile good_;
  size_t members_end_ = 0;
};

TEST_F(RepairTest, GoodFilesAreNotTouched) {
  ExpectUntouched(good_.bytes);
  ExpectUntouched({});
  ExpectUntouched(test::MakeForeign(good_.plain));
  ExpectUntouched(WithRest({}));  // as bgzip leaves it: no tail anywhere
}

TEST_F(RepairTest, TornRestIsKeptCutAndFollowedByATail) {
  const Buffer torn = EncodeBlock(Profile::kBgzf, 1, test::TextLike(3000)).bytes;
  for (size_t rest_bytes : {size_t{1}, size_t{17}, torn.size() / 2, torn.size() - 1}) {
    const auto rest = std::span(torn).first(rest_bytes);
    Put(WithRest(rest));
    const timespec times[2] = {{1'000'000'000, 1}, {1'100'000'000, 2}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path().c_str(), times, 0), 0);
    EXPECT_EQ(RepairKind(), Kind::kRepaired);
    ExpectWhole(good_.plain);
    EXPECT_EQ(test::StatOf(path()).st_mtim.tv_sec, 1'100'000'000);
    EXPECT_TRUE(std::ranges::equal(test::ReadFile(dir_ / "kept/file.gz.rest"), rest));
    files::remove(dir_ / "kept/file.gz.rest");
    EXPECT_EQ(RepairKind(), Kind::kNothing);
  }
}

TEST_F(RepairTest, RestBehindATailLeavesThatTail) {
  Buffer file = good_.bytes;
  test::Append(&file, test::FromText("garbage\n"));
  Put(file);
  EXPECT_EQ(RepairKind(), Kind::kRepaired);
  EXPECT_TRUE(Now() == good_.bytes);
  EXPECT_EQ(test::ReadFile(dir_ / "kept/file.gz.rest"), test::FromText("garbage\n"));
}

TEST_F(RepairTest, WhatWasKeptBeforeIsNotOverwritten) {
  for (const char* text : {"one", "two", "three"}) {
    Buffer file = good_.bytes;
    test::Append(&file, test::FromText(text));
    Put(file);
    EXPECT_EQ(RepairKind(), Kind::kRepaired);
  }
  EXPECT_EQ(test::ReadFile(dir_ / "kept/file.gz.rest"), test::FromText("one"));
  EXPECT_EQ(test::ReadFile(dir_ / "kept/file.gz.rest.2"), test::FromText("three"));
}

TEST_F(RepairTest, RestWithAReadableMemberStays) {
  const Buffer member = EncodeBlock(Profile::kBgzf, 1, test::TextLike(3000)).bytes;
  for (const Buffer& behind : {member, test::MakeForeign(test::TextLike(500))}) {
    Buffer rest = test::FromText("no member, but then:");
    test::Append(&rest, behind);
    ExpectUntouched(WithRest(rest));
    rest = Buffer(3000);
    test::Append(&rest, behind);
    ExpectUntouched(WithRest(rest));
  }
}

TEST_F(RepairTest, DamagedMemberAtTheEndStays) {
  for (size_t byte : {0, 1, 3, 16, 17}) {
    Buffer member = EncodeBlock(Profile::kBgzf, 1, test::TextLike(30'000)).bytes;
    member[byte] ^= byte == 17 ? std::byte{0x01} : std::byte{0x40};
    const auto result = test::Scan(WithRest(member));
    ASSERT_TRUE(result);
    if (!result->rest) continue;
    Put(WithRest(member));
    // A length that is too large looks torn, and its data tells that it is not.
    EXPECT_EQ(RepairKind(), Kind::kLeft) << byte;
    EXPECT_TRUE(Now() == WithRest(member));
  }
}

TEST_F(RepairTest, DamagedMembersInsideStayAndTheTailIsMended) {
  Buffer file = good_.bytes;
  // Inside the first member, whose length still leads to the next one.
  const SpanSource source(good_.bytes);
  file[MemberScanner(source).Next().value()->member_bytes / 2] ^= std::byte{1};
  file[file.size() - 2 * 28 + 5] ^= std::byte{1};  // the mark
  Put(file);
  EXPECT_EQ(RepairKind(), Kind::kRepaired);
  const Buffer after = Now();
  EXPECT_TRUE(std::equal(file.begin(), file.end(), after.begin()));
  EXPECT_TRUE(test::Layout(after)->has_tail);
}

TEST_F(RepairTest, IndexThatLeadsPastDamageStays) {
  Buffer file = good_.bytes;
  file[0] ^= std::byte{1};
  ExpectUntouched(file);
}

TEST_F(RepairTest, TailWithABrokenHeaderIsReplaced) {
  for (size_t from_end = 1; from_end <= 3 * 28; ++from_end) {
    Buffer file = good_.bytes;
    file[file.size() - from_end] ^= std::byte{0x20};
    Put(file);
    EXPECT_EQ(RepairKind(), Kind::kRepaired) << from_end;
    ExpectWhole(good_.plain);
  }
}

TEST_F(RepairTest, LyingTailIsFollowedByARightOne) {
  std::vector<test::ClaimedGroup> groups;
  for (size_t i = 0; i + 1 < good_.index.group_count(); ++i) {
    const MemberGroup group = good_.index.GroupAt(i);
    groups.push_back({group.plain_bytes, group.file_bytes});
  }
  ASSERT_EQ(groups.size(), 2u);
  groups[0].plain_bytes -= 5;
  groups[1].plain_bytes += 5;
  Buffer file = WithRest({});
  test::Append(&file, test::MakeTail(file.size(), groups));
  Put(file);
  EXPECT_EQ(RepairKind(), Kind::kRepaired);
  ExpectWhole(good_.plain);
  // But where a member is damaged, it may be the one that lies.
  file[100] ^= std::byte{1};
  ExpectUntouched(file);
}

TEST_F(RepairTest, JoinedFilesGetATailForAll) {
  Buffer file = good_.bytes;
  test::Append(&file, good_.bytes);
  Put(file);
  EXPECT_EQ(RepairKind(), Kind::kRepaired);
  Buffer plain = good_.plain;
  test::Append(&plain, good_.plain);
  ExpectWhole(plain);
}

TEST_F(RepairTest, LargeProfileKeepsItsBlockSize) {
  StoredFile large(Profile::kLarge, kMiB);
  large.AddPlain(test::TextLike(kMiB));
  large.AddPlain(test::TextLike(1000));
  Buffer file = large.bytes;
  test::Append(&file, std::span(large.bytes).first(500));
  Put(file);
  EXPECT_EQ(RepairKind(), Kind::kRepaired);
  ExpectWhole(large.plain);
  EXPECT_EQ(test::Layout(Now())->block_bytes, kMiB);
}

TEST_F(RepairTest, FileWithoutPlainBytesIsReplacedAsAWhole) {
  StoredFile empty;
  empty.AddTail();
  Buffer file = empty.bytes;
  test::Append(&file, empty.bytes);
  Put(file);
  ASSERT_EQ(::chmod(path().c_str(), 0604), 0);
  const ino_t ino = test::StatOf(path()).st_ino;
  EXPECT_EQ(RepairKind(), Kind::kRepaired);
  EXPECT_TRUE(Now() == empty.bytes);
  EXPECT_NE(test::StatOf(path()).st_ino, ino);
  EXPECT_EQ(test::StatOf(path()).st_mode & 07777, 0604u);

  Put(file);
  files::create_hard_link(path(), dir_ / "link.gz");
  EXPECT_EQ(RepairKind(), Kind::kLeft);
  EXPECT_TRUE(Now() == file);
}

TEST_F(RepairTest, TornFirstWriteLeavesAnEmptyFile) {
  const Buffer torn = EncodeBlock(Profile::kBgzf, 1, test::TextLike(3000)).bytes;
  Put(std::span(torn).first(300));
  EXPECT_EQ(RepairKind(), Kind::kRepaired);
  ExpectWhole({});
  EXPECT_EQ(files::file_size(dir_ / "kept/file.gz.rest"), 300u);
}

TEST_F(RepairTest, SymlinksAreNotFollowed) {
  test::WriteFile(dir_ / "elsewhere", WithRest(test::FromText("rest")));
  files::create_symlink("elsewhere", path());
  EXPECT_FALSE(Repair());
  EXPECT_TRUE(test::ReadFile(dir_ / "elsewhere") == WithRest(test::FromText("rest")));
}

TEST_F(RepairTest, FileThatChangesMeanwhileIsLeft) {
  Put(WithRest(test::FromText("rest")));
  bool is_done = false;
  ops_.before = [&](test::Call call) {
    if (call != test::Call::kSyncAll || is_done) return 0;
    is_done = true;
    Put(good_.bytes);
    return 0;
  };
  const auto result = Repair();
  ops_.before = nullptr;
  ASSERT_TRUE(is_done);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().value(), ESTALE);
  EXPECT_TRUE(Now() == good_.bytes);
}

// What is swept: a file, and the plain bytes that it has before and after.
class RepairSweep : public RepairTest, public ::testing::WithParamInterface<bool> {
 protected:
  // Runs the repair once for each of its calls: that one fails, and with
  // `dies` all behind it, as if the process had been killed.
  void Sweep(const Buffer& file, const Buffer& plain) {
    for (int call = 1;; ++call) {
      SCOPED_TRACE(testing::Message() << "call " << call);
      files::remove_all(dir_ / "kept");
      files::create_directory(dir_ / "kept");
      kept_fd_ = OpenDir(dir_ / "kept");
      files::remove(dir_ / "scratch/scratch");  // as a mount does
      Put(file);
      ops_.call_count = 0;
      bool has_failed = false;
      ops_.before = [&, call](test::Call) {
        const bool fails = GetParam() ? ops_.call_count >= call : ops_.call_count == call;
        has_failed = has_failed || fails;
        return fails ? EIO : 0;
      };
      (void)Repair();
      ops_.before = nullptr;
      ExpectNothingLost(file, plain);
      files::remove(dir_ / "scratch/scratch");
      EXPECT_NE(RepairKind(), Kind::kLeft);
      EXPECT_TRUE(test::GunzipAll(Now()) == plain);
      // Cut, and stopped before the tail was written: as other writers leave a file.
      const auto layout = test::Layout(Now());
      EXPECT_TRUE(layout->has_tail || !layout->rest);
      if (HasFailure()) return;
      if (!has_failed) {
        EXPECT_GT(call, 10);
        std::cout << call - 1 << " calls\n";
        return;
      }
    }
  }
  // Every complete member is there, and every byte behind them, in its place or
  // put aside.
  void ExpectNothingLost(const Buffer& file, const Buffer& plain) {
    Buffer now = Now();
    const auto layout = test::Scan(now);
    ASSERT_TRUE(layout);
    now.resize(layout->valid_bytes);
    ASSERT_TRUE(test::GunzipAll(now) == plain) << "plain bytes are lost";
    const auto before = test::Scan(file);
    if (!before->rest) return;
    const Buffer rest(file.begin() + static_cast<ptrdiff_t>(before->valid_bytes), file.end());
    const bool is_in_place = Now() == file;
    const bool is_kept = files::exists(dir_ / "kept/file.gz.rest") &&
                         test::ReadFile(dir_ / "kept/file.gz.rest") == rest;
    EXPECT_TRUE(is_in_place || is_kept) << "what was cut off is lost";
  }
};

TEST_P(RepairSweep, TornRest) {
  const Buffer torn = EncodeBlock(Profile::kBgzf, 1, test::Noise(3000)).bytes;
  Sweep(WithRest(std::span(torn).first(2000)), good_.plain);
}

TEST_P(RepairSweep, GarbageBehindATail) {
  Buffer file = good_.bytes;
  test::Append(&file, test::FromText("garbage"));
  Sweep(file, good_.plain);
}

TEST_P(RepairSweep, BrokenTail) {
  Buffer file = good_.bytes;
  file[file.size() - 2 * 28 + 5] ^= std::byte{1};
  Sweep(file, good_.plain);
}

TEST_P(RepairSweep, NoPlainBytes) {
  StoredFile empty;
  empty.AddTail();
  Buffer file = empty.bytes;
  test::Append(&file, empty.bytes);
  Sweep(file, {});
}

INSTANTIATE_TEST_SUITE_P(All, RepairSweep, ::testing::Bool(),
                         [](const auto& dies) { return dies.param ? "Killed" : "FailsOnce"; });

}  // namespace
}  // namespace gzipfs
