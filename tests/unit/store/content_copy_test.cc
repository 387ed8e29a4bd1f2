// Members that go from one file to another as they are.
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::kBlock;

// "file.gz" is the source, "copy.gz" what it is copied to.
class ContentCopy : public test::StoreFixture {
 protected:
  void SetUp() override {
    test::StoreFixture::SetUp();
    copy_place_ = std::make_unique<test::TestPlace>(dir_fd_.get(), "copy.gz");
    OpenCopy();
  }
  void TearDown() override {
    copy_.reset();
    test::StoreFixture::TearDown();
  }
  void OpenCopy() {
    copy_.reset();
    const int fd = ::open((dir_ / "copy.gz").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ASSERT_GE(fd, 0);
    auto content = OpenContent(*store_, UniqueFd(fd), true, true, *copy_place_);
    ASSERT_TRUE(content);
    copy_ = *content;
  }
  uint64_t Copy(uint64_t from, uint64_t to, uint64_t byte_count) {
    const auto copied = copy_->CopyMembers(*content_, from, to, byte_count);
    EXPECT_TRUE(copied) << copied.error().message();
    return copied.value_or(0);
  }
  void ExpectCopy(const Buffer& plain) {
    Buffer bytes(plain.size() + 1);
    const auto count = copy_->Read(0, bytes);
    ASSERT_TRUE(count) << count.error().message();
    bytes.resize(*count);
    EXPECT_TRUE(bytes == plain);
    ASSERT_TRUE(copy_->Flush());
    EXPECT_TRUE(copy_->IsSettled());
    EXPECT_EQ(copy_->plain_bytes(), plain.size());
    const auto stored = test::GunzipAll(CopyBase());
    ASSERT_TRUE(stored);
    EXPECT_TRUE(*stored == plain);
  }
  Buffer CopyBase() const { return test::ReadFile(dir_ / "copy.gz"); }

  std::unique_ptr<test::TestPlace> copy_place_;
  std::shared_ptr<Content> copy_;
};

TEST_F(ContentCopy, ASettledFileIsCopiedAsItsBytes) {
  for (const uint64_t plain_bytes : {uint64_t{1}, kBlock, 40 * kBlock, 100 * kBlock + 77}) {
    SCOPED_TRACE(plain_bytes);
    const Buffer plain = test::TextLike(plain_bytes);
    Make(plain);
    ASSERT_TRUE(copy_->Truncate(0));
    ExpectNothingDirty();
    EXPECT_EQ(Copy(0, 0, plain_bytes), plain_bytes);
    EXPECT_EQ(store_->budget().used_bytes(), 0u);
    ExpectCopy(plain);
    EXPECT_TRUE(CopyBase() == Base());
    std::filesystem::remove(base_path());
  }
}

TEST_F(ContentCopy, PartsFollowOneAnotherAndHolesAreFilled) {
  const Buffer plain = test::TextLike(10 * kBlock + 5);
  Make(plain);
  EXPECT_EQ(Copy(0, 0, 3 * kBlock), 3 * kBlock);
  EXPECT_EQ(Copy(7 * kBlock, 5 * kBlock, kGiB), 3 * kBlock + 5);
  Buffer expected(plain.begin(), plain.begin() + 3 * kBlock);
  expected.resize(5 * kBlock);
  test::Append(&expected, std::span(plain).subspan(7 * kBlock));
  ExpectCopy(expected);
}

TEST_F(ContentCopy, WhatWasWrittenBeforeItAndAfterItIsKept) {
  const Buffer plain = test::TextLike(4 * kBlock);
  Make(plain);
  const Buffer start = test::Noise(kBlock + 100);
  ASSERT_TRUE(copy_->Write(0, start));
  EXPECT_EQ(Copy(0, 2 * kBlock, plain.size()), plain.size());
  const Buffer end = test::FromText("the end");
  ASSERT_TRUE(copy_->Write(6 * kBlock, end));
  Buffer expected = start;
  expected.resize(2 * kBlock);
  test::Append(&expected, plain);
  test::Append(&expected, end);
  ExpectCopy(expected);
}

TEST_F(ContentCopy, ShortMembersAndDeadTailsInTheSourceDoNotMatter) {
  Buffer plain;
  Open(/*is_new=*/true);
  for (uint32_t i = 0; i < 40; ++i) {
    const Buffer line = test::TextLike(3000 + i, i);
    Append(line);
    Flush();
    test::Append(&plain, line);
  }
  EXPECT_EQ(Copy(0, 0, plain.size()), plain.size());
  ExpectCopy(plain);
  EXPECT_LT(CopyBase().size(), Base().size());
}

// The list of a gibibyte of them would take many gibibytes.
TEST_F(ContentCopy, TinyMembersAreCopiedInPortions) {
  constexpr size_t kPlainBytes = 16;
  constexpr size_t kCount = 5 * kBlock + 3;  // some 327,000
  const Buffer words = test::TextLike(kPlainBytes);
  const EncodedBlock member = EncodeBlock(Profile::kBgzf, 1, words);
  test::StoredFile file;
  Buffer plain;
  for (size_t i = 0; i < kCount; ++i) {
    file.AddEncoded(member);
    test::Append(&plain, words);
  }
  file.AddTail();
  test::WriteFile(base_path(), file.bytes);
  Open();
  std::atomic<int> copies = 0;
  ops_.before = [&](Call call) {
    if (call == Call::kCopy) ++copies;
    return 0;
  };
  EXPECT_EQ(Copy(0, 0, plain.size()), plain.size());
  ops_.before = nullptr;
  // They lie side by side, and would otherwise be copied at once.
  EXPECT_GE(copies, 3);
  ExpectCopy(plain);
}

TEST_F(ContentCopy, NothingIsCopiedWhereItWouldNotFit) {
  const Buffer plain = test::TextLike(4 * kBlock);
  Make(plain);
  EXPECT_EQ(Copy(1, 0, kBlock), 0u);
  EXPECT_EQ(Copy(0, 1, kBlock), 0u);
  EXPECT_EQ(Copy(0, 0, kBlock / 2), 0u);
  EXPECT_EQ(Copy(4 * kBlock, 0, kBlock), 0u);
  EXPECT_EQ(Copy(0, 0, kBlock + kBlock / 2), kBlock);
  EXPECT_EQ(Copy(0, 0, kBlock), 0u);  // not at the end
  ExpectCopy(Buffer(plain.begin(), plain.begin() + kBlock));
  EXPECT_EQ(copy_->CopyMembers(*content_, 0, kMaxPlainBytes, kBlock).error().value(), EFBIG);
}

TEST_F(ContentCopy, DirtyZeroedAndCutBlocksOfTheSourceAreLeftToOthers) {
  const Buffer plain = test::TextLike(9 * kBlock);
  Make(plain);
  Write(2 * kBlock + 5, test::FromText("dirty"));
  EXPECT_EQ(Copy(0, 0, plain.size()), 2 * kBlock);
  EXPECT_EQ(Copy(2 * kBlock, 2 * kBlock, kBlock), 0u);
  EXPECT_EQ(Copy(3 * kBlock, 2 * kBlock, 2 * kBlock), 2 * kBlock);
  ASSERT_TRUE(content_->Zero(6 * kBlock, 7 * kBlock, false));
  EXPECT_EQ(Copy(5 * kBlock, 4 * kBlock, 4 * kBlock), kBlock);
  EXPECT_EQ(Copy(6 * kBlock, 5 * kBlock, kBlock), 0u);
  Truncate(8 * kBlock - 9);
  EXPECT_EQ(Copy(7 * kBlock, 5 * kBlock, kBlock), 0u);
  Buffer expected(plain.begin(), plain.begin() + 2 * kBlock);
  test::Append(&expected, std::span(plain).subspan(3 * kBlock, 3 * kBlock));
  ExpectCopy(expected);
}

TEST_F(ContentCopy, AFileMayBeCopiedBehindItself) {
  const Buffer plain = test::TextLike(5 * kBlock);
  Make(plain);
  const auto copied = content_->CopyMembers(*content_, kBlock, 5 * kBlock, 3 * kBlock);
  ASSERT_TRUE(copied);
  EXPECT_EQ(*copied, 3 * kBlock);
  Settle();
  Buffer expected = plain;
  test::Append(&expected, std::span(plain).subspan(kBlock, 3 * kBlock));
  EXPECT_TRUE(ReadAll() == expected);
  EXPECT_TRUE(Gunzipped() == expected);
}

TEST_F(ContentCopy, AForeignFileIsNotCopiedByMembers) {
  test::WriteFile(base_path(), test::MakeForeign(test::TextLike(3 * kBlock)));
  Open();
  EXPECT_EQ(Copy(0, 0, 3 * kBlock), 0u);
  EXPECT_EQ(copy_->plain_bytes(), 0u);
}

TEST_F(ContentCopy, ADamagedMemberIsDamagedInTheCopyToo) {
  const Buffer plain = test::TextLike(4 * kBlock);
  Make(plain);
  const std::vector<MemberInfo> members = Members();
  Buffer base = Base();
  base[members[1].file_offset + members[1].member_bytes / 2] ^= std::byte{0x55};
  test::WriteFile(base_path(), base);
  Open();
  EXPECT_EQ(Copy(0, 0, plain.size()), plain.size());
  Buffer bytes(kBlock);
  EXPECT_FALSE(copy_->Read(kBlock, bytes));
  ASSERT_TRUE(copy_->Read(2 * kBlock, bytes));
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), plain.begin() + 2 * kBlock));
}

