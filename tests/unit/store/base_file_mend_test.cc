// When the index of a base file is mended and when it is not: damage and device
// errors are no lies, and other threads are in the middle of something.
#include <thread>

#include "tests/unit/store/lying_base.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::ClaimedGroup;
using test::kGroupPlain;
using test::kGroups;

class BaseFileMend : public test::BaseFileLies {};

// --- What is no lie -------------------------------------------------------------------

TEST_F(BaseFileMend, RightTailsCostNoMoreReadsThanWithoutDoubts) {
  std::atomic<int> reads = 0;
  ops_.before = [&reads](Call call) {
    reads += call == Call::kRead;
    return 0;
  };
  SetTail(truth_);
  auto base = OpenUnprepared();
  reads = 0;
  base = OpenBase();
  EXPECT_EQ(reads, 2);  // the end, the entries
  ASSERT_TRUE(ReadBase(*base, 0, 100));
  EXPECT_EQ(reads, 4);  // the group's headers, the member
  ASSERT_TRUE(ReadBase(*base, 100, 1000));
  EXPECT_EQ(reads, 5);
  // One group: its members are walked once, by whoever comes first.
  Buffer file = members_;
  test::Append(&file, test::MakeTail(file.size(), {}, plain_.size(), 0));
  test::WriteFile(base_path(), file);
  reads = 0;
  base = OpenBase();
  EXPECT_EQ(reads, 1);
  ASSERT_TRUE(ReadBase(*base, 0, 100));
  const int all_reads = reads;
  EXPECT_LE(all_reads, 2 + static_cast<int>(3 * kGroups));
  ASSERT_TRUE(AppendText(*base, "more"));
  EXPECT_EQ(reads, all_reads);
  ops_.before = nullptr;
}

TEST_F(BaseFileMend, DamagedHeaderUnderARightTailCostsItsGroupAlone) {
  SetTail(truth_);
  Buffer file = Base();
  file[truth_[0].file_bytes] ^= std::byte{0x20};
  test::WriteFile(base_path(), file);
  const auto base = OpenBase();
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t i = 0; i < kGroups; ++i) {
      const auto read = ReadBase(*base, i * kGroupPlain, kGroupPlain);
      ASSERT_EQ(read.has_value(), i != 1) << i;
      EXPECT_TRUE(!read || IsRight(*read, i * kGroupPlain)) << i;
    }
    EXPECT_TRUE(base->Verify());
  }
  EXPECT_EQ(base->plain_bytes(), plain_.size());
  EXPECT_TRUE(base->FindGroup(2 * kGroupPlain));
  EXPECT_FALSE(BaseFile::IsTailDoubted(*store_, test::StatOf(base_path())));
}

TEST_F(BaseFileMend, DamagedBytesOfAMemberAreNotTakenForALie) {
  SetTail(truth_);
  Buffer file = Base();
  file[truth_[0].file_bytes + 100] ^= std::byte{0x20};
  test::WriteFile(base_path(), file);
  const auto base = OpenBase();
  EXPECT_FALSE(ReadBase(*base, kGroupPlain, 10));
  EXPECT_TRUE(ReadBase(*base, 2 * kGroupPlain, 10));
  EXPECT_FALSE(BaseFile::IsTailDoubted(*store_, test::StatOf(base_path())));
}

TEST_F(BaseFileMend, DeviceErrorIsNotTakenForALie) {
  SetTail(truth_);
  const auto base = OpenBase();
  ops_.before = [](Call call) { return call == Call::kRead ? EIO : 0; };
  EXPECT_EQ(ReadBase(*base, 0, 10).error(), std::error_code(EIO, std::system_category()));
  EXPECT_EQ(base->Verify().error(), std::error_code(EIO, std::system_category()));
  EXPECT_FALSE(base->FindGroup(0));
  ops_.before = nullptr;
  ExpectAllRight(*base);
  EXPECT_TRUE(base->Verify());
}

TEST_F(BaseFileMend, OwnTailIsBelieved) {
  SetTail(truth_);
  auto base = BaseFile::Open(*store_, UniqueFd(::open(base_path().c_str(), O_RDWR | O_CLOEXEC)),
                             TailTrust::kOwn);
  ASSERT_TRUE(base);
  int reads = 0;
  ops_.before = [&reads](Call call) {
    reads += call == Call::kRead;
    return 0;
  };
  EXPECT_TRUE((*base)->Verify());
  EXPECT_TRUE((*base)->FindGroup(0));
  EXPECT_EQ(reads, 0);
  ops_.before = nullptr;
}

