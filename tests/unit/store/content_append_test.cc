// Content in append mode: what reaches the base, and when.
#include <thread>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;

class ContentAppend : public test::StoreFixture {
 protected:
  bool HasTail() const {
    const Buffer base = Base();
    const auto tail = ReadTailSummary(SpanSource(base), base.size());
    return tail && *tail && (*tail)->plain_bytes == content_->plain_bytes();
  }
  // Waits until the compressors have brought `plain_bytes` to the base.
  void AwaitInBase(uint64_t plain_bytes) {
    for (;;) {
      const auto layout = test::Scan(Base());
      if (layout && layout->index.plain_bytes() >= plain_bytes) return;
      std::this_thread::yield();
    }
  }
};

TEST_F(ContentAppend, NewEmptyFileIsAValidGzipFileAfterFlush) {
  Open(/*is_new=*/true);
  EXPECT_EQ(content_->plain_bytes(), 0u);
  EXPECT_FALSE(content_->IsSettled());
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_TRUE(HasTail());
  EXPECT_TRUE(Gunzipped().empty());
}

TEST_F(ContentAppend, StreamedBlocksAreInTheBaseBeforeFlush) {
  Open(true);
  const Buffer plain = test::TextLike(10 * kBlock + 100);
  for (size_t at = 0; at < plain.size(); at += 10'000) {
    Write(at, std::span(plain).subspan(at, std::min<size_t>(10'000, plain.size() - at)));
  }
  AwaitInBase(10 * kBlock);
  EXPECT_FALSE(content_->IsSettled());
  EXPECT_EQ(ReadAll(), plain);
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_EQ(Gunzipped(), plain);
}

TEST_F(ContentAppend, FlushLeavesATailThatTellsTheSize) {
  Open(true);
  for (uint64_t size : {uint64_t{1}, uint64_t{99}, kBlock - 1, kBlock, kBlock + 1, 40 * kBlock}) {
    Append(test::TextLike(size - content_->plain_bytes()));
    Flush();
    EXPECT_TRUE(HasTail()) << size;
    EXPECT_EQ(Gunzipped().size(), size);
  }
}

TEST_F(ContentAppend, SecondFlushWritesNothing) {
  Make(test::TextLike(1000));
  Flush();
  const Buffer base = Base();
  Flush();
  Settle();
  EXPECT_EQ(Base(), base);
}

TEST_F(ContentAppend, FileThatIsOnlyReadIsNotTouched) {
  test::WriteFile(base_path(), test::MakeForeign(test::TextLike(1000)));
  const Buffer base = Base();
  Open();
  EXPECT_EQ(ReadAll(), test::TextLike(1000));
  Flush();
  Settle();
  EXPECT_EQ(Base(), base);
}

TEST_F(ContentAppend, IncompressibleBlocksAreStored) {
  const Buffer noise = test::Noise(3 * kBlock + 17);
  Make(noise);
  EXPECT_EQ(Gunzipped(), noise);
  EXPECT_LT(Base().size(), noise.size() + 500);
  for (const MemberInfo& member : Members()) {
    EXPECT_LE(member.member_bytes, kBgzfMaxMemberBytes);
  }
}

TEST_F(ContentAppend, WriteAtEndSaysWhereItWas) {
  Open(true);
  for (uint64_t i = 0; i < 20; ++i) {
    const auto at = content_->WriteAtEnd(test::FromText("0123456789"));
    ASSERT_TRUE(at);
    EXPECT_EQ(*at, i * 10);
  }
  Flush();
  EXPECT_EQ(Gunzipped().size(), 200u);
}

TEST_F(ContentAppend, FiftyReopenedAppendsKeepTheMembersBefore) {
  Buffer plain;
  for (uint32_t i = 0; i < 50; ++i) {
    Open(i == 0);
    const Buffer before = Base();
    const Buffer line = test::TextLike(1 + i * 37, i);
    Append(line);
    test::Append(&plain, line);
    Flush();
    const Buffer after = Base();
    ASSERT_TRUE(std::equal(before.begin(), before.end(), after.begin())) << i;
    ASSERT_TRUE(HasTail());
  }
  EXPECT_EQ(Gunzipped(), plain);
  Open();
  EXPECT_EQ(ReadAll(), plain);
}

TEST_F(ContentAppend, EmptyNewFileKeepsItsTimeWhenItsTailIsWritten) {
  Open(/*is_new=*/true);
  const timespec made = test::StatOf(base_path()).st_mtim;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  Flush();
  ASSERT_TRUE(HasTail());
  EXPECT_EQ(test::StatOf(base_path()).st_mtim.tv_nsec, made.tv_nsec);
}

TEST_F(ContentAppend, ExtendNeverShortens) {
  Make(test::TextLike(1000));
  ASSERT_TRUE(content_->Extend(500));
  EXPECT_EQ(content_->plain_bytes(), 1000u);
  ASSERT_TRUE(content_->Extend(3 * kBlock));
  Flush();
  EXPECT_EQ(Gunzipped().size(), 3 * kBlock);
}

TEST_F(ContentAppend, FileWithoutANameIsSettledWhateverTheDiskSays) {
  Make(test::TextLike(1000));
  ASSERT_EQ(::unlink(base_path().c_str()), 0);
  place_->is_gone = true;
  ops_.before = [](test::Call call) { return test::NeedsSpace(call) ? ENOSPC : 0; };
  Append(test::Noise(3 * kBlock));
  EXPECT_TRUE(content_->Settle());
  EXPECT_TRUE(content_->IsSettled());
  ops_.before = nullptr;
}

TEST_F(ContentAppend, AppendToAForeignFileIsInTheBaseAfterFlush) {
  const Buffer old = test::TextLike(200'000);
  test::WriteFile(base_path(), test::MakeForeign(old));
  Open();
  Append(test::FromText("LAST\n"));
  Flush();
  Buffer expected = old;
  test::Append(&expected, test::FromText("LAST\n"));
  EXPECT_EQ(Gunzipped(), expected);
  EXPECT_TRUE(content_->IsSettled());
}

TEST_F(ContentAppend, TruncateToNothingBeginsAnew) {
  Make(test::TextLike(5 * kBlock));
  Truncate(0);
  EXPECT_EQ(Base().size(), 0u);
  const Buffer plain = test::TextLike(2 * kBlock + 5, 2);
  Write(0, plain);
  Flush();
  EXPECT_TRUE(content_->IsSettled());  // no checkpoint was needed
  EXPECT_EQ(place_->replaced_count, 0);
  EXPECT_EQ(Gunzipped(), plain);
}

TEST_F(ContentAppend, ForeignFileTruncatedToNothingBecomesOurs) {
  test::WriteFile(base_path(), test::MakeForeign(test::TextLike(100'000)));
  Open();
  Truncate(0);
  Write(0, test::FromText("new"));
  Flush();
  Settle();
  EXPECT_TRUE(HasTail());
  EXPECT_EQ(Gunzipped(), test::FromText("new"));
  Append(test::FromText(" more"));
  Settle();
  EXPECT_EQ(Gunzipped(), test::FromText("new more"));
}

TEST_F(ContentAppend, CutAtABlockNeedsNoNewBase) {
  const Buffer plain = test::TextLike(5 * kBlock);
  Make(plain);
  Truncate(3 * kBlock);
  EXPECT_EQ(content_->plain_bytes(), 3 * kBlock);
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_EQ(place_->replaced_count, 0);
  EXPECT_EQ(Gunzipped(), Buffer(plain.begin(), plain.begin() + 3 * kBlock));
}

TEST_F(ContentAppend, HoleReadsAsZerosAndCostsLittle) {
  Make(test::TextLike(100));
  Truncate(1000 * kBlock + 7);
  EXPECT_EQ(*TryRead(500 * kBlock, 10), Buffer(10));
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_LT(Base().size(), 1000 * 130u);
  const Buffer plain = Gunzipped();
  ASSERT_EQ(plain.size(), 1000 * kBlock + 7);
  EXPECT_TRUE(std::all_of(plain.begin() + 100, plain.end(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST_F(ContentAppend, WriteFarBehindTheEndLeavesAHole) {
  Open(true);
  Write(100 * kBlock + 5, test::FromText("far"));
  EXPECT_EQ(content_->plain_bytes(), 100 * kBlock + 8);
  Write(50 * kBlock, test::FromText("half way"));
  Flush();
  Settle();
  Buffer expected(100 * kBlock + 8);
  test::Overwrite(&expected, 100 * kBlock + 5, test::FromText("far"));
  test::Overwrite(&expected, 50 * kBlock, test::FromText("half way"));
  EXPECT_EQ(Gunzipped(), expected);
  EXPECT_EQ(ReadAll(), expected);
}

TEST_F(ContentAppend, WriteIntoAHoleThatIsBeingAppendedIsKept) {
  Make(test::TextLike(100));
  Truncate(20 * kBlock);
  ops_.before = [this, is_done = false](test::Call call) mutable {
    if (call != test::Call::kWrite || std::exchange(is_done, true)) return 0;
    Write(5 * kBlock + 10, test::FromText("into the hole"));
    Write(7 * kBlock, test::TextLike(kBlock));
    return 0;
  };
  Flush();
  ops_.before = nullptr;
  Buffer expected = test::TextLike(100);
  test::Overwrite(&expected, 5 * kBlock + 10, test::FromText("into the hole"));
  test::Overwrite(&expected, 7 * kBlock, test::TextLike(kBlock));
  expected.resize(20 * kBlock);
  EXPECT_TRUE(ReadAll() == expected);
  Settle();
  EXPECT_TRUE(Gunzipped() == expected);
}

TEST_F(ContentAppend, AppendersWhoWaitForTheBaseGetPlacesOfTheirOwn) {
  Open(true);
  Write(0, test::TextLike(1000));
  std::jthread other;
  ops_.before = [&, is_done = false](test::Call call) mutable {
    if (call != test::Call::kWrite || std::exchange(is_done, true)) return 0;
    // Both see a block that is on its way to the base, and wait.
    other = std::jthread([this] { ASSERT_TRUE(content_->WriteAtEnd(test::FromText("other"))); });
    return 0;
  };
  std::jthread flush([this] { Flush(); });
  ASSERT_TRUE(content_->WriteAtEnd(test::FromText("this")));
  flush.join();
  ops_.before = nullptr;
  if (other.joinable()) other.join();
  EXPECT_EQ(content_->plain_bytes(), 1009u);
  Settle();
  EXPECT_EQ(Gunzipped().size(), 1009u);
}

TEST_F(ContentAppend, BlocksWrittenFromTheBackAreInOrder) {
  Open(true);
  const Buffer plain = test::TextLike(6 * kBlock);
  for (int i = 5; i >= 0; --i) Write(i * kBlock, std::span(plain).subspan(i * kBlock, kBlock));
  Settle();
  EXPECT_EQ(Gunzipped(), plain);
}

TEST_F(ContentAppend, LargestFileIsRefusedAndNotTooLargeOnes) {
  Open(true);
  EXPECT_EQ(content_->Write(kMaxPlainBytes - 1, test::FromText("ab")).error().value(), EFBIG);
  EXPECT_EQ(content_->Truncate(kMaxPlainBytes + 1).error().value(), EFBIG);
  EXPECT_EQ(content_->plain_bytes(), 0u);
  EXPECT_TRUE(content_->Truncate(kMaxPlainBytes));
  EXPECT_EQ(content_->plain_bytes(), kMaxPlainBytes);
  EXPECT_EQ(*TryRead(kMaxPlainBytes - 5, 100), Buffer(5));
  Truncate(0);
}

TEST_F(ContentAppend, ReadBehindTheEndGivesNothing) {
  Make(test::FromText("abc"));
  EXPECT_EQ(TryRead(3, 10)->size(), 0u);
  EXPECT_EQ(TryRead(~uint64_t{0} - 5, 10)->size(), 0u);
  EXPECT_EQ(*TryRead(1, 10), test::FromText("bc"));
  EXPECT_EQ(TryRead(0, 0)->size(), 0u);
}

TEST_F(ContentAppend, FileOpenedReadOnlyTakesNoWrites) {
  Make(test::FromText("abc"));
  content_ = *TryOpen(/*is_new=*/false, O_RDONLY);
  EXPECT_EQ(content_->Write(0, test::FromText("x")).error().value(), EROFS);
  EXPECT_EQ(content_->Truncate(0).error().value(), EROFS);
  EXPECT_EQ(ReadAll(), test::FromText("abc"));
  EXPECT_TRUE(content_->Flush());
  EXPECT_TRUE(content_->Settle());
}

TEST_F(ContentAppend, PlainSizeIsToldWithoutOpening) {
  Make(test::TextLike(123'456));
  const UniqueFd fd(::open(base_path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(*ReadPlainSize(*store_, fd.get(), *ops_.Stat(fd.get())), 123'456u);
  EXPECT_EQ(*ReadPlainSize(*store_, fd.get(), {}), 0u);
}

TEST_F(ContentAppend, TimeSetByTheUserSurvivesOurWrites) {
  Open(true);
  Write(0, test::TextLike(3 * kBlock));
  const timespec time{.tv_sec = 1'000'000'000, .tv_nsec = 123'456'789};
  ASSERT_TRUE(content_->SetTimes(std::nullopt, time));
  EXPECT_EQ(content_->pending_mtime()->tv_nsec, time.tv_nsec);
  Flush();
  const struct stat attributes = test::StatOf(base_path());
  EXPECT_EQ(attributes.st_mtim.tv_sec, time.tv_sec);
  EXPECT_EQ(attributes.st_mtim.tv_nsec, time.tv_nsec);
}

TEST_F(ContentAppend, UnlinkedFileStillWorks) {
  Open(true);
  Write(0, test::TextLike(2 * kBlock));
  std::filesystem::remove(base_path());
  place_->is_gone = true;
  Append(test::FromText("more"));
  EXPECT_TRUE(content_->Flush());
  EXPECT_TRUE(content_->Sync());
  EXPECT_EQ(ReadAll().size(), 2 * kBlock + 4);
}

class ContentInALargeStore : public test::StoreFixture {
 protected:
  ContentInALargeStore() : StoreFixture({.level = 1, .block_bytes = kMiB}) {}
};

TEST_F(ContentInALargeStore, BlocksAreAsLargeAsTheStoreSays) {
  const Buffer plain = test::TextLike(5 * kMiB + 3);
  Make(plain);
  const auto members = Members();
  ASSERT_EQ(members.size(), 6u);
  EXPECT_EQ(members[0].profile, Profile::kLarge);
  EXPECT_EQ(members[0].plain_bytes, kMiB);
  EXPECT_EQ(Gunzipped(), plain);
}

TEST_F(ContentInALargeStore, FileOfTheOtherProfileKeepsIt) {
  test::StoredFile file;
  file.AddPlain(test::TextLike(1000));
  file.AddTail();
  test::WriteFile(base_path(), file.bytes);
  Open();
  Append(test::TextLike(3 * kBlock));
  Settle();
  for (const MemberInfo& member : Members()) EXPECT_EQ(member.profile, Profile::kBgzf);
  EXPECT_EQ(Gunzipped().size(), 1000 + 3 * kBlock);
}

}  // namespace
}  // namespace gzipfs