// What would have come between the file's end and the copy is gone again.
TEST_F(ContentCopy, ACopyThatFailsBehindTheEndLeavesNoZeros) {
  const Buffer plain = test::TextLike(4 * kBlock);
  Make(plain);
  for (const Buffer& start : {test::TextLike(kBlock, 9), test::TextLike(kBlock + 100, 8),
                              test::TextLike(7, 7), Buffer()}) {
    for (const Call call : {Call::kCopy, Call::kWrite}) {
      for (const bool is_dirty : {false, true}) {
        ASSERT_TRUE(copy_->Truncate(0));
        ASSERT_TRUE(copy_->Write(0, start));
        if (!is_dirty) {
          ASSERT_TRUE(copy_->Flush());
        }
        ops_.before = [&](Call made) { return made == call ? ENOSPC : 0; };
        const auto copied = copy_->CopyMembers(*content_, 0, 6 * kBlock, plain.size());
        EXPECT_EQ(copied.error().value(), ENOSPC);
        ops_.before = nullptr;
        ExpectCopy(start);
      }
    }
  }
}

TEST_F(ContentCopy, ASourceThatCannotBeCopiedLeavesNoZeros) {
  test::WriteFile(base_path(), test::MakeForeign(test::TextLike(3 * kBlock)));
  Open();
  const Buffer start = test::TextLike(kBlock + 5);
  ASSERT_TRUE(copy_->Write(0, start));
  EXPECT_EQ(Copy(0, 3 * kBlock, 3 * kBlock), 0u);
  ExpectCopy(start);
}

