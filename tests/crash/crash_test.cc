// The scripts: what programs do with a file, crashed at every call.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/crash/crash_check.h"

namespace gzipfs::crash {
namespace {

using test::FromText;
using test::Noise;
using test::TextLike;

StoreOptions Options(uint64_t dirty_bytes = 16 * kMiB) {
  return {.level = 1, .cache_bytes = kMiB, .dirty_bytes = dirty_bytes};
}

TEST(Crash, NewFile) {
  Script script(Options());
  script.Begin();
  script.Append(TextLike(kBlock + kBlock / 2));
  script.Sync();
  script.Append(TextLike(kBlock, 2));
  script.Flush();
  CrashEverywhere(script);
}

TEST(Crash, AppendsWithSyncs) {
  Script script(Options());
  script.Make(TextLike(1000));
  script.Begin();
  for (uint32_t i = 0; i < 3; ++i) {
    script.Append(TextLike(2 * kBlock + 300, i));
    script.Sync();
    script.Append(FromText("a line\n"));
    script.Sync();
  }
  CrashEverywhere(script);
}

TEST(Crash, OverwritesWithSyncs) {
  Script script(Options());
  script.Make(TextLike(3 * kBlock));
  script.Begin();
  script.Write(kBlock + 10, FromText("overwritten"));
  script.Sync();
  script.Write(kBlock + 12, Noise(3000, 2));
  script.Append(TextLike(500, 3));
  script.Sync();
  script.Write(5, Noise(kBlock, 4));
  script.Sync();
  CrashEverywhere(script);
}

TEST(Crash, CheckpointByReplacement) {
  Script script(Options());
  script.Make(TextLike(3 * kBlock));
  script.Begin();
  script.Write(kBlock + 10, FromText("overwritten"));
  script.Sync();
  script.Settle();
  script.Append(TextLike(kBlock, 5));
  script.Sync();
  script.Write(7, FromText("overwritten again"));
  script.Sync();
  script.Settle();
  CrashEverywhere(script);
}

// What is synced while the image is made goes to a log for the time after.
void SyncDuringCheckpoint(Script& script) {
  script.Write(kBlock + 10, Noise(3000));
  script.Sync();
  script.Interpose(Call::kSyncData, "image/", [&script] {
    script.Write(kBlock + 15, FromText("in the meantime"));
    script.Append(TextLike(2000, 6));
    script.Sync();
  });
  script.Settle();
  EXPECT_TRUE(script.was_interposed());
  script.Write(5, FromText("afterwards"));
  script.Sync();
  script.Settle();
  CrashEverywhere(script);
}

TEST(Crash, SyncDuringReplacement) {
  Script script(Options());
  script.Make(TextLike(3 * kBlock));
  script.Begin();
  SyncDuringCheckpoint(script);
}

TEST(Crash, CheckpointByOverwriting) {
  Script script(Options());
  script.Make(TextLike(3 * kBlock));
  script.Begin();
  script.Link("link.gz");
  script.Write(kBlock + 10, Noise(3000));
  script.Sync();
  script.Settle();
  script.Append(TextLike(kBlock, 5));
  script.Sync();
  script.Write(0, FromText("not synced before the checkpoint"));
  script.Settle();
  script.Append(TextLike(500, 6));
  script.Sync();
  CrashEverywhere(script);
}

TEST(Crash, SyncDuringOverwriting) {
  Script script(Options());
  script.Make(TextLike(3 * kBlock));
  script.Begin();
  script.Link("link.gz");
  SyncDuringCheckpoint(script);
}

TEST(Crash, CutAndGrown) {
  Script script(Options());
  script.Make(TextLike(3 * kBlock));
  script.Begin();
  script.Truncate(2 * kBlock);
  script.Append(TextLike(100, 7));
  script.Flush();
  script.Truncate(kBlock + 99);
  script.Sync();
  script.Truncate(3 * kBlock + 1);
  script.Write(2 * kBlock, FromText("behind a hole"));
  script.Sync();
  script.Truncate(kBlock / 2);
  script.Append(TextLike(kBlock, 8));
  script.Sync();
  script.Settle();
  CrashEverywhere(script);
}

TEST(Crash, ZeroedRanges) {
  Script script(Options());
  script.Make(TextLike(5 * kBlock));
  script.Begin();
  script.Write(2 * kBlock + 7, FromText("zeroed in a moment"));
  script.Sync();
  script.Zero(kBlock + 10, 4 * kBlock);
  script.Write(3 * kBlock, FromText("into the hole"));
  script.Sync();
  script.Zero(3 * kBlock, 7 * kBlock, /*may_grow=*/true);
  script.Truncate(6 * kBlock);
  script.Sync();
  script.Settle();
  script.Zero(0, kBlock);
  script.Append(TextLike(100, 3));
  script.Sync();
  CrashEverywhere(script);
}

// Blocks that are in memory as members only are appended, logged, zeroed and cut.
TEST(Crash, BlocksThatTheKernelBringsWhole) {
  StoreOptions options = Options();
  options.level = kLevelFast;
  Script script(options);
  script.source = WriteSource::kKernel;
  script.Make(TextLike(kBlock));
  script.Begin();
  script.Append(TextLike(kBlock, 1));
  script.Sync();
  script.Write(3 * kBlock, TextLike(4 * kBlock, 2));  // wait behind a hole
  script.Write(100, FromText("overwritten"));
  script.Sync();
  script.Zero(4 * kBlock, 5 * kBlock + 10);
  script.Truncate(6 * kBlock + 777);
  script.Sync();
  script.Truncate(7 * kBlock);
  script.Settle();
  CrashEverywhere(script);
}

TEST(Crash, CopiedMembers) {
  Script script(Options());
  script.Make(TextLike(4 * kBlock));
  script.Begin();
  script.CopyToEnd(kBlock, 3 * kBlock);
  script.Sync();
  script.CopyToEnd(0, 2 * kBlock);
  script.Append(TextLike(300, 4));
  script.Flush();
  script.Write(10, FromText("overwritten"));
  script.Sync();
  CrashEverywhere(script);
}

TEST(Crash, CutToNothingAndWrittenAgain) {
  Script script(Options());
  script.Make(TextLike(3 * kBlock));
  script.Begin();
  script.Write(10, FromText("overwritten"));
  script.Sync();
  script.Truncate(0);
  script.Append(TextLike(kBlock + 5, 9));
  script.Flush();
  script.Sync();
  script.Write(20, FromText("and again"));
  script.Sync();
  CrashEverywhere(script);
}

TEST(Crash, RenamedWithALog) {
  Script script(Options());
  script.Make(TextLike(2 * kBlock));
  script.Begin();
  script.Write(10, FromText("overwritten"));
  script.Sync();
  script.Rename("other.gz");
  script.Write(3000, FromText("under its new name"));
  script.Sync();
  script.Settle();
  script.Append(FromText("more"));
  script.Sync();
  CrashEverywhere(script);
}

// Blocks come from the back, so that they cannot be appended.
TEST(Crash, SpilledBlocks) {
  Script script(Options(4 * kBlock));
  script.Make(TextLike(kBlock));
  script.Begin();
  script.Write(10, FromText("overwritten"));
  for (uint64_t i = 8; i > 0; --i) script.Write(i * kBlock, TextLike(kBlock, i));
  script.Sync();
  script.Write(3 * kBlock + 9, FromText("on top"));
  script.Sync();
  CrashEverywhere(script);
}

TEST(Crash, ForeignFile) {
  Script script(Options());
  const Buffer plain = TextLike(2 * kBlock);
  script.Put(test::MakeForeign(plain), plain);
  script.Begin();
  script.Write(10, FromText("overwritten"));
  script.Sync();
  script.Append(FromText("at the end"));
  script.Sync();
  script.Settle();
  CrashEverywhere(script);
}

TEST(Crash, UnlinkedWithALog) {
  Script script(Options());
  script.Make(TextLike(2 * kBlock));
  script.Begin();
  script.Write(10, FromText("overwritten"));
  script.Sync();
  script.Unlink();
  script.Write(20, FromText("nobody will see this"));
  script.Sync();
  script.Settle();
  CrashEverywhere(script, {.may_quarantine = true});
}

TEST(Crash, OpenedAgainWithALog) {
  Script script(Options());
  script.Make(TextLike(2 * kBlock));
  script.Begin();
  script.Write(10, FromText("overwritten"));
  script.Sync();
  script.Close();
  script.Open();
  script.Write(kBlock, FromText("overwritten by the next"));
  script.Sync();
  script.Settle();
  CrashEverywhere(script);
}

// Steps drawn at random.
TEST(Crash, AnySteps) {
  std::mt19937_64 random(CrashSeed());
  for (size_t round = 0; round < 8 * CrashDepth() && !testing::Test::HasFailure(); ++round) {
    Script script(Options());
    const auto below = [&random](uint64_t limit) { return random() % limit; };
    if (below(4) > 0) script.Make(TextLike(1 + below(3 * kBlock), below(1000)));
    script.Begin();
    for (uint64_t steps = 5 + below(8); steps > 0; --steps) {
      script.Flush();
      const uint64_t size = script.history().plain().size();
      const uint64_t choice = below(16);
      if (choice < 4) {
        script.Append(Noise(1 + below(kBlock / 2), below(1000)));
      } else if (choice < 8 && size > 0) {
        script.Write(below(size), TextLike(1 + below(3000), below(1000)));
      } else if (choice == 8) {
        script.Write(size + below(2 * kBlock), TextLike(100, below(1000)));
      } else if (choice == 9) {
        script.Truncate(below(size + kBlock));
      } else if (choice == 10) {
        script.Truncate(0);
      } else if (choice == 11) {
        script.Settle();
      } else if (choice == 13) {
        const uint64_t at = below(size + kBlock);
        script.Zero(at, at + 1 + below(2 * kBlock), below(2) > 0);
      } else if (choice == 12 && script.names().size() < 2) {
        script.Link("link.gz");
      } else {
        script.Sync();
      }
    }
    CrashEverywhere(script, {.samples = 2, .recoveries = 1, .every = 2});
  }
}

// A log that has become too long is brought into the base in the background.
TEST(Crash, LongLog) {
  Script script(Options(160 * kMiB));
  script.Make(TextLike(2 * kBlock));
  script.Begin();
  script.Write(10, FromText("overwritten"));
  script.Sync();
  Buffer much;
  while (much.size() < kMaxLogBytes) test::Append(&much, TextLike(16 * kMiB));
  script.Append(much);
  script.Sync();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!script.content().IsSettled() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(script.content().IsSettled());
  script.Write(20, FromText("and again"));
  script.Sync();
  CrashEverywhere(script, {.samples = 1, .recoveries = 0, .failed_recoveries = 0, .every = 500});
}

}  // namespace
}  // namespace gzipfs::crash
