// A pipe as a byte source that is read forward.
#include "tools/pipe_source.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "fs/sys/unique_fd.h"
#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

using test::Buffer;

TEST(PipeSource, RetainsWhatIsNotLongPast) {
  const Buffer bytes = test::Noise(30 * kMiB);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd for_reading(ends[0]);
  std::jthread writer([&bytes, fd = UniqueFd(ends[1])] {
    EXPECT_TRUE(WriteStream(fd.get(), bytes));
  });
  const PipeSource source(for_reading.get());
  Buffer out(100000);
  for (uint64_t offset = 0; offset + out.size() <= bytes.size(); offset += 1234567) {
    ASSERT_EQ(source.ReadAt(offset, out), out.size());
    ASSERT_TRUE(std::equal(out.begin(), out.end(), bytes.begin() + static_cast<long>(offset)));
  }
  // A little back is possible, far back is an error, behind the end is nothing.
  EXPECT_EQ(source.ReadAt(bytes.size() - 10, out), 10u);
  EXPECT_EQ(source.ReadAt(bytes.size() - kMiB, out), out.size());
  EXPECT_EQ(source.ReadAt(bytes.size(), out), 0u);
  EXPECT_FALSE(source.ReadAt(0, out));
}

}  // namespace
}  // namespace gzipfs
