// What is taken for a change by others and what is not.
#include "fs/store/base_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/store/fault_ops.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs {
namespace {

class BaseWatchTest : public ::testing::Test {
 protected:
  BaseWatchTest() {
    EXPECT_EQ(::write(fd_.get(), "contents", 8), 8);
    SetTime(1);
  }
  void SetTime(time_t seconds) {
    const timespec times[2] = {{0, UTIME_OMIT}, {seconds, 500}};
    ASSERT_EQ(::futimens(fd_.get(), times), 0);
  }
  BaseWatch Watch() { return BaseWatch(ops_, *ops_.Stat(fd_.get())); }

  test::TempDir dir_;
  test::FaultOps ops_;
  UniqueFd fd_{::open((dir_ / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)};
};

TEST_F(BaseWatchTest, SeesAnotherSizeAndAnotherTimeForGood) {
  BaseWatch by_size = Watch();
  BaseWatch by_time = Watch();
  EXPECT_TRUE(by_size.Check(fd_.get()));
  ASSERT_EQ(::pwrite(fd_.get(), "x", 1, 8), 1);
  SetTime(1);
  EXPECT_EQ(by_size.Check(fd_.get()).error().value(), ESTALE);
  ASSERT_EQ(::ftruncate(fd_.get(), 8), 0);
  SetTime(1);
  EXPECT_EQ(by_size.Check(fd_.get()).error().value(), ESTALE);
  EXPECT_TRUE(by_size.is_changed());

  EXPECT_TRUE(by_time.Check(fd_.get()));
  SetTime(2);
  EXPECT_EQ(by_time.Check(fd_.get()).error().value(), ESTALE);
}

TEST_F(BaseWatchTest, OwnChangesAreNone) {
  BaseWatch watch = Watch();
  {
    const BaseWatch::OwnChange change(watch, fd_.get());
    const BaseWatch::OwnChange another(watch, fd_.get());
    ASSERT_EQ(::pwrite(fd_.get(), "more", 4, 8), 4);
    EXPECT_TRUE(watch.Check(fd_.get()));
  }
  EXPECT_TRUE(watch.Check(fd_.get()));
  EXPECT_FALSE(watch.is_changed());
  SetTime(2);
  EXPECT_FALSE(watch.Check(fd_.get()));
}

TEST_F(BaseWatchTest, OwnerModeAndLinksAreNone) {
  BaseWatch watch = Watch();
  ASSERT_EQ(::fchmod(fd_.get(), 0600), 0);
  ASSERT_EQ(::link((dir_ / "file").c_str(), (dir_ / "other").c_str()), 0);
  ASSERT_EQ(::rename((dir_ / "file").c_str(), (dir_ / "third").c_str()), 0);
  EXPECT_TRUE(watch.Check(fd_.get()));
}

TEST_F(BaseWatchTest, AFailedLookIsAnErrorAndNoChange) {
  BaseWatch watch = Watch();
  ops_.before = [](test::Call call) { return call == test::Call::kStat ? EIO : 0; };
  EXPECT_EQ(watch.Check(fd_.get()).error().value(), EIO);
  // After a change of our own that nobody could look at, the next look counts.
  {
    const BaseWatch::OwnChange change(watch, fd_.get());
    SetTime(3);
  }
  ops_.before = nullptr;
  EXPECT_TRUE(watch.Check(fd_.get()));
  SetTime(4);
  EXPECT_FALSE(watch.Check(fd_.get()));
}

}  // namespace
}  // namespace gzipfs
