// Content of base files that are torn, damaged, or no gzip files at all: what
// can be read is read, nothing wrong is given out, nothing is destroyed.
#include "tests/unit/codec/lying_tail.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;
constexpr uint64_t kBlocks = 6;

class ContentDamage : public test::StoreFixture {
 protected:
  void SetBase(std::span<const std::byte> bytes) { test::WriteFile(base_path(), bytes); }

  // A file of ours with a byte of block `index` changed, `within` its member.
  void DamageBlock(size_t index, size_t within, std::byte change = std::byte{0x20}) {
    Make(plain_);
    content_.reset();
    base_ = Base();
    base_[Members()[index].file_offset + within] ^= change;
    SetBase(base_);
  }
  // The first `good_bytes` are read; nothing can be written or appended, and
  // every byte of the base stays.
  void ExpectReadOnlyPrefix(uint64_t good_bytes) {
    Open();
    EXPECT_EQ(content_->plain_bytes(), good_bytes);
    const Buffer expected(plain_.begin(), plain_.begin() + static_cast<ptrdiff_t>(good_bytes));
    EXPECT_TRUE(ReadAll() == expected);
    ExpectNoWrites();
  }
  void ExpectNoWrites() {
    const Buffer before = Base();
    EXPECT_EQ(content_->Write(0, test::FromText("x")).error().value(), EIO);
    EXPECT_EQ(content_->WriteAtEnd(test::FromText("x")).error().value(), EIO);
    EXPECT_EQ(content_->Truncate(0).error().value(), EIO);
    EXPECT_EQ(content_->Truncate(1 << 20).error().value(), EIO);
    (void)content_->Flush();
    (void)content_->Settle();
    content_.reset();
    EXPECT_TRUE(Base() == before);
  }
  // Refused when opened, or else shown without taking writes.
  void ExpectNotDestroyed() {
    const auto content = TryOpen();
    if (!content) {
      EXPECT_EQ(ErrnoOf(content.error()), EIO);
      return;
    }
    content_ = *content;
    EXPECT_FALSE(content_->plain_bytes() == 0) << "a damaged file looks like an empty one";
    ExpectNoWrites();
  }

  const Buffer plain_ = test::TextLike(kBlocks * kBlock);
  Buffer base_;
};

TEST_F(ContentDamage, DamagedMemberFailsForItsRangeAlone) {
  DamageBlock(3, 1000);
  Open();
  EXPECT_EQ(content_->plain_bytes(), plain_.size());
  for (uint64_t i = 0; i < kBlocks; ++i) {
    for (const auto& [at, count] : {std::pair{i * kBlock, kBlock}, {i * kBlock + 5, 100ul}}) {
      const auto read = TryRead(at, count);
      ASSERT_EQ(read.has_value(), i != 3) << at;
      EXPECT_TRUE(read ? std::equal(read->begin(), read->end(), plain_.begin() + at)
                       : ErrnoOf(read.error()) == EIO);
    }
  }
  EXPECT_FALSE(TryRead(0, plain_.size()));
}

TEST_F(ContentDamage, EveryKindOfDamageToAMemberIsCaught) {
  for (size_t within : {17, 18, 30, 5000}) {
    std::filesystem::remove(base_path());
    DamageBlock(2, within);
    const auto content = TryOpen();
    if (!content) continue;
    content_ = *content;
    for (uint64_t at = 0; at < content_->plain_bytes(); at += 10'000) {
      const auto read = TryRead(at, 10'000);
      if (!read) continue;
      ASSERT_TRUE(std::equal(read->begin(), read->end(), plain_.begin() + at)) << within;
    }
  }
}

TEST_F(ContentDamage, DamagedMemberMayBeOverwrittenWhole) {
  DamageBlock(3, 1000);
  Open();
  Write(3 * kBlock, std::span(plain_).subspan(3 * kBlock, kBlock));
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentDamage, PartOfADamagedMemberCannotBeOverwritten) {
  DamageBlock(3, 1000);
  Open();
  Write(3 * kBlock + 10, test::FromText("part"));
  const auto settled = content_->Settle();
  ASSERT_FALSE(settled);
  EXPECT_EQ(ErrnoOf(settled.error()), EIO);
  EXPECT_TRUE(Base() == base_);
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / ".gzipfs/image"));
}