// Who writes while the copy fails keeps what he wrote.
TEST_F(ContentCopy, WhatIsWrittenWhileACopyFailsIsKept) {
  Make(test::TextLike(4 * kBlock));
  const Buffer end = test::FromText("from beside it");
  bool has_written = false;
  ops_.before = [&](Call call) {
    if (call != Call::kCopy) return 0;
    if (!std::exchange(has_written, true)) {
      EXPECT_TRUE(copy_->Write(9 * kBlock + 3, end));
    }
    return EIO;
  };
  EXPECT_FALSE(copy_->CopyMembers(*content_, 0, 2 * kBlock, 4 * kBlock));
  ops_.before = nullptr;
  EXPECT_TRUE(has_written);
  Buffer expected(9 * kBlock + 3);
  test::Append(&expected, end);
  ExpectCopy(expected);
}

TEST_F(ContentCopy, AFullDiskLeavesTheFileAsItWas) {
  const Buffer plain = test::TextLike(4 * kBlock);
  Make(plain);
  const Buffer start = test::TextLike(kBlock, 9);
  ASSERT_TRUE(copy_->Write(0, start));
  ASSERT_TRUE(copy_->Flush());
  ops_.before = [](Call call) { return call == Call::kCopy ? ENOSPC : 0; };
  const auto copied = copy_->CopyMembers(*content_, 0, kBlock, plain.size());
  EXPECT_EQ(copied.error().value(), ENOSPC);
  ops_.before = nullptr;
  ExpectCopy(start);
  EXPECT_EQ(Copy(0, kBlock, plain.size()), plain.size());
  Buffer expected = start;
  test::Append(&expected, plain);
  ExpectCopy(expected);
}

