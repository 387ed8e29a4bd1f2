// What is damage, and what is only worth a note.
#include "tools/verify_file.h"

#include <gtest/gtest.h>

#include "tests/unit/codec/lying_tail.h"
#include "tests/unit/temp_dir.h"
#include "tests/unit/tools/pack_data.h"

namespace gzipfs {
namespace {

using test::Buffer;
using Verdict = FileVerdict::Kind;

class VerifyFileTest : public ::testing::Test {
 protected:
  FileVerdict Verify(std::span<const std::byte> bytes) {
    const std::string path = dir_ / "file.gz";
    test::WriteFile(path, bytes);
    std::atomic<uint64_t> done_bytes = 0;
    FileVerdict verdict = VerifyFile(path, nullptr, done_bytes);
    EXPECT_EQ(verdict.file_bytes, bytes.size());
    return verdict;
  }

  test::TempDir dir_;
};

TEST_F(VerifyFileTest, GoodFilesAreGood) {
  for (size_t plain_bytes : {0u, 1u, 100'000u, 3'000'000u}) {
    const FileVerdict verdict = Verify(test::PackInMemory(test::TextLike(plain_bytes)));
    EXPECT_EQ(verdict.kind, Verdict::kGood) << verdict.reason;
    EXPECT_EQ(verdict.plain_bytes, plain_bytes);
  }
  EXPECT_EQ(Verify(test::MakeForeign(test::TextLike(100))).kind, Verdict::kGood);
}

TEST_F(VerifyFileTest, FileOfNoBytesIsANote) {
  const FileVerdict verdict = Verify({});
  EXPECT_EQ(verdict.kind, Verdict::kNoted);
  EXPECT_EQ(verdict.plain_bytes, 0u);
}

TEST_F(VerifyFileTest, JoinedFilesAreANoteThatSaysWhere) {
  const Buffer files[] = {test::PackInMemory(test::TextLike(10'000)),
                          test::PackInMemory(test::TextLike(3'000'000)),
                          test::PackInMemory({}), test::MakeForeign(test::TextLike(1000))};
  for (const Buffer& first : files) {
    for (const Buffer& last : std::span(files).first(2)) {
      Buffer joined = first;
      test::Append(&joined, files[0]);
      const size_t start = joined.size();
      test::Append(&joined, last);
      const FileVerdict verdict = Verify(joined);
      EXPECT_EQ(verdict.kind, Verdict::kNoted) << verdict.reason;
      EXPECT_NE(verdict.reason.find("offset " + std::to_string(start) + " "), std::string::npos)
          << verdict.reason;
    }
  }
}

TEST_F(VerifyFileTest, BitOfATailFlippedIsDamageJoinedOrNot) {
  const Buffer first = test::PackInMemory(test::TextLike(10'000));
  for (size_t from_end : {28 + 20, 2 * 28 - 5, 2 * 28 - 9, 3 * 28 - 5}) {
    for (bool is_joined : {false, true}) {
      Buffer file = first;
      if (is_joined) test::Append(&file, test::PackInMemory(test::TextLike(3'000'000)));
      file[file.size() - from_end] ^= std::byte{1};
      EXPECT_EQ(Verify(file).kind, Verdict::kDamaged) << from_end;
    }
  }
}

TEST_F(VerifyFileTest, DamageToMembersIsMoreThanANote) {
  Buffer file = test::PackInMemory(test::TextLike(100'000));
  const size_t start = file.size();
  test::Append(&file, test::PackInMemory(test::TextLike(100'000)));
  file[start + 1000] ^= std::byte{1};
  const FileVerdict verdict = Verify(file);
  EXPECT_EQ(verdict.kind, Verdict::kDamaged);
  EXPECT_NE(verdict.reason.find("plain bytes 100000 to 165535"), std::string::npos)
      << verdict.reason;
}

TEST_F(VerifyFileTest, EveryLieOfATailIsDamage) {
  const Buffer text = test::TextLike(1000);
  const Buffer member = EncodeBlock(Profile::kBgzf, 1, text).bytes;
  Buffer members;
  for (int i = 0; i < 3; ++i) test::Append(&members, member);
  const uint64_t size = member.size();
  const auto with_tail = [&](const std::vector<test::ClaimedGroup>& groups) {
    Buffer file = members;
    test::Append(&file, test::MakeTail(file.size(), groups));
    return file;
  };
  EXPECT_EQ(Verify(with_tail({{1000, size}, {1000, size}, {1000, size}})).kind, Verdict::kGood);
  for (const auto& groups : std::vector<std::vector<test::ClaimedGroup>>{
           {{999, size}, {1000, size}, {1001, size}},
           {{1000, size}, {0, size}, {1000, size}},
           {{1000, size}, {1000, size}, {0, size}},
           {{0, size}, {1000, size}, {1000, size}},
           {{1000, size}, {0, size}, {2000, size}},
           {{1000, size + 1}, {1000, size}, {1000, size - 1}},
           {{3001, 3 * size}},
           {{0, 3 * size}}}) {
    const FileVerdict verdict = Verify(with_tail(groups));
    EXPECT_EQ(verdict.kind, Verdict::kDamaged);
    EXPECT_NE(verdict.reason.find("index"), std::string::npos) << verdict.reason;
  }
}

// Where each member with plain bytes begins.
std::vector<MemberInfo> MembersOf(const Buffer& file) {
  const SpanSource source(file);
  MemberScanner scanner(source);
  std::vector<MemberInfo> members;
  for (auto next = scanner.Next(); next && *next; next = scanner.Next()) {
    if ((*next)->plain_bytes > 0) members.push_back(**next);
  }
  return members;
}

TEST_F(VerifyFileTest, IndexNamesWhatIsLostWhereAHeaderIsDamaged) {
  const Buffer good = test::PackInMemory(test::TextLike(6'000'000));
  const std::vector<MemberInfo> members = MembersOf(good);
  for (size_t i : {size_t{0}, size_t{31}, size_t{32}, size_t{50}, members.size() - 1}) {
    for (const int64_t place : {0, 3, 10, -3}) {  // of the header, and ISIZE
      Buffer file = good;
      const MemberInfo& member = members[i];
      file[place < 0 ? member.file_end() - 3 : member.file_offset + static_cast<size_t>(place)] ^=
          std::byte{0x81};
      const FileVerdict verdict = Verify(file);
      EXPECT_EQ(verdict.kind, Verdict::kDamaged);
      const std::string lost = "plain bytes " + std::to_string(member.plain_offset) + " to " +
                               std::to_string(member.plain_end() - 1) +
                               ", member at file offset " + std::to_string(member.file_offset);
      EXPECT_TRUE(verdict.reason.starts_with(lost)) << verdict.reason << ", not " << lost;
      EXPECT_TRUE(verdict.further.empty()) << verdict.further[0];
      EXPECT_EQ(verdict.plain_bytes, 6'000'000u);
    }
  }
}

TEST_F(VerifyFileTest, EveryDamageIsALine) {
  Buffer file = test::PackInMemory(test::TextLike(8'000'000));
  const std::vector<MemberInfo> members = MembersOf(file);
  for (const size_t i : {3, 40, 41, 100}) file[members[i].file_offset + 300] ^= std::byte{1};
  file[members[70].file_offset] ^= std::byte{1};
  const FileVerdict verdict = Verify(file);
  EXPECT_TRUE(verdict.reason.starts_with("plain bytes 196608 to 262143, member"));
  ASSERT_GE(verdict.further.size(), 3u);
  EXPECT_TRUE(verdict.further.back().starts_with("plain bytes 6553600 to 6619135, member"));
}

TEST_F(VerifyFileTest, WhatIsNoGzipIsANoteUnlessItEndsWithATail) {
  EXPECT_EQ(Verify(test::FromText("text")).kind, Verdict::kNoted);
  EXPECT_EQ(Verify(test::FromText("t")).kind, Verdict::kNoted);
  Buffer file = test::PackInMemory(test::TextLike(1000));
  file[0] ^= std::byte{1};
  EXPECT_EQ(Verify(file).kind, Verdict::kDamaged);
}

TEST_F(VerifyFileTest, MissingTailIsANoteInAFileThatHadOne) {
  Buffer file = test::PackInMemory(test::TextLike(1000));
  test::Append(&file, EncodeBlock(Profile::kBgzf, 1, test::TextLike(1000)).bytes);
  const FileVerdict verdict = Verify(file);
  EXPECT_EQ(verdict.kind, Verdict::kNoted);
  EXPECT_TRUE(verdict.may_need_repair);
  EXPECT_EQ(Verify(EncodeBlock(Profile::kBgzf, 1, test::TextLike(1000)).bytes).kind,
            Verdict::kGood);
}

TEST_F(VerifyFileTest, TornEndIsBelievedInAStoreInUseWhenItIsOld) {
  Buffer file = test::PackInMemory(test::TextLike(100'000));
  file.resize(file.size() / 2);
  EXPECT_TRUE(Verify(file).is_torn_end);
  std::atomic<uint64_t> done_bytes = 0;
  const FileVerdict verdict =
      VerifyFile(dir_ / "file.gz", nullptr, done_bytes, {.is_in_use = [] { return true; }});
  EXPECT_EQ(verdict.kind, Verdict::kNoted);
  EXPECT_EQ(verdict.reason, "is being written");
  EXPECT_EQ(done_bytes, file.size()) << "five looks count once";
}

TEST_F(VerifyFileTest, DeepLookFindsWhatIsBehindDamageWithoutAnIndex) {
  Buffer file = test::PackInMemory(test::TextLike(1'000'000));
  const std::vector<MemberInfo> members = MembersOf(file);
  file.resize(members.back().file_end());
  file[members[5].file_offset] ^= std::byte{1};
  test::WriteFile(dir_ / "deep.gz", file);
  std::atomic<uint64_t> done_bytes = 0;
  const FileVerdict verdict =
      VerifyFile(dir_ / "deep.gz", nullptr, done_bytes, {.is_deep = true});
  EXPECT_EQ(verdict.kind, Verdict::kDamaged);
  ASSERT_EQ(verdict.further.size(), 1u);
  EXPECT_NE(verdict.further[0].find(std::to_string(members.size() - 6) + " readable members"),
            std::string::npos)
      << verdict.further[0];
  EXPECT_EQ(VerifyFile(dir_ / "file.gz", nullptr, done_bytes, {.is_deep = true}).kind,
            Verdict::kGone);
}

TEST_F(VerifyFileTest, GoodFilesAreGoodTwice) {
  test::WriteFile(dir_ / "deep.gz", test::PackInMemory(test::TextLike(1'000'000)));
  test::WriteFile(dir_ / "foreign.gz", test::MakeForeign(test::TextLike(1'000'000)));
  std::atomic<uint64_t> done_bytes = 0;
  for (const char* name : {"deep.gz", "foreign.gz"}) {
    EXPECT_EQ(VerifyFile(dir_ / name, nullptr, done_bytes, {.is_deep = true}).kind,
              Verdict::kGood);
  }
}

TEST_F(VerifyFileTest, InterruptedIsNoVerdict) {
  test::WriteFile(dir_ / "file.gz", test::PackInMemory(test::TextLike(1'000'000)));
  std::atomic<uint64_t> done_bytes = 0;
  const VerifyOptions options{.is_interrupted = [] { return true; }};
  EXPECT_EQ(VerifyFile(dir_ / "file.gz", nullptr, done_bytes, options).kind,
            Verdict::kInterrupted);
}

}  // namespace
}  // namespace gzipfs
