// Holes in front of what was written, in append mode: who fills them, and when.
#include <chrono>
#include <thread>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;

class ContentHole : public test::StoreFixture {
 protected:
  // Waits until the compressors have brought `plain_bytes` to the base.
  void AwaitInBase(uint64_t plain_bytes) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < deadline) {
      const auto layout = test::Scan(Base());
      if (layout && layout->index.plain_bytes() >= plain_bytes) return;
      std::this_thread::yield();
    }
    FAIL() << "the base does not come to " << plain_bytes << " plain bytes";
  }
};

// As when several processes download ranges of one preallocated file.
TEST_F(ContentHole, HoleThatOthersMayFillIsNotFilledAtFlush) {
  Open(true);
  Buffer plain = test::TextLike(6 * kBlock);
  ASSERT_TRUE(content_->Extend(6 * kBlock));
  Write(0, std::span(plain).first(2 * kBlock));
  Write(4 * kBlock, std::span(plain).subspan(4 * kBlock));
  ASSERT_TRUE(content_->FlushBesideWriters());
  ASSERT_NO_FATAL_FAILURE(AwaitInBase(kBlock));
  EXPECT_LE(test::Scan(Base())->index.plain_bytes(), 2 * kBlock);
  const auto second = std::span(plain).subspan(2 * kBlock, 2 * kBlock);
  Write(2 * kBlock, second);
  ASSERT_TRUE(content_->FlushBesideWriters());  // no hole any more
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_EQ(Gunzipped(), plain);
}

// Somebody has the file open for writing for good, and others append lines to it.
TEST_F(ContentHole, HoleThatNobodyWritesNearIsFilledAtFlush) {
  Open(true);
  Buffer plain = test::TextLike(100);
  Write(0, plain);
  ASSERT_TRUE(content_->Extend(3 * kBlock));
  plain.resize(3 * kBlock);
  const Buffer line = test::TextLike(50);
  Append(line);
  test::Append(&plain, line);
  ASSERT_TRUE(content_->FlushBesideWriters());
  EXPECT_EQ(Gunzipped(), plain);
}

// The kernel writes a page of which a program has written only the beginning so far.
TEST_F(ContentHole, EndOfAFullBlockInFrontOfAHoleMayBeWrittenAgain) {
  Open(true);
  ASSERT_TRUE(content_->Extend(4 * kBlock));
  const Buffer plain = test::TextLike(4 * kBlock);
  Buffer first(plain.begin(), plain.begin() + 2 * kBlock);
  std::fill(first.end() - 3000, first.end(), std::byte{0});
  Write(0, first);
  ASSERT_NO_FATAL_FAILURE(AwaitInBase(kBlock));
  Write(2 * kBlock - 3000, std::span(plain).subspan(2 * kBlock - 3000));
  const struct stat before = content_->StatBase().value();
  Flush();
  EXPECT_EQ(content_->StatBase()->st_ino, before.st_ino) << "it was written anew";
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_EQ(Gunzipped(), plain);
}

TEST_F(ContentHole, HoleThatNobodyFilledIsFilledAtTheLastFlush) {
  Open(true);
  Buffer plain(5 * kBlock);
  const Buffer text = test::TextLike(kBlock + 100);
  std::copy(text.begin(), text.end(), plain.end() - static_cast<ptrdiff_t>(text.size()));
  Write(plain.size() - text.size(), text);
  ASSERT_TRUE(content_->FlushBesideWriters());
  EXPECT_FALSE(content_->IsSettled());
  EXPECT_EQ(ReadAll(), plain);
  Flush();
  EXPECT_TRUE(content_->IsSettled());
  EXPECT_EQ(Gunzipped(), plain);
}

}  // namespace
}  // namespace gzipfs
