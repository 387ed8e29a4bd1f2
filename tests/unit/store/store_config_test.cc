// The store's configuration file: what is read, what is refused, and that it
// appears in one step.
#include "fs/store/store_config.h"

#include <fmt/format.h>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Call;

class StoreConfigTest : public ::testing::Test {
 protected:
  void WriteText(const std::string& text) {
    test::WriteFile(dir_ / kConfigName, test::FromText(text));
  }

  test::TempDir dir_;
  test::FaultOps ops_;
  UniqueFd dir_fd_{::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(StoreConfigTest, WhatWasWrittenIsRead) {
  ASSERT_TRUE(WriteStoreConfig(ops_, dir_fd_.get(), {.block_bytes = kMiB}));
  const auto config = ReadStoreConfig(ops_, dir_fd_.get());
  ASSERT_TRUE(config && *config);
  EXPECT_EQ((*config)->block_bytes, kMiB);
}

TEST_F(StoreConfigTest, NoneIsNoError) {
  const auto config = ReadStoreConfig(ops_, dir_fd_.get());
  ASSERT_TRUE(config);
  EXPECT_FALSE(*config);
  EXPECT_FALSE(*ReadStoreConfig(ops_, -1));
}

TEST_F(StoreConfigTest, WhatCannotBeUnderstoodIsRefused) {
  for (const char* text :
       {"", "{", "[]", "null", "\"text\"", "{}", R"({"version": 2, "block_bytes": 65536})",
        R"({"version": 1})", R"({"version": "1", "block_bytes": 65536})",
        R"({"version": 1, "block_bytes": "64K"})", R"({"version": 1, "block_bytes": -1})",
        R"({"version": 1, "block_bytes": 1.5})"}) {
    WriteText(text);
    const auto config = ReadStoreConfig(ops_, dir_fd_.get());
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().value(), EINVAL) << text;
  }
}

TEST_F(StoreConfigTest, HugeOrDeeplyNestedOneIsRefused) {
  WriteText(std::string(1'000'000, '['));
  EXPECT_FALSE(ReadStoreConfig(ops_, dir_fd_.get()));
  WriteText(fmt::format("{:1000000}{}", "", R"({"version": 1, "block_bytes": 65536})"));
  EXPECT_FALSE(ReadStoreConfig(ops_, dir_fd_.get()));
}

TEST_F(StoreConfigTest, SymlinkIsNotFollowed) {
  test::WriteFile(dir_ / "elsewhere", test::FromText(R"({"version": 1, "block_bytes": 65536})"));
  std::filesystem::create_symlink("elsewhere", dir_ / kConfigName);
  EXPECT_FALSE(ReadStoreConfig(ops_, dir_fd_.get()));
}

TEST_F(StoreConfigTest, FailedWriteLeavesTheOldOne) {
  ASSERT_TRUE(WriteStoreConfig(ops_, dir_fd_.get(), {.block_bytes = kMiB}));
  for (Call failing : {Call::kOpen, Call::kWrite, Call::kSyncData, Call::kRename}) {
    ops_.before = [failing](Call call) { return call == failing ? ENOSPC : 0; };
    EXPECT_FALSE(WriteStoreConfig(ops_, dir_fd_.get(), {.block_bytes = 2 * kMiB}));
    ops_.before = nullptr;
    EXPECT_EQ((*ReadStoreConfig(ops_, dir_fd_.get()))->block_bytes, kMiB);
  }
}

TEST_F(StoreConfigTest, LeftoverOfAnEarlierWriteIsInNobodysWay) {
  test::WriteFile(dir_ / "config.json.new", test::Noise(10'000));
  ASSERT_TRUE(WriteStoreConfig(ops_, dir_fd_.get(), {.block_bytes = kMiB}));
  EXPECT_EQ((*ReadStoreConfig(ops_, dir_fd_.get()))->block_bytes, kMiB);
}

}  // namespace
}  // namespace gzipfs