// An append that looks at the last members must not cost a walk of the file.
TEST_F(BaseFileMend, WhatIsCutOffIsLookedAtAndNoMore) {
  SetLie([](auto& groups) { --groups[0].plain_bytes, ++groups[1].plain_bytes; });
  const auto base = OpenBase();
  int reads = 0;
  ops_.before = [&reads](Call call) {
    reads += call == Call::kRead;
    return 0;
  };
  EXPECT_TRUE(base->FindGroup(plain_.size() - 1));
  EXPECT_EQ(reads, 1);
  EXPECT_TRUE(*base->IsBoundary(3 * kGroupPlain));
  EXPECT_EQ(reads, 1);
  ops_.before = nullptr;
  ASSERT_TRUE(base->CutAt(3 * kGroupPlain));
  plain_.resize(3 * kGroupPlain);
  EXPECT_TRUE(Gunzipped() == plain_);
  ExpectAllRight(*base);
}

TEST_F(BaseFileMend, NothingIsCutOffThatTheTailHides) {
  SetLie([](auto& groups) { groups[2].plain_bytes = 0; });
  const Buffer before = Base();
  const auto base = OpenBase();
  EXPECT_EQ(base->CutAt(kGroupPlain).error().value(), ESTALE);
  EXPECT_TRUE(Base() == before);
}

// --- What other threads do -------------------------------------------------------------

TEST_F(BaseFileMend, ReadersAndAnAppenderMendItTogether) {
  // Every group is wrong, so that no read is deceived.
  SetTail({{2999, truth_[0].file_bytes},
           {3001, truth_[1].file_bytes},
           {2999, truth_[2].file_bytes},
           {3001, truth_[3].file_bytes}});
  auto base = OpenBase();
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> readers;
    for (uint32_t seed = 0; seed < 4; ++seed) {
      readers.emplace_back([&, seed] {
        std::mt19937 random(seed);
        for (int i = 0; i < 200; ++i) {
          const uint64_t at = random() % plain_.size();
          const auto read = ReadBase(*base, at, 1 + random() % (plain_.size() - at));
          wrong += !read || !IsRight(*read, at);
        }
      });
    }
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(AppendText(*base, "line\n"));
  }
  EXPECT_EQ(wrong, 0);
  for (int i = 0; i < 100; ++i) test::Append(&plain_, test::FromText("line\n"));
  EXPECT_TRUE(Gunzipped() == plain_);
  ExpectAllRight(*base);
  base.reset();  // before the store, which is opened anew
  const auto again = OpenUnprepared();
  EXPECT_TRUE(again->Verify());
  ExpectAllRight(*again);
}

// The appender's tail is made from the index as it was, so that one must still
// be there when the tail is accounted for.
TEST_F(BaseFileMend, IndexDoesNotChangeUnderAnAppender) {
  SetLie([](auto& groups) { --groups[0].plain_bytes, ++groups[1].plain_bytes; });
  auto base = OpenBase();
  std::atomic<bool> was_read = false;
  std::jthread reader;
  ops_.before = [&](Call call) {
    if (call != Call::kWrite || reader.joinable()) return 0;
    reader = std::jthread([&] {
      const auto read = ReadBase(*base, 0, kGroupPlain);
      EXPECT_TRUE(read && IsRight(*read, 0));
      was_read = true;
    });
    // The read has all the time it needs if nothing keeps it waiting.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    while (!was_read && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_FALSE(was_read);
    return 0;
  };
  ASSERT_TRUE(AppendText(*base, "one"));
  reader.join();
  ops_.before = nullptr;
  EXPECT_FALSE(base->ends_with_tail());  // it was written, and says what the old one said
  ASSERT_TRUE(AppendText(*base, "two"));
  test::Append(&plain_, test::FromText("onetwo"));
  base.reset();  // before the store, which is opened anew
  const auto again = OpenUnprepared();
  EXPECT_TRUE(again->ends_with_tail());
  EXPECT_TRUE(again->Verify());
  ExpectAllRight(*again);
  EXPECT_FALSE(BaseFile::IsTailDoubted(*store_, test::StatOf(base_path())));
}

// Pieces of foreign members are cached by plain offset, which the lie got wrong.
TEST_F(BaseFileMend, ForeignMembersAreNotServedFromWhereTheLieSawThem) {
  Buffer file, plain;
  std::vector<ClaimedGroup> groups;
  for (uint32_t i = 0; i < 4; ++i) {
    const Buffer text = test::TextLike(1000, i + 1);
    const Buffer member = test::MakeForeign(text);
    test::Append(&file, member);
    test::Append(&plain, text);
    groups.push_back({1000, member.size()});
  }
  groups[0].plain_bytes = 2000;
  groups[3].plain_bytes = 1;
  test::Append(&file, test::MakeTail(file.size(), groups));
  test::WriteFile(base_path(), file);
  const auto base = OpenBase();
  ASSERT_TRUE(ReadBase(*base, 2000, 1000));  // deceived: the group fits by itself
  const auto read = ReadBase(*base, 0, 4000);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_TRUE(*read == plain);
  EXPECT_FALSE(base->is_conforming());
  EXPECT_FALSE(AppendText(*base, "x"));
  EXPECT_EQ(*ReadBase(*OpenBase(), 0, 4000), plain);
}

}  // namespace
}  // namespace gzipfs
