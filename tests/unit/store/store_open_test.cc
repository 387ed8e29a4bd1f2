// Opening a store: what is made, what is refused and why, and that a refusal
// changes nothing.
#include <sys/file.h>

#include "fs/sys/process.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using ::testing::Test;
using test::Call;

class StoreOpen : public Test {
 protected:
  tl::expected<std::unique_ptr<Store>, StoreError> Open(StoreOptions options = {}) {
    options.thread_count = 1;
    return Store::Open(dir_.path(), options, ops_);
  }
  void ExpectRefused(const StoreOptions& options, const std::string& reason) {
    const auto store = Open(options);
    ASSERT_FALSE(store);
    EXPECT_NE(store.error().message.find(reason), std::string::npos) << store.error().message;
  }
  bool Exists(const std::string& name) const { return std::filesystem::exists(dir_ / name); }
  bool IsEmpty() const { return std::filesystem::is_empty(dir_.path()); }

  test::TempDir dir_;
  test::FaultOps ops_;
};

TEST_F(StoreOpen, FirstUseMakesThePrivateDirectory) {
  const auto store = Open();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->profile(), Profile::kBgzf);
  EXPECT_EQ((*store)->block_bytes(), kBgzfBlockBytes);
  EXPECT_FALSE((*store)->read_only());
  EXPECT_TRUE(Exists(".gzipfs/config.json"));
  EXPECT_EQ(test::StatOf(dir_ / ".gzipfs").st_mode & 07777, 0700u);
  EXPECT_GE((*store)->image_dir_fd(), 0);
  EXPECT_GE((*store)->log_dir_fd(), 0);
}

TEST_F(StoreOpen, BlockSizeIsChosenOnceAndStays) {
  ASSERT_TRUE(Open({.block_bytes = kMiB}));
  const auto again = Open();
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->block_bytes(), kMiB);
  EXPECT_EQ((*again)->profile(), Profile::kLarge);
}

TEST_F(StoreOpen, OtherBlockSizeThanTheStoresIsRefused) {
  ASSERT_TRUE(Open({.block_bytes = kMiB}));
  ExpectRefused({.block_bytes = 2 * kMiB}, "made with block_size=1024K");
  EXPECT_TRUE(Open({.block_bytes = kMiB}));
}

TEST_F(StoreOpen, BlockSizesOutOfRangeAreRefused) {
  for (uint64_t bytes : {uint64_t{1}, 4 * kKiB, 32 * kKiB, 65537 * uint64_t{1}, 192 * kKiB,
                         8 * kMiB, uint64_t{1} << 63}) {
    ExpectRefused({.block_bytes = bytes}, "block_size must be");
    EXPECT_FALSE(Exists(".gzipfs/config.json")) << bytes;
  }
}

TEST_F(StoreOpen, RefusedBlockSizeChangesNothing) {
  ExpectRefused({.block_bytes = 3}, "block_size must be");
  EXPECT_TRUE(IsEmpty());
}

TEST_F(StoreOpen, MissingDirectoryIsRefused) {
  const auto store = Store::Open(dir_ / "nowhere", {}, ops_);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("nowhere"), std::string::npos);
}

TEST_F(StoreOpen, FileInPlaceOfADirectoryIsRefused) {
  test::WriteFile(dir_ / "file", {});
  const auto store = Store::Open(dir_ / "file", {}, ops_);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("file"), std::string::npos);
}

TEST_F(StoreOpen, SecondWriterIsRefusedAndToldWhoIsThere) {
  const auto store = Open();
  ASSERT_TRUE(store);
  ExpectRefused({}, "already mounted (by process " + std::to_string(::getpid()) + ")");
}

TEST_F(StoreOpen, LockGoesWithTheStore) {
  { ASSERT_TRUE(Open()); }
  EXPECT_TRUE(Open());
}

// A reader would take what a writer moves for damage.
TEST_F(StoreOpen, ReaderIsRefusedBesideAWriter) {
  {
    const auto writer = Open({.block_bytes = 2 * kMiB});
    ASSERT_TRUE(writer) << writer.error().message;
    const auto reader = Open({.read_only = true});
    ASSERT_FALSE(reader);
    EXPECT_NE(reader.error().message.find("already mounted"), std::string::npos);
  }
  const auto reader = Open({.read_only = true});
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_TRUE((*reader)->read_only());
  EXPECT_EQ((*reader)->block_bytes(), 2 * kMiB);
  EXPECT_TRUE(Open({.read_only = true})) << "readers among themselves";
  EXPECT_FALSE(Open({})) << "a writer beside readers";
}

TEST_F(StoreOpen, ReadOnlyUseLeavesNothingBehind) {
  const auto store = Open({.read_only = true});
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_TRUE(IsEmpty());
  EXPECT_EQ((*store)->image_dir_fd(), -1);
  EXPECT_EQ((*store)->log_dir_fd(), -1);
}

TEST_F(StoreOpen, BrokenConfigurationIsRefusedByName) {
  { ASSERT_TRUE(Open()); }
  test::WriteFile(dir_ / ".gzipfs/config.json", test::FromText("{ nonsense"));
  ExpectRefused({}, "config.json");
  ExpectRefused({.read_only = true}, "config.json");
  EXPECT_EQ(test::ReadFile(dir_ / ".gzipfs/config.json"), test::FromText("{ nonsense"));
}

TEST_F(StoreOpen, BlockSizeInTheConfigurationIsChecked) {
  { ASSERT_TRUE(Open()); }
  test::WriteFile(dir_ / ".gzipfs/config.json",
                  test::FromText(R"({"version": 1, "block_bytes": 0})"));
  ExpectRefused({}, "block_size must be");
}