// --- By read and write --------------------------------------------------------

// The file has members that nobody here makes: of the densest level.
class ContentReadAndWritten : public ContentCopy {
 protected:
  void SetUp() override {
    options_.level = kLevelAuto;
    ContentCopy::SetUp();
    Prepare(12);
  }
  void Prepare(uint64_t block_count) {
    plain_ = test::TextLike(block_count * kBlock);
    Buffer file;
    for (uint64_t i = 0; i < block_count; ++i) {
      const auto block = std::span<const std::byte>(plain_).subspan(i * kBlock, kBlock);
      test::Append(&file, EncodeBlock(Profile::kBgzf, kMaxLevel, block).bytes);
    }
    test::WriteFile(base_path(), file);
    members_ = std::move(file);
    Open();
  }
  // Whether the copy begins with the very members of the file.
  bool HasItsMembers() const {
    const Buffer copy = CopyBase();
    return copy.size() > members_.size() &&
           std::equal(members_.begin(), members_.end(), copy.begin());
  }
  void WriteCopy(WriteSource by) {
    const auto done = copy_->Write(0, plain_, by);
    ASSERT_TRUE(done) << done.error().message();
    ExpectCopy(plain_);
  }

  Buffer plain_;
  Buffer members_;
};

TEST_F(ContentReadAndWritten, HasTheMembersThatWereRead) {
  Prepare(36);  // more than may come at once before it is compressed where it comes
  EXPECT_TRUE(ReadAll() == plain_);
  WriteCopy(WriteSource::kProgram);
  EXPECT_TRUE(HasItsMembers());
  ASSERT_TRUE(copy_->Truncate(0));
  EXPECT_TRUE(ReadAll() == plain_);  // since the copy was read, its members were the last seen
  WriteCopy(WriteSource::kKernel);
  EXPECT_TRUE(HasItsMembers());
}

TEST_F(ContentReadAndWritten, IsCompressedWhenNothingWasRead) {
  WriteCopy(WriteSource::kProgram);
  EXPECT_FALSE(HasItsMembers());
}

TEST_F(ContentReadAndWritten, IsCompressedWhenTheMembersAreOthersByNow) {
  EXPECT_TRUE(ReadAll() == plain_);
  Buffer others;
  for (uint64_t i = 0; i < plain_.size() / kBlock; ++i) {
    test::Append(&others, EncodeBlock(Profile::kBgzf, kMaxLevel, Buffer(kBlock)).bytes);
  }
  others.resize(members_.size());
  test::WriteFile(base_path(), others);  // the same inode
  WriteCopy(WriteSource::kProgram);
  EXPECT_FALSE(HasItsMembers());
}

TEST_F(ContentReadAndWritten, DiffersWhereTheBytesDo) {
  EXPECT_TRUE(ReadAll() == plain_);
  // Where no sample is taken, so that only the comparison can tell.
  for (uint64_t i = 0; i < plain_.size() / kBlock; ++i) plain_[i * kBlock + 100] ^= std::byte{1};
  WriteCopy(WriteSource::kProgram);
  EXPECT_FALSE(HasItsMembers());
}

TEST_F(ContentReadAndWritten, IsCompressedAtTheLevelThatWasAskedFor) {
  options_.level = 1;
  copy_.reset();
  CloseStore();
  OpenStore();
  Open();
  OpenCopy();
  EXPECT_TRUE(ReadAll() == plain_);
  WriteCopy(WriteSource::kProgram);
  EXPECT_FALSE(HasItsMembers());
}

}  // namespace
}  // namespace gzipfs