TEST_F(ContentDamage, ForeignMemberThatTurnsBadGivesItsGoodPart) {
  Buffer file = test::MakeForeign(plain_);
  file[file.size() - 6] ^= std::byte{1};  // the checksum, at its very end
  SetBase(file);
  ExpectNotDestroyed();
}

// --- A header in the middle --------------------------------------------------------

class ContentDamagedHeader : public ContentDamage,
                             public ::testing::WithParamInterface<size_t> {};

TEST_P(ContentDamagedHeader, WithMembersBehindItForbidsWrites) {
  DamageBlock(2, GetParam());
  // Without the tail, or the index would still lead to the members behind.
  base_.resize(base_.size() - 28);
  SetBase(base_);
  ExpectReadOnlyPrefix(2 * kBlock);
}

TEST_P(ContentDamagedHeader, AtTheStartForbidsWrites) {
  DamageBlock(0, GetParam());
  base_.resize(base_.size() - 28);
  SetBase(base_);
  ExpectNotDestroyed();
}

TEST_P(ContentDamagedHeader, IsFoundUnderATailToo) {
  DamageBlock(2, GetParam());
  Open();
  EXPECT_FALSE(TryRead(2 * kBlock, kBlock));
  (void)content_->Write(plain_.size(), test::FromText("more"));
  (void)content_->Settle();
  const Buffer after = Base();
  ASSERT_GE(after.size(), base_.size());
  EXPECT_TRUE(std::equal(base_.begin(), base_.end(), after.begin()));
}

// ID1, ID2, CM, FLG.
INSTANTIATE_TEST_SUITE_P(Bytes, ContentDamagedHeader, ::testing::Values(0, 1, 2, 3));

TEST_F(ContentDamage, MemberWithoutItsSubfieldIsReadAsAForeignOne) {
  DamageBlock(2, 12);
  Open();
  EXPECT_TRUE(ReadAll() == plain_);
}

// --- Files that end early -----------------------------------------------------------

