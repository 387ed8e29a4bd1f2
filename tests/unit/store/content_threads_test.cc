// One file under many threads at once. Worth most under the thread sanitizer.
#include <atomic>
#include <random>
#include <thread>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;
constexpr int kWriters = 3;
constexpr uint64_t kRangeBytes = 8 * kBlock + 1234;  // of each writer: they share border blocks

struct ThreadSetup {
  const char* name;
  uint64_t dirty_bytes;
};

class ContentThreads : public test::StoreFixture,
                       public ::testing::WithParamInterface<ThreadSetup> {
 protected:
  ContentThreads() {
    options_.level = kLevelFast;
    options_.cache_bytes = kMiB;
    options_.dirty_bytes = GetParam().dirty_bytes;
  }

  // Each byte of a range says which round of its writer wrote it.
  void WriteRange(int writer, int rounds) {
    std::mt19937 random(static_cast<unsigned>(writer + 1));
    const uint64_t begin = static_cast<uint64_t>(writer) * kRangeBytes;
    for (int round = 1; round <= rounds; ++round) {
      const Buffer piece(1 + random() % (2 * kBlock), static_cast<std::byte>(round));
      for (uint64_t at = 0; at < kRangeBytes; at += piece.size()) {
        const size_t count = std::min<size_t>(piece.size(), kRangeBytes - at);
        const auto done = content_->Write(begin + at, std::span(piece).first(count));
        ASSERT_TRUE(done) << done.error().message();
      }
      finished_rounds_[static_cast<size_t>(writer)] = round;
    }
  }
  // No byte is older than the last round finished before the read began.
  void ReadSomewhere(std::mt19937& random) {
    const size_t writer = random() % kWriters;
    const int oldest = finished_rounds_[writer];
    if (oldest == 0) return;
    const uint64_t at = writer * kRangeBytes + random() % kRangeBytes;
    const size_t count = std::min<uint64_t>(1 + random() % (3 * kBlock),
                                            (writer + 1) * kRangeBytes - at);
    const auto read = TryRead(at, count);
    ASSERT_TRUE(read) << read.error().message();
    ASSERT_EQ(read->size(), count);
    for (std::byte byte : *read) {
      ASSERT_GE(static_cast<int>(byte), oldest);
      ASSERT_LE(static_cast<int>(byte), oldest + 100);
    }
  }
  template <typename Action>
  std::jthread UntilDone(Action action) {
    return std::jthread([action](std::stop_token stop) mutable {
      while (!stop.stop_requested()) action();
    });
  }

  std::array<std::atomic<int>, kWriters> finished_rounds_{};
};

TEST_P(ContentThreads, WritersReadersAndSettlingDoNotDisturbEachOther) {
  constexpr int kRounds = 6;
  Open(/*is_new=*/true);
  {
    std::mt19937 random(1), other_random(2);
    const std::jthread helpers[] = {
        UntilDone([&] { ReadSomewhere(random); }),
        UntilDone([&] { ReadSomewhere(other_random); }),
        UntilDone([&] { ASSERT_TRUE(content_->Flush()); }),
        UntilDone([&] { ASSERT_TRUE(content_->Settle()); }),
        UntilDone([&] {
          (void)content_->IsSettled();
          ASSERT_TRUE(content_->StatBase());
          ASSERT_LE(content_->plain_bytes(), kWriters * kRangeBytes);
        })};
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([this, writer] { WriteRange(writer, kRounds); });
    }
  }
  const Buffer expected(kWriters * kRangeBytes, static_cast<std::byte>(kRounds));
  EXPECT_TRUE(ReadAll() == expected);
  Settle();
  EXPECT_TRUE(Gunzipped() == expected);
  ExpectNothingDirty();
}

TEST_P(ContentThreads, AppendersGetPlacesOfTheirOwn) {
  Open(/*is_new=*/true);
  constexpr int kLines = 3000;
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([this, writer] {
      const Buffer line(100, static_cast<std::byte>('a' + writer));
      for (int i = 0; i < kLines; ++i) {
        const auto at = content_->WriteAtEnd(line);
        ASSERT_TRUE(at) << at.error().message();
        ASSERT_EQ(*at % 100, 0u);
        ASSERT_TRUE(i % 500 != 0 || content_->Flush());
      }
    });
  }
  writers.clear();
  Settle();
  const Buffer plain = Gunzipped();
  ASSERT_EQ(plain.size(), kWriters * kLines * 100u);
  std::array<int, kWriters> counts{};
  for (size_t at = 0; at < plain.size(); at += 100) {
    const size_t writer = static_cast<size_t>(plain[at]) - 'a';
    ASSERT_LT(writer, counts.size());
    ++counts[writer];
    ASSERT_TRUE(std::all_of(plain.begin() + static_cast<ptrdiff_t>(at),
                            plain.begin() + static_cast<ptrdiff_t>(at) + 100,
                            [&](std::byte byte) { return byte == plain[at]; }));
  }
  for (int count : counts) EXPECT_EQ(count, kLines);
}

TEST_P(ContentThreads, TruncatingBesideWritersLeavesAValidFile) {
  Open(/*is_new=*/true);
  {
    const auto truncating = UntilDone([&, random = std::mt19937(3)]() mutable {
      ASSERT_TRUE(content_->Truncate(random() % (2 * kRangeBytes)));
      ASSERT_TRUE(content_->Settle());
    });
    const auto reading = UntilDone([&] { ASSERT_TRUE(TryRead(0, 2 * kRangeBytes)); });
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([this, writer] { WriteRange(writer, 3); });
    }
  }
  const Buffer seen = ReadAll();
  EXPECT_EQ(seen.size(), content_->plain_bytes());
  Settle();
  EXPECT_TRUE(Gunzipped() == seen);
  for (std::byte byte : seen) ASSERT_LE(static_cast<int>(byte), 3);
}

TEST_P(ContentThreads, ManyFilesShareOneBudget) {
  constexpr int kFiles = 4;
  std::vector<std::jthread> threads;
  for (int file = 0; file < kFiles; ++file) {
    threads.emplace_back([this, file] {
      const std::string name = "file" + std::to_string(file) + ".gz";
      test::TestPlace place(dir_fd_.get(), name);
      const int fd = ::openat(dir_fd_.get(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
      auto content = OpenContent(*store_, UniqueFd(fd), true, /*is_new=*/true, place);
      ASSERT_TRUE(content);
      Buffer expected;
      std::mt19937 random(static_cast<unsigned>(file));
      for (uint32_t i = 0; i < 40; ++i) {
        const Buffer piece = test::TextLike(1 + random() % (2 * kBlock), i);
        const uint64_t at = random() % 3 ? expected.size() : random() % (10 * kBlock);
        const auto done = (*content)->Write(at, piece);
        ASSERT_TRUE(done) << done.error().message();
        test::Overwrite(&expected, at, piece);
      }
      const auto settled = (*content)->Settle();
      ASSERT_TRUE(settled) << settled.error().message();
      ASSERT_TRUE(test::GunzipAll(test::ReadFile(dir_ / name)) == expected) << name;
    });
  }
  threads.clear();
  ExpectNothingDirty();
}

INSTANTIATE_TEST_SUITE_P(All, ContentThreads,
                         ::testing::Values(ThreadSetup{"Roomy", 64 * kMiB},
                                           ThreadSetup{"Tight", 8 * kBlock}),
                         [](const auto& setup) { return setup.param.name; });

}  // namespace
}  // namespace gzipfs
