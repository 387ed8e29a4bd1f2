// A repair is stopped at every call, by the death of the process or by a power
// cut: no complete member is lost, nothing that was to be cut off is lost
// either, and the next repair comes to the end.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <iostream>

#include "fs/store/repair.h"
#include "tests/crash/sim_disk.h"
#include "tests/unit/codec/stored_file.h"

namespace gzipfs::crash {
namespace {

UniqueFd OpenDirectoryOf(const SimDisk& disk, const std::string& name) {
  return UniqueFd(::open((disk.path() + "/" + name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<RepairResult> RepairOn(SimDisk& disk) {
  const UniqueFd root = OpenDirectoryOf(disk, "");
  const UniqueFd kept = OpenDirectoryOf(disk, ".gzipfs/quarantine");
  const UniqueFd scratch = OpenDirectoryOf(disk, ".gzipfs/image");
  // The image directory is cleared before, as recovery does it.
  (void)disk.UnlinkAt(scratch.get(), "new-1", 0);
  return RepairFile({.ops = disk,
                     .dir_fd = root.get(),
                     .name = "file.gz",
                     .kept_dir_fd = kept.get(),
                     .kept_name = "file.gz.rest",
                     .kept_path = "kept",
                     .scratch_dir_fd = scratch.get(),
                     .scratch_name = "new-1"});
}

class RepairCrash : public ::testing::Test {
 protected:
  void Run(const Buffer& file, const Buffer& plain, const Buffer& rest) {
    SimDisk disk;
    disk.Put("file.gz", file);
    disk.BeginRecord();
    const auto repaired = RepairOn(disk);
    ASSERT_TRUE(repaired) << repaired.error().message();
    ASSERT_EQ(repaired->kind, RepairResult::Kind::kRepaired);
    std::mt19937_64 random(1);
    CrashStates states(disk.begin(), disk.ops(), /*samples=*/12, /*every=*/1, random);
    size_t count = 0;
    const auto visit = [&](const CrashState& state) {
      ++count;
      if (!HasFailure()) Check(state, file, plain, rest);
    };
    while (states.op_count() < disk.ops().size()) {
      states.VisitProcessDeaths(visit);
      states.VisitPowerCuts(visit);
      states.Advance();
    }
    states.VisitPowerCuts(visit);
    EXPECT_GT(count, 10u);
    std::cout << count << " states\n";
  }

  void Check(const CrashState& state, const Buffer& file, const Buffer& plain,
             const Buffer& rest) {
    SCOPED_TRACE(state.story);
    ASSERT_TRUE(state.disk.names.contains("file.gz"));
    const Buffer& now = *state.disk.files.at(state.disk.names.at("file.gz")).bytes;
    ExpectMembers(now, plain);
    const auto kept = state.disk.names.find(".gzipfs/quarantine/file.gz.rest");
    const bool is_kept = kept != state.disk.names.end() &&
                         *state.disk.files.at(kept->second).bytes == rest;
    EXPECT_TRUE(rest.empty() || is_kept || now == file) << "what was cut off is lost";
    SimDisk again(state.disk);
    const auto repaired = RepairOn(again);
    ASSERT_TRUE(repaired) << repaired.error().message();
    EXPECT_NE(repaired->kind, RepairResult::Kind::kLeft) << repaired->what;
    const DiskState end = again.Now();
    const Buffer& whole = *end.files.at(end.names.at("file.gz")).bytes;
    const auto layout = test::Layout(whole);
    ASSERT_TRUE(layout);
    EXPECT_FALSE(layout->rest);
    // Cut, and stopped before the tail was written: as other writers leave a file.
    EXPECT_TRUE(layout->has_tail || now.size() == members_bytes_);
    EXPECT_TRUE(test::GunzipAll(whole) == plain);
  }
  size_t members_bytes_ = 0;

  void ExpectMembers(Buffer now, const Buffer& plain) {
    const auto layout = test::Scan(now);
    ASSERT_TRUE(layout);
    now.resize(layout->valid_bytes);
    EXPECT_TRUE(test::GunzipAll(now) == plain) << "plain bytes are lost";
  }
};

TEST_F(RepairCrash, TornWriteIsCutOffOrStillThere) {
  test::StoredFile file;
  for (uint32_t i = 0; i < 3; ++i) file.AddPlain(test::TextLike(3000, i + 1));
  const Buffer torn = EncodeBlock(Profile::kBgzf, 1, test::Noise(9000)).bytes;
  const Buffer rest(torn.begin(), torn.begin() + 7000);
  Buffer bytes = file.bytes;
  test::Append(&bytes, rest);
  members_bytes_ = file.bytes.size();
  Run(bytes, file.plain, rest);
}

TEST_F(RepairCrash, TailIsRightOrStillWrong) {
  test::StoredFile file;
  for (uint32_t i = 0; i < 3; ++i) file.AddPlain(test::TextLike(3000, i + 1));
  file.AddTail();
  Buffer bytes = file.bytes;
  bytes[bytes.size() - 2 * 28 + 5] ^= std::byte{1};
  Run(bytes, file.plain, {});
}

}  // namespace
}  // namespace gzipfs::crash
