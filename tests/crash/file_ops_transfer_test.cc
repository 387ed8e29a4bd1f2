// FileOps over system calls that are interrupted and fall short: all or an error.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <random>

#include "fs/sys/file_ops.h"
#include "tests/crash/syscall_shim.h"
#include "tests/unit/codec/test_data.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs::crash {
namespace {

using test::Buffer;

std::atomic<unsigned> hook_calls{0};

// Nine of ten calls do not do what they should.
ShimFault NearlyAlways(bool transfers) {
  switch (++hook_calls % 10) {
    case 0: return ShimFault::kNone;
    case 1:
    case 2:
    case 3: return ShimFault::kInterrupt;
    case 4:
    case 5:
    case 6: return transfers ? ShimFault::kOneByte : ShimFault::kInterrupt;
    default: return transfers ? ShimFault::kHalf : ShimFault::kInterrupt;
  }
}

class FileOpsTransfer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!GZIPFS_HAS_SHIM) GTEST_SKIP() << "sanitizers have these calls";
    SetShimHook(NearlyAlways);
  }
  void TearDown() override { SetShimHook(nullptr); }

  UniqueFd Open(const std::string& name) {
    auto fd = ops_.OpenAt(AT_FDCWD, (dir_ / name).c_str(), O_RDWR | O_CREAT, 0644);
    EXPECT_TRUE(fd);
    return fd ? std::move(*fd) : UniqueFd();
  }
  void ExpectContent(int fd, uint64_t offset, const Buffer& bytes) {
    Buffer found(bytes.size() + 10);
    const auto count = ops_.ReadAt(fd, offset, found);
    ASSERT_TRUE(count) << count.error().message();
    found.resize(*count);
    EXPECT_TRUE(found == bytes) << *count << " of " << bytes.size() << " bytes";
  }

  FileOps& ops_ = RealFileOps();
  test::TempDir dir_;
};

TEST_F(FileOpsTransfer, WritesAndReadsAreWhole) {
  const UniqueFd fd = Open("a");
  for (const size_t byte_count : {1u, 2u, 3u, 4097u, 300'000u}) {
    const Buffer bytes = test::Noise(byte_count);
    ASSERT_TRUE(ops_.Truncate(fd.get(), 0));
    ASSERT_TRUE(ops_.WriteAt(fd.get(), 77, bytes));
    ExpectContent(fd.get(), 77, bytes);
  }
}

TEST_F(FileOpsTransfer, VectorsAreWrittenWholeWhereverTheyAreCut) {
  const UniqueFd fd = Open("a");
  std::mt19937 random(4);
  for (int round = 0; round < 50; ++round) {
    Buffer bytes = test::Noise(1 + random() % 9000);
    std::vector<iovec> parts;
    for (size_t at = 0; at < bytes.size();) {
      const size_t count = std::min<size_t>(random() % 40, bytes.size() - at);  // or nothing
      parts.push_back({&bytes[at], count});
      at += count;
    }
    ASSERT_TRUE(ops_.Truncate(fd.get(), 0));
    ASSERT_TRUE(ops_.WriteVectorAt(fd.get(), 5, parts));
    ExpectContent(fd.get(), 5, bytes);
  }
}

TEST_F(FileOpsTransfer, RangesAreCopiedWhole) {
  const UniqueFd from = Open("from");
  const UniqueFd to = Open("to");
  const Buffer bytes = test::Noise(700'000);
  ASSERT_TRUE(ops_.WriteAt(from.get(), 0, bytes));
  ASSERT_TRUE(ops_.CopyRange(from.get(), 0, to.get(), 13, bytes.size()));
  ExpectContent(to.get(), 13, bytes);
  // And no more than there is, by whichever way.
  EXPECT_FALSE(ops_.CopyRange(from.get(), 1, to.get(), 0, bytes.size()));
}

TEST_F(FileOpsTransfer, AnEndIsAnEnd) {
  const UniqueFd fd = Open("a");
  ASSERT_TRUE(ops_.WriteAt(fd.get(), 0, test::Noise(100)));
  Buffer out(50);
  EXPECT_EQ(*ops_.ReadAt(fd.get(), 80, out), 20u);
  EXPECT_EQ(*ops_.ReadAt(fd.get(), 100, out), 0u);
}

TEST_F(FileOpsTransfer, CallsWithoutBytesAreMadeUntilTheyAreDone) {
  const UniqueFd fd = Open("a");
  ASSERT_TRUE(fd);
  const UniqueFd dir(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 6, .tv_nsec = 0}};
  for (int round = 0; round < 10; ++round) {
    EXPECT_TRUE(ops_.Duplicate(fd.get()));
    EXPECT_TRUE(Duplicate(fd.get()));
    EXPECT_TRUE(ops_.Truncate(fd.get(), 10));
    EXPECT_TRUE(ops_.SyncData(fd.get()));
    EXPECT_TRUE(ops_.SyncAll(fd.get()));
    EXPECT_TRUE(ops_.SetTimes(fd.get(), times));
    EXPECT_TRUE(ops_.SetOwner(fd.get(), ::getuid(), ::getgid()));
    EXPECT_TRUE(ops_.SetMode(fd.get(), 0600));
    EXPECT_TRUE(ops_.RenameAt(dir.get(), "a", dir.get(), "b", 0));
    EXPECT_TRUE(ops_.RenameAt(dir.get(), "b", dir.get(), "a", 0));
    EXPECT_EQ(ops_.List(dir.get())->size(), 1u);
  }
  EXPECT_TRUE(ops_.UnlinkAt(dir.get(), "a", 0));
  EXPECT_EQ(ErrnoOf(ops_.UnlinkAt(dir.get(), "a", 0).error()), ENOENT);
}

}  // namespace
}  // namespace gzipfs::crash
