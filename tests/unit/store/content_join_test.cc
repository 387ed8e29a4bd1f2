// Many small appends do not leave as many members for good.
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::kBlock;

class ContentJoin : public test::StoreFixture {
 protected:
  void AppendLine(int number) {
    const Buffer line = test::FromText(fmt::format("line {} of a log that grows slowly\n", number));
    test::Append(&plain_, line);
    Append(line);
  }
  // Members with bytes in them.
  size_t MemberCount() {
    size_t count = 0;
    const Buffer base = Base();
    const SpanSource source(base);
    MemberScanner scanner(source);
    for (auto member = scanner.Next(); member && *member; member = scanner.Next()) {
      count += (*member)->plain_bytes > 0 ? 1 : 0;
    }
    return count;
  }
  size_t LogCount() {
    const std::filesystem::directory_iterator logs(dir_ / ".gzipfs/log");
    return static_cast<size_t>(std::distance(begin(logs), end(logs)));
  }
  Buffer plain_;
};

TEST_F(ContentJoin, LinesThatAreClosedOneByOne) {
  Make(plain_);
  for (int i = 0; plain_.size() < 5 * kBlock; ++i) {
    Open();
    AppendLine(i);
    Flush();
  }
  EXPECT_TRUE(Gunzipped() == plain_);
  EXPECT_TRUE(ReadAll() == plain_);
  // Four finished blocks and the lines of the fifth, not one for each of 8,000 lines.
  EXPECT_LT(MemberCount(), 600u);
  EXPECT_LT(Base().size(), plain_.size() / 2);
  EXPECT_EQ(LogCount(), 0u);
}

// All that is joined is taken into memory, so what is behind the lines must be little.
TEST_F(ContentJoin, LinesBeforeMuchThatIsAppendedAtOnceStay) {
  Make(plain_);
  for (int i = 0; i < 6; ++i) {
    AppendLine(i);
    Flush();
  }
  const Buffer much = test::TextLike(20 * kBlock);
  test::Append(&plain_, much);
  Append(much);
  Flush();
  EXPECT_EQ(MemberCount(), 6u + 21u);
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentJoin, LinesThatAreSyncedOneByOne) {
  Make(plain_);
  for (int i = 0; plain_.size() < 3 * kBlock; ++i) {
    AppendLine(i);
    ASSERT_TRUE(content_->Sync());
  }
  EXPECT_TRUE(Gunzipped() == plain_);
  EXPECT_LT(MemberCount(), 600u);
  EXPECT_EQ(LogCount(), 0u);
}

TEST_F(ContentJoin, SingleBytesDoNotPileUpWithinABlock) {
  Make(plain_);
  for (int i = 0; i < 2000; ++i) {
    Append(test::FromText("x"));
    Flush();
  }
  EXPECT_EQ(Gunzipped().size(), 2000u);
  EXPECT_LT(MemberCount(), 600u);
}

TEST_F(ContentJoin, LongAppendsAreLeftAlone) {
  Make(test::TextLike(kBlock / 2));
  const Buffer more = test::TextLike(3 * kBlock, 2);
  const Buffer before = Base();
  Append(more);
  Flush();
  const Buffer after = Base();
  ASSERT_GT(after.size(), before.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
}

TEST_F(ContentJoin, TimesStayAsTheyWere) {
  Make(plain_);
  const timespec mtime{.tv_sec = 1'000'000'000, .tv_nsec = 5};
  while (plain_.size() < kBlock + 100) {
    AppendLine(1);
    ASSERT_TRUE(content_->SetTimes(std::nullopt, mtime));
    Flush();
  }
  EXPECT_EQ(test::StatOf(base_path()).st_mtim.tv_sec, mtime.tv_sec);
  EXPECT_EQ(test::StatOf(base_path()).st_mtim.tv_nsec, mtime.tv_nsec);
}

// Every call of a join fails once: nothing that was synced is gone, and the file
// can be settled afterwards.
TEST_F(ContentJoin, NoFailingCallLosesALine) {
  for (int call = 1;; ++call) {
    SCOPED_TRACE(call);
    content_.reset();
    std::filesystem::remove(base_path());
    plain_.clear();
    Open(/*is_new=*/true);
    const Buffer start = test::TextLike(kBlock - 200);
    for (size_t at = 0; at < start.size(); at += 10'000) {
      const auto piece = std::span(start).subspan(at, std::min<size_t>(10'000, start.size() - at));
      Append(piece);
      ASSERT_TRUE(content_->Sync());
    }
    plain_ = start;
    bool has_failed = false;
    ops_.call_count = 0;
    ops_.before = [&](Call) {
      if (ops_.call_count < call || has_failed) return 0;
      has_failed = true;
      return EIO;
    };
    const Buffer last = test::TextLike(300, 9);
    const bool is_written = content_->Write(plain_.size(), last) && content_->Sync();
    ops_.before = nullptr;
    if (is_written) test::Append(&plain_, last);
    const Buffer seen = ReadAll();
    ASSERT_GE(seen.size(), plain_.size());
    ASSERT_TRUE(std::equal(plain_.begin(), plain_.end(), seen.begin()));
    if (const auto settled = content_->Settle(); settled) {
      ASSERT_TRUE(Gunzipped() == seen);
    }
    if (!has_failed) {
      EXPECT_GT(call, 15);
      EXPECT_LT(MemberCount(), 4u);
      return;
    }
  }
}

}  // namespace
}  // namespace gzipfs
