// Writing to files that other programs made.
#include <gtest/gtest.h>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {
namespace {

class ContentForeign : public StoreFixture {
 protected:
  ContentForeign() : StoreFixture(StoreOptions{.level = kLevelFast}) {}

  void ExpectContent(const Buffer& expected) {
    const auto got = TryRead(0, expected.size() + 1);
    ASSERT_TRUE(got) << got.error().message();
    ASSERT_TRUE(*got == expected);
    const auto unzipped = GunzipAll(ReadFile(base_path()));
    ASSERT_TRUE(unzipped && *unzipped == expected);
  }
};

// Once, the members of the foreign file were still looked for in the new one.
TEST_F(ContentForeign, TruncatedAndRewrittenItHasTheNewBytesAlone) {
  WriteFile(base_path(), MakeForeign(TextLike(30)));
  Open();
  Truncate(0);
  Buffer expected = TextLike(100'000, 2);
  Write(0, expected);
  Flush();
  ExpectContent(expected);
  // And the next checkpoint found no member to copy, again and again.
  expected[50'000] = std::byte{'X'};
  Write(50'000, FromText("X"));
  Settle();
  ExpectContent(expected);
}

TEST_F(ContentForeign, AWriteConvertsTheFile) {
  Buffer expected = TextLike(300'000, 3);
  WriteFile(base_path(), MakeForeign(expected));
  Open();
  expected[200'000] = std::byte{'X'};
  Write(200'000, FromText("X"));
  Settle();
  ExpectContent(expected);
  const auto layout = Layout(ReadFile(base_path()));
  ASSERT_TRUE(layout);
  EXPECT_TRUE(layout->has_tail && layout->is_conforming);
}

TEST_F(ContentForeign, ReadingLeavesTheFileAsItIs) {
  const Buffer stored = MakeForeign(TextLike(300'000, 4));
  WriteFile(base_path(), stored);
  Open();
  ASSERT_TRUE(TryRead(100'000, 1000));
  Flush();
  Settle();
  content_.reset();
  EXPECT_TRUE(ReadFile(base_path()) == stored);
}

}  // namespace
}  // namespace gzipfs::test