TEST_F(ContentDamage, TornLastWriteOfOursIsDroppedByTheNext) {
  Make(plain_);
  content_.reset();
  const Buffer whole = Base();
  const Buffer torn = EncodeBlock(Profile::kBgzf, 1, test::Noise(kBlock / 2)).bytes;
  for (size_t size : {1, 9, 17, 25, 1000, 30'000}) {
    Buffer base = whole;
    test::Append(&base, std::span(torn).first(size));
    SetBase(base);
    Open();
    EXPECT_TRUE(ReadAll() == plain_) << size;
    Append(test::FromText("more"));
    Settle();
    EXPECT_EQ(Gunzipped().size(), plain_.size() + 4) << size;
  }
}

TEST_F(ContentDamage, FirstWriteOfOursTornIsAnEmptyFile) {
  const Buffer torn = EncodeBlock(Profile::kBgzf, 1, test::Noise(kBlock / 2)).bytes;
  for (size_t size : {1, 4, 10, 17, 18, 1000}) {
    SetBase(std::span(torn).first(size));
    Open();
    EXPECT_EQ(content_->plain_bytes(), 0u);
    Append(test::FromText("more"));
    Settle();
    EXPECT_EQ(Gunzipped(), test::FromText("more")) << size;
  }
}

TEST_F(ContentDamage, ZerosBehindTheLastMemberAreDroppedByTheNextWrite) {
  Make(plain_);
  content_.reset();
  Buffer base = Base();
  base.resize(base.size() + 5000);
  SetBase(base);
  Open();
  EXPECT_TRUE(ReadAll() == plain_);
  Append(test::FromText("more"));
  Settle();
  EXPECT_EQ(Gunzipped().size(), plain_.size() + 4);
}

TEST_F(ContentDamage, ForeignFileThatEndsEarlyIsNotShownAsAShorterOne) {
  const Buffer file = test::MakeForeign(plain_, {.name = "name"});
  for (size_t size : {size_t{10}, size_t{14}, size_t{20}, file.size() / 2, file.size() - 1}) {
    SetBase(std::span(file).first(size));
    ExpectNotDestroyed();
    EXPECT_EQ(Base().size(), size);
  }
}

TEST_F(ContentDamage, SecondForeignMemberThatEndsEarlyIsReadUpToThereAndForbidsWrites) {
  Buffer file = test::MakeForeign(plain_);
  const Buffer second = test::MakeForeign(test::TextLike(10'000));
  test::Append(&file, std::span(second).first(second.size() / 2));
  SetBase(file);
  Open();
  const uint64_t shown = content_->plain_bytes();
  EXPECT_GT(shown, plain_.size() + 1);
  Buffer expected = plain_;
  test::Append(&expected, test::TextLike(10'000));
  expected.resize(shown - 1);
  const auto readable = TryRead(0, shown - 1);
  ASSERT_TRUE(readable) << readable.error().message();
  EXPECT_TRUE(*readable == expected);
  EXPECT_FALSE(TryRead(shown - 1, 1));
  EXPECT_FALSE(content_->Write(0, test::FromText("x")));
  EXPECT_TRUE(Base() == file);
}

// --- Files that are no gzip files ----------------------------------------------------

TEST_F(ContentDamage, FileThatIsNoGzipFileIsNotShownAsAnEmptyOne) {
  for (const char* text : {"x", "just a text with the wrong name\n", "\x1f\x8c", "PK\3\4"}) {
    SetBase(test::FromText(text));
    ExpectNotDestroyed();
    EXPECT_EQ(Base(), test::FromText(text));
  }
}

TEST_F(ContentDamage, PlainSizeOfAFileThatIsNoGzipFileCannotBeTold) {
  SetBase(test::FromText("just a text with the wrong name\n"));
  const UniqueFd fd(::open(base_path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(ReadPlainSize(*store_, fd.get(), *ops_.Stat(fd.get())));
}

TEST_F(ContentDamage, GarbageBehindAForeignFileIsIgnoredAsGzipDoes) {
  Buffer file = test::MakeForeign(plain_);
  test::Append(&file, test::FromText("garbage"));
  SetBase(file);
  Open();
  EXPECT_TRUE(ReadAll() == plain_);
}

// --- Tails that lie -------------------------------------------------------------------

class ContentLies : public ContentDamage {
 protected:
  // Two members of 1000 bytes, described by a group each.
  void SetLie(std::vector<test::ClaimedGroup> groups) {
    text_ = test::TextLike(2000);
    Buffer file;
    for (size_t i = 0; i < 2; ++i) {
      const size_t begin = file.size();
      const auto half = std::span(text_).subspan(1000 * i, 1000);
      test::Append(&file, EncodeBlock(Profile::kBgzf, 1, half).bytes);
      groups[i].file_bytes += file.size() - begin;
    }
    test::Append(&file, test::MakeTail(file.size(), groups));
    // A store that has not heard of the file: one of the name was there before.
    CloseStore();
    test::WriteFile(base_path(), file);
    OpenStore();
  }
  void ExpectText() {
    Open();
    EXPECT_EQ(content_->plain_bytes(), text_.size());
    EXPECT_TRUE(ReadAll() == text_);
  }

  Buffer text_;
};

constexpr uint64_t kMinusOne = ~uint64_t{0};

const std::vector<test::ClaimedGroup> kWrongSizes[] = {
    {{1000, 0}, {0, 0}}, {{0, 0}, {1000, 0}}, {{999, 0}, {1000, 0}},
    {{1000, 0}, {1001, 0}}, {{2000, 0}, {1000, 0}}};

TEST_F(ContentLies, LyingTailNeverGivesWrongBytes) {
  for (const auto& groups : std::vector<std::vector<test::ClaimedGroup>>{
           {{999, 0}, {1001, 0}},
           {{1001, 0}, {999, 0}},
           {{0, 0}, {2000, 0}},
           {{2000, 0}, {0, 0}},
           {{1000, 1}, {1000, kMinusOne}},
           {{1000, kMinusOne}, {1000, 1}}}) {
    for (const size_t step : {50, 1000, 2000}) {
      for (const bool is_backward : {false, true}) {
        SetLie(groups);
        Open();
        ASSERT_EQ(content_->plain_bytes(), 2000u);
        for (size_t done = 0; done < 2000; done += step) {
          const size_t at = is_backward ? 2000 - step - done : done;
          const auto read = TryRead(at, step);
          ASSERT_TRUE(read) << at << read.error().message();
          ASSERT_EQ(read->size(), step);
          ASSERT_TRUE(std::equal(read->begin(), read->end(), text_.begin() + at)) << at;
        }
      }
    }
  }
}

TEST_F(ContentLies, OverwriteUnderALyingTailKeepsEverythingElse) {
  for (const auto& groups : std::vector<std::vector<test::ClaimedGroup>>{
           {{999, 0}, {1001, 0}}, {{0, 0}, {2000, 0}}, {{2000, 0}, {0, 0}}}) {
    SetLie(groups);
    Open();
    Write(1500, test::FromText("changed"));
    test::Overwrite(&text_, 1500, test::FromText("changed"));
    Settle();
    EXPECT_TRUE(Gunzipped() == text_);
    ExpectText();
  }
}

// What stat says of a closed file, the kernel goes by when it is open.
// Before the lie is found out, and afterwards.
TEST_F(ContentLies, SizeIsTheOneThatStatTells) {
  for (const auto& groups : kWrongSizes) {
    SetLie(groups);
    const UniqueFd fd(::open(base_path().c_str(), O_RDONLY | O_CLOEXEC));
    for (int i = 0; i < 2; ++i) {
      const auto told = ReadPlainSize(*store_, fd.get(), test::StatOf(base_path()));
      Open();
      EXPECT_EQ(content_->plain_bytes(), *told);
      EXPECT_TRUE(content_->CheckFit());
      (void)TryRead(0, 4000);
      EXPECT_EQ(content_->plain_bytes(), *told);  // somebody counts on it
      EXPECT_EQ(content_->CheckFit().has_value(), i == 1);
    }
    ExpectText();
  }
}

TEST_F(ContentLies, WrongSizeIsNoEndOfTheFile) {
  for (const auto& groups : kWrongSizes) {
    SetLie(groups);
    Open();
    const uint64_t told = groups[0].plain_bytes + groups[1].plain_bytes;
    bool is_whole = true;
    for (uint64_t at = 0; at < told; at += 100) {
      const auto read = TryRead(at, 100);
      is_whole = is_whole && read;
      if (!read) continue;
      ASSERT_LE(at + read->size(), text_.size());
      ASSERT_TRUE(std::equal(read->begin(), read->end(), text_.begin() + at)) << at;
    }
    EXPECT_FALSE(is_whole);
  }
}

TEST_F(ContentLies, NothingIsLostByWritingUnderAWrongSize) {
  for (const auto& groups : kWrongSizes) {
    SetLie(groups);
    const Buffer before = Base();
    Open();
    (void)content_->Write(10, test::FromText("changed"));
    EXPECT_FALSE(content_->Settle());
    content_.reset();
    EXPECT_TRUE(Base() == before);
    // By now it is known what the file is.
    Open();
    Append(test::FromText("more"));
    Settle();
    EXPECT_EQ(Gunzipped().size(), text_.size() + 4);
  }
}

TEST_F(ContentLies, FileOfAWrongSizeMayBeWrittenAnew) {
  for (const auto& groups : kWrongSizes) {
    SetLie(groups);
    Open();
    (void)TryRead(0, 4000);
    Truncate(0);
    Append(test::FromText("new"));
    Settle();
    EXPECT_EQ(Gunzipped(), test::FromText("new"));
  }
}

TEST_F(ContentLies, TailThatSaysNothingIsThereCostsNothing) {
  SetLie({{0, 0}, {0, 0}});
  ExpectText();
  Append(test::FromText("more"));
  Settle();
  EXPECT_EQ(Gunzipped().size(), 2004u);
}

}  // namespace
}  // namespace gzipfs