TEST_F(StoreOpen, PrivateDirectoryThatIsNoneIsRefused) {
  test::WriteFile(dir_ / ".gzipfs", test::FromText("a file"));
  ExpectRefused({}, ".gzipfs");
  std::filesystem::remove(dir_ / ".gzipfs");
  std::filesystem::create_directory(dir_ / "elsewhere");
  std::filesystem::create_directory_symlink("elsewhere", dir_ / ".gzipfs");
  ExpectRefused({}, ".gzipfs");
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "elsewhere"));
}

TEST_F(StoreOpen, FullDiskIsRefusedWithItsReason) {
  ops_.before = [](Call call) { return call == Call::kWrite ? ENOSPC : 0; };
  ExpectRefused({}, "No space left");
  ops_.before = nullptr;
  EXPECT_TRUE(Open());
}

TEST_F(StoreOpen, TheLockFileTellsHowAProcessEnded) {
  {
    const auto store = Open();
    ASSERT_TRUE(store);
    EXPECT_FALSE((*store)->unclean_since());
  }
  // Left in order: no shorter, so that no space is needed the next time.
  const auto lock_bytes = std::filesystem::file_size(dir_ / ".gzipfs/lock");
  EXPECT_GT(lock_bytes, 0u);
  EXPECT_FALSE(WasLeftUnsettled(dir_.path()));
  for (const bool is_lost : {true, false}) {
    auto store = Open();
    ASSERT_TRUE(store);
    EXPECT_FALSE((*store)->unclean_since());
    EXPECT_EQ(std::filesystem::file_size(dir_ / ".gzipfs/lock"), lock_bytes);
    (*store)->NoteUnsettled(is_lost);
    store->reset();
    EXPECT_TRUE(WasLeftUnsettled(dir_.path()));
    store = Open();
    ASSERT_TRUE(store);
    EXPECT_TRUE((*store)->unclean_since());
    EXPECT_EQ((*store)->was_left_unsettled(), is_lost);
    (*store)->NoteRecovered();
  }
  EXPECT_FALSE(WasLeftUnsettled(dir_.path()));
  test::WriteFile(dir_ / ".gzipfs/lock", test::FromText("4711      \n"));
  const auto store = Open();
  ASSERT_TRUE(store);
  EXPECT_TRUE((*store)->unclean_since());
}

TEST_F(StoreOpen, EveryFailureIsAMessageAndNoHang) {
  { ASSERT_TRUE(Open()); }
  ops_.call_count = 0;
  { ASSERT_TRUE(Open()); }
  const int calls = ops_.call_count;
  ASSERT_GT(calls, 3);
  for (int failing = 1; failing <= calls; ++failing) {
    ops_.call_count = 0;
    ops_.before = [this, failing](Call) { return ops_.call_count == failing ? EIO : 0; };
    const auto store = Open();
    EXPECT_TRUE(store || !store.error().message.empty());
  }
  ops_.before = nullptr;
  EXPECT_TRUE(Open());
}

// Or files that were being appended to would never be completed.
TEST_F(StoreOpen, TimeOfAnUncleanEndOutlivesAProcessThatDiesRecovering) {
  { ASSERT_TRUE(Open()); }
  test::WriteFile(dir_ / ".gzipfs/lock", test::FromText("17        \n"));
  const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 5}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / ".gzipfs/lock").c_str(), times, 0), 0);
  const auto store = Open();
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->unclean_since()->tv_sec, 1'000'000'000);
  EXPECT_EQ(test::StatOf(dir_ / ".gzipfs/lock").st_mtim.tv_sec, 1'000'000'000);
}

TEST_F(StoreOpen, NamesOfTemporaryFilesAreUnique) {
  const auto store = Open();
  EXPECT_NE((*store)->UniqueName(), (*store)->UniqueName());
}

TEST_F(StoreOpen, TellsADeadProcessFromADeadMachine) {
  ASSERT_TRUE(Open());
  const std::string lock = dir_ / ".gzipfs/lock";
  test::WriteFile(lock, test::FromText("1         \nboot " + BootId() + "\n"));
  {
    const auto store = Open();
    EXPECT_TRUE((*store)->unclean_since());
    EXPECT_FALSE((*store)->is_after_power_cut());
  }
  for (const char* text : {"1         \n", "1         \nboot another\n"}) {
    test::WriteFile(lock, test::FromText(text));
    const auto store = Open();
    EXPECT_TRUE((*store)->unclean_since());
    EXPECT_TRUE((*store)->is_after_power_cut()) << text;
  }
  // Who does not recover leaves that to the next one.
  EXPECT_TRUE((*Open())->is_after_power_cut());
  (*Open())->NoteRecovered();
  const auto store = Open();
  EXPECT_FALSE((*store)->unclean_since());
  EXPECT_FALSE((*store)->is_after_power_cut());
}

TEST_F(StoreOpen, TheSyncMarkCountsIfItIsYoungerThanTheSignature) {
  ASSERT_TRUE(Open());
  const auto synced_since = [&](time_t mark, time_t signature) {
    for (const auto& [name, seconds] : {std::pair{".gzipfs/synced", mark},
                                        std::pair{".gzipfs/lock", signature}}) {
      test::WriteFile(dir_ / name, test::FromText("1         \n"));
      const timespec times[2] = {{seconds, 0}, {seconds, 0}};
      EXPECT_EQ(::utimensat(AT_FDCWD, (dir_ / name).c_str(), times, 0), 0);
    }
    return (*Open())->synced_since()->tv_sec;
  };
  EXPECT_EQ(synced_since(200, 100), 200);
  EXPECT_EQ(synced_since(100, 200), 200);
}

}  // namespace
}  // namespace gzipfs
