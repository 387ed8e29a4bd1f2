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

}  // namespace
}  // namespace gzipfs
