// What a tail claims against where the members are.
#include "codec/index_check.h"

#include <gtest/gtest.h>

#include "tests/unit/tools/pack_data.h"
#include "tools/file_report.h"

namespace gzipfs {
namespace {

using test::Buffer;

TEST(IndexCheck, RightIndexAgrees) {
  for (size_t plain_bytes : {0u, 1u, 65536u, 65537u, 5000000u}) {
    const Buffer file = test::PackInMemory(test::TextLike(plain_bytes));
    const auto report = ReportFile(SpanSource(file));
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->tail) << plain_bytes;
    EXPECT_TRUE(report->index_agrees) << plain_bytes;
    EXPECT_EQ(report->plain_bytes, plain_bytes);
    EXPECT_EQ(WriterName(*report), "gzipfs");
    EXPECT_EQ(ProfileName(*report), "bgzf");
  }
}

TEST(IndexCheck, GroupThatBeginsInsideAMemberIsWrong) {
  MemberIndex claimed;
  for (int i = 0; i < 64; ++i) claimed.Append(1000, 100);  // two groups
  IndexCheck check(claimed);
  for (int i = 0; i <= 32; ++i) check.PassBoundary(i * 200u, i * 2000u);
  EXPECT_TRUE(check.Agrees());
  IndexCheck shifted(claimed);
  for (int i = 0; i <= 9; ++i) shifted.PassBoundary(i * 700u, i * 7000u);
  shifted.PassBoundary(6400, 64000);
  EXPECT_FALSE(shifted.Agrees());
}

TEST(IndexCheck, WrongTotalIsWrong) {
  MemberIndex claimed;
  claimed.Append(1000, 100);
  IndexCheck check(claimed);
  check.PassBoundary(0, 0);
  check.PassBoundary(100, 1000);
  EXPECT_TRUE(check.Agrees());
  check.PassBoundary(200, 2000);
  EXPECT_FALSE(check.Agrees());
}

TEST(IndexCheck, GroupWithTheWrongPlainOffsetIsWrong) {
  MemberIndex claimed;
  for (int i = 0; i < 64; ++i) claimed.Append(1000, 100);
  IndexCheck check(claimed);
  for (int i = 0; i <= 64; ++i) check.PassBoundary(i * 100u, i * 1000u + (i == 32 ? 1 : 0));
  EXPECT_FALSE(check.Agrees());
}

TEST(FileReport, DamagedTailIsSeen) {
  Buffer file = test::PackInMemory(test::TextLike(100000));
  file[file.size() - 2 * 28 + 4] ^= std::byte{1};
  const auto report = ReportFile(SpanSource(file));
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->tail);
  EXPECT_TRUE(report->ends_like_tail);
  EXPECT_EQ(report->plain_bytes, 100000u);
}

TEST(FileReport, ForeignMembersAreCounted) {
  Buffer file = test::MakeForeign(test::TextLike(1000), {.name = "n"});
  test::Append(&file, test::MakeForeign(test::TextLike(500)));
  const auto report = ReportFile(SpanSource(file));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->foreign_members, 2u);
  EXPECT_EQ(report->plain_bytes, 1500u);
  EXPECT_EQ(ProfileName(*report), "foreign");
  EXPECT_EQ(WriterName(*report), "gzip or pigz, with the file's name");
}

}  // namespace
}  // namespace gzipfs
