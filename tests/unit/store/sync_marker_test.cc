// When the mark moves and when it does not.
#include "fs/store/sync_marker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fs/sys/at.h"
#include "tests/unit/store/fault_ops.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs {
namespace {

using std::chrono::milliseconds;

class SyncMarkerTest : public ::testing::Test {
 protected:
  UniqueFd OpenMark() {
    UniqueFd fd(::open((dir_ / "mark").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const timespec times[2] = {{1, 0}, {1, 0}};
    EXPECT_EQ(::futimens(fd.get(), times), 0);
    return fd;
  }
  time_t Marked() const {
    struct stat mark{};
    EXPECT_EQ(::stat((dir_ / "mark").c_str(), &mark), 0);
    return mark.st_mtim.tv_sec;
  }
  bool BecomesMarked() const {
    for (int i = 0; i < 1000 && Marked() == 1; ++i) std::this_thread::sleep_for(milliseconds(10));
    return Marked() > 1;
  }

  test::TempDir dir_;
  UniqueFd dir_fd_{::open(dir_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  test::FaultOps ops_;
};

TEST_F(SyncMarkerTest, MarksTheTimeBeforeItSynced) {
  SyncMarker marker(ops_, dir_fd_.get(), OpenMark(), milliseconds(20));
  marker.NoteWrite();
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(Marked(), 1);  // not started
  const time_t begin = FileClockNow().tv_sec;
  marker.Start();
  marker.NoteWrite();
  ASSERT_TRUE(BecomesMarked());
  EXPECT_GE(Marked(), begin - kSyncMarkMargin);
  EXPECT_LE(Marked(), FileClockNow().tv_sec - kSyncMarkMargin);
}

TEST_F(SyncMarkerTest, WithoutAWriteItLeavesTheMarkAlone) {
  SyncMarker marker(ops_, dir_fd_.get(), OpenMark(), milliseconds(1));
  marker.Start();
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(Marked(), 1);
}

TEST_F(SyncMarkerTest, EndsWithoutWaitingForItsTime) {
  const auto begin = std::chrono::steady_clock::now();
  {
    SyncMarker marker(ops_, dir_fd_.get(), OpenMark(), milliseconds(60'000));
    marker.Start();
    marker.NoteWrite();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(20'000));
  EXPECT_EQ(Marked(), 1);
}

}  // namespace
}  // namespace gzipfs
