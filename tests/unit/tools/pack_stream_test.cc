// Packing a stream: the format of the store, whatever the size and the threads.
#include "tools/pack_stream.h"

#include <gtest/gtest.h>

#include "fs/sys/file_ops.h"
#include "tests/unit/tools/pack_data.h"
#include "tools/file_report.h"

#include <fcntl.h>

namespace gzipfs {
namespace {

using test::Buffer;

class PackStreamTest : public testing::Test {
 protected:
  Buffer Pack(const Buffer& plain, const PackOptions& options, unsigned threads) {
    test::WriteFile(directory_ / "in", plain);
    const UniqueFd in(::open((directory_ / "in").c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd out(
        ::open((directory_ / "out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    CodecPool pool(threads);
    PackStream stream(&pool, options);
    EXPECT_TRUE(stream.Copy(in.get(), out.get()));
    const Buffer file = test::ReadFile(directory_ / "out");
    EXPECT_EQ(stream.index().file_bytes(), file.size());
    EXPECT_EQ(stream.index().plain_bytes(), plain.size());
    return file;
  }

  test::TempDir directory_;
};

TEST_F(PackStreamTest, EverySizeComesBackAndHasAnIndex) {
  for (size_t plain_bytes : {0u, 1u, 65535u, 65536u, 65537u, 524288u, 524289u, 3000000u}) {
    const Buffer plain = test::TextLike(plain_bytes);
    const Buffer file = Pack(plain, {}, 3);
    EXPECT_EQ(test::GunzipAll(file), plain) << plain_bytes;
    const auto report = ReportFile(SpanSource(file));
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->index_agrees) << plain_bytes;
  }
}

TEST_F(PackStreamTest, LargeProfileHasItsBlockSize) {
  const Buffer plain = test::TextLike(5000000);
  const Buffer file =
      Pack(plain, {.profile = Profile::kLarge, .block_bytes = 2 * kMiB, .level = 1}, 2);
  EXPECT_EQ(test::GunzipAll(file), plain);
  const auto report = ReportFile(SpanSource(file));
  ASSERT_TRUE(report && report->tail);
  EXPECT_EQ(report->tail->block_bytes, 2 * kMiB);
  EXPECT_EQ(report->data_members, 3u);
  EXPECT_EQ(ProfileName(*report), "large");
}

TEST_F(PackStreamTest, NumberOfThreadsChangesNothing) {
  Buffer plain = test::TextLike(3000000);
  test::Append(&plain, test::Noise(200000));
  test::Append(&plain, Buffer(1000000));
  EXPECT_EQ(Pack(plain, {}, 1), Pack(plain, {}, 8));
}

TEST_F(PackStreamTest, FullDiskIsAnOutputFailure) {
  test::WriteFile(directory_ / "in", test::Noise(3000000));
  const UniqueFd in(::open((directory_ / "in").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  CodecPool pool(2);
  const auto copied = PackStream(&pool, {}).Copy(in.get(), full.get());
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().side, PackFailure::Side::kOutput);
  EXPECT_EQ(copied.error().code.value(), ENOSPC);
}

TEST_F(PackStreamTest, DirectoryIsAnInputFailure) {
  const UniqueFd in(::open("/tmp", O_RDONLY | O_CLOEXEC));
  CodecPool pool(1);
  const auto copied = PackStream(&pool, {}).Copy(in.get(), STDERR_FILENO);
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().side, PackFailure::Side::kInput);
  EXPECT_EQ(copied.error().code.value(), EISDIR);
}

}  // namespace
}  // namespace gzipfs
