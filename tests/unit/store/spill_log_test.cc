// The spill log: blocks in, blocks out, and no name in the store.
#include "fs/store/spill_log.h"

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::FaultOps;
using test::TempDir;

class SpillLogTest : public ::testing::Test {
 protected:
  std::shared_ptr<SpillLog> Make() {
    auto log = SpillLog::Create(ops_, dir_fd_.get(), ".");
    EXPECT_TRUE(log) << log.error().message();
    return log ? *log : nullptr;
  }

  TempDir dir_;
  FaultOps ops_;
  UniqueFd dir_fd_{::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(SpillLogTest, GivesBackEveryBlock) {
  const auto log = Make();
  std::vector<std::pair<LogPlace, Buffer>> blocks;
  for (uint32_t i = 1; i < 50; ++i) {
    const Buffer bytes = test::Noise(i * 97, i);
    const auto place = log->Append(bytes);
    ASSERT_TRUE(place);
    EXPECT_EQ(place->byte_count, bytes.size());
    blocks.emplace_back(*place, bytes);
  }
  for (const auto& [place, bytes] : blocks) {
    Buffer read(place.byte_count);
    ASSERT_TRUE(log->Read(place, read));
    EXPECT_EQ(read, bytes);
  }
}

TEST_F(SpillLogTest, HasNoNameInItsDirectory) {
  const auto log = Make();
  ASSERT_TRUE(log->Append(test::Noise(100)));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(SpillLogTest, WorksWhereThereIsNoTmpfile) {
  bool is_first = true;
  ops_.before = [&is_first](Call call) {
    return call == Call::kOpen && std::exchange(is_first, false) ? EOPNOTSUPP : 0;
  };
  const auto log = Make();
  const Buffer bytes = test::Noise(1000);
  const auto place = log->Append(bytes);
  Buffer read(1000);
  ASSERT_TRUE(log->Read(*place, read));
  EXPECT_EQ(read, bytes);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(SpillLogTest, TwoLogsWithoutTmpfileAreTwoFiles) {
  int opens = 0;
  ops_.before = [&opens](Call call) {
    return call == Call::kOpen && opens++ % 2 == 0 ? EOPNOTSUPP : 0;
  };
  const auto one = Make(), other = Make();
  const auto place = one->Append(test::FromText("one"));
  ASSERT_TRUE(other->Append(test::FromText("two")));
  Buffer read(3);
  ASSERT_TRUE(one->Read(*place, read));
  EXPECT_EQ(read, test::FromText("one"));
}

TEST_F(SpillLogTest, FailedWriteTakesNoPlace) {
  const auto log = Make();
  ops_.before = [](Call call) { return call == Call::kWrite ? ENOSPC : 0; };
  const auto failed = log->Append(test::Noise(1000));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().value(), ENOSPC);
  ops_.before = nullptr;
  const auto place = log->Append(test::FromText("later"));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->offset, 0u);
}

TEST_F(SpillLogTest, ShortReadIsAnError) {
  const auto log = Make();
  ASSERT_TRUE(log->Append(test::Noise(100)));
  Buffer read(101);
  EXPECT_FALSE(log->Read({0, 101}, read));
}

TEST_F(SpillLogTest, DirectoryThatCannotBeWrittenIsReported) {
  ops_.before = [](Call call) { return call == Call::kOpen ? EACCES : 0; };
  const auto log = SpillLog::Create(ops_, dir_fd_.get(), ".");
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().value(), EACCES);
}

}  // namespace
}  // namespace gzipfs
