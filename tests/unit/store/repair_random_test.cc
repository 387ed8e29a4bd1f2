// Files damaged at random: whatever a repair does, every member that could be
// found and decoded before can be afterwards, where it was.
#include <iostream>
#include <random>

#include "codec/member_search.h"
#include "fs/store/repair.h"
#include "tests/unit/rounds.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;
using test::Buffer;
using test::StoredFile;

class RepairRandom : public ::testing::Test {
 protected:
  uint64_t Below(uint64_t bound) { return random_() % bound; }

  Buffer MakeFile() {
    StoredFile file(Below(4) == 0 ? Profile::kLarge : Profile::kBgzf);
    const uint64_t closes = 1 + Below(4);
    for (uint64_t i = 0; i < closes; ++i) {
      for (uint64_t n = Below(50); n > 0; --n) {
        file.AddPlain(test::TextLike(1 + Below(2000), static_cast<uint32_t>(random_())));
      }
      if (file.index.file_bytes() > 0 && !file.index.ends_with_tail() &&
          file.index.plain_bytes() > 0) {
        file.AddTail();
      }
    }
    if (file.bytes.empty()) file.AddTail();
    return file.bytes;
  }
  void Damage(Buffer& file) {
    const uint64_t at = Below(file.size());
    switch (Below(6)) {
      case 0: file[at] ^= std::byte{1} << Below(8); break;
      case 1: file.resize(at + 1); break;
      case 2: test::Append(&file, test::Noise(1 + Below(300), static_cast<uint32_t>(at))); break;
      case 3: std::fill_n(file.begin() + static_cast<ptrdiff_t>(at),
                          std::min<uint64_t>(Below(3000), file.size() - at), std::byte{0});
        break;
      case 4: test::Append(&file, Buffer(file)); break;
      case 5: file[file.size() - 1 - Below(std::min<uint64_t>(file.size(), 200))] ^=
          std::byte{0x10};
        break;
    }
  }
  static std::vector<MemberRun> Readable(const Buffer& file) {
    return FindMembers(SpanSource(file), 0, file.size(), SearchFor::kSubfields)->runs;
  }

  test::TempDir dir_;
  std::mt19937_64 random_;
};

TEST_F(RepairRandom, NoReadableMemberIsLost) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  random_.seed(seed);
  test::FaultOps ops;  // which do not sync
  const UniqueFd dir(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  size_t repaired_count = 0;
  for (int round = 0; round < test::Rounds(400) && !HasFailure(); ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Buffer file = MakeFile();
    for (uint64_t i = 0; i <= Below(3); ++i) Damage(file);
    const std::vector<MemberRun> before = Readable(file);
    test::WriteFile(dir_ / "file.gz", file);
    const RepairSite site{.ops = ops,
                          .dir_fd = dir.get(),
                          .name = "file.gz",
                          .kept_dir_fd = dir.get(),
                          .kept_name = "kept",
                          .kept_path = ".",
                          .scratch_dir_fd = dir.get(),
                          .scratch_name = "scratch"};
    const auto result = RepairFile(site);
    ASSERT_TRUE(result) << result.error().message();
    const Buffer after = test::ReadFile(dir_ / "file.gz");
    if (result->kind != RepairResult::Kind::kRepaired) {
      ASSERT_TRUE(after == file) << "changed, and not told";
      continue;
    }
    ++repaired_count;
    for (const MemberRun& run : before) {
      const auto begin = static_cast<ptrdiff_t>(run.file_offset);
      const auto end = begin + static_cast<ptrdiff_t>(run.file_bytes);
      uint64_t plain_bytes = 0;
      for (const MemberRun& now : Readable(after)) {
        if (now.file_offset <= run.file_offset) plain_bytes = now.plain_bytes;
      }
      // A dead or broken tail at the run's end may be gone; members are not.
      ASSERT_GE(plain_bytes, run.plain_bytes) << begin << " to " << end << ": " << result->what;
    }
    files::remove(dir_ / "kept");
    ASSERT_FALSE(files::exists(dir_ / "scratch"));
    const auto again = RepairFile(site);
    ASSERT_TRUE(again);
    ASSERT_EQ(again->kind, RepairResult::Kind::kNothing)
        << result->what << ", then " << again->what;
  }
  EXPECT_GT(repaired_count, static_cast<size_t>(test::Rounds(50)));
}

}  // namespace
}  // namespace gzipfs
