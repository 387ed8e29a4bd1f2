// Content under threads that flush, settle and write at once.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "fs/store/relief_list.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {
namespace {

class ContentRace : public StoreFixture {
 protected:
  ContentRace() : StoreFixture(StoreOptions{.level = kLevelFast}) {}

  // Writes `pieces` front to back while `other` runs over and over; then the
  // content, and what gzip makes of the base, must be what was written.
  void WriteBeside(const std::function<void(Content&)>& other) {
    Open(/*is_new=*/true);
    std::atomic<bool> is_done = false;
    std::thread thread([&] {
      while (!is_done) other(*content_);
    });
    Buffer expected;
    for (uint32_t i = 0; expected.size() < 4 * kMiB; ++i) {
      const Buffer piece = TextLike(1 + i * 7919 % 300, i);
      Write(expected.size(), piece);
      expected.insert(expected.end(), piece.begin(), piece.end());
    }
    is_done = true;
    thread.join();
    Settle();
    const auto got = TryRead(0, expected.size());
    ASSERT_TRUE(got) << got.error().message();
    ASSERT_TRUE(*got == expected);
    const auto unzipped = GunzipAll(ReadFile(base_path()));
    ASSERT_TRUE(unzipped && *unzipped == expected);
  }
};

// Once, what was written behind a short block while that was being appended
// went with it.
TEST_F(ContentRace, NothingIsLostBesideFlushes) {
  WriteBeside([](Content& content) { (void)content.Flush(); });
}

TEST_F(ContentRace, NothingIsLostBesideSettling) {
  WriteBeside([](Content& content) { (void)content.Settle(); });
}

TEST_F(ContentRace, NothingIsLostBesideRelief) {
  WriteBeside([](Content& content) { (void)dynamic_cast<Relievable&>(content).Relieve(); });
}

}  // namespace
}  // namespace gzipfs::test
