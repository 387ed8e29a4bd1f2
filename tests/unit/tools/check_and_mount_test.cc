// What check says is lost is what a mount cannot read, and nothing else. Where
// there is more than one damage in a group of members the mount may lose what is
// between them too; what it reads is right in any case.
#include <fmt/format.h>

#include <iostream>
#include <random>
#include <regex>

#include "tests/unit/rounds.h"
#include "tests/unit/store/store_fixture.h"
#include "tools/verify_file.h"

namespace gzipfs {
namespace {

using test::Buffer;

// Blocks of 1,024 bytes: reads are many and short.
Buffer Pack(std::span<const std::byte> plain) {
  test::StoredFile file;
  for (size_t at = 0; at < plain.size(); at += 1024) file.AddPlain(plain.subspan(at, 1024));
  file.AddTail();
  return file.bytes;
}

constexpr size_t kGroupPlain = kGroupMaxMembers * 1024;

class CheckAndMount : public test::StoreFixture {
 protected:
  // The plain bytes that the verdict names.
  static std::vector<bool> SaidLost(const FileVerdict& verdict, size_t plain_bytes) {
    std::vector<bool> lost(plain_bytes);
    std::vector<std::string> lines = verdict.further;
    lines.push_back(verdict.reason);
    for (const std::string& line : lines) {
      std::smatch match;
      if (!std::regex_search(line, match, std::regex("plain bytes ([0-9]+) to ([0-9]+),"))) {
        continue;
      }
      const size_t begin = std::stoul(match[1]);
      const size_t end = std::stoul(match[2]) + 1;
      EXPECT_LE(end, plain_bytes);
      for (size_t i = begin; i < std::min(end, plain_bytes); ++i) lost[i] = true;
    }
    return lost;
  }
  // Whether the byte is one of a member's ISIZE.
  static bool IsOfASize(const Buffer& file, size_t file_offset) {
    const SpanSource source(file);
    MemberScanner scanner(source);
    for (;;) {
      const auto member = scanner.Next();
      if (!member || !*member) return false;
      if ((*member)->file_end() > file_offset) return (*member)->file_end() - file_offset <= 4;
    }
  }
  // Something of the same group is said to be lost.
  static bool IsNearLoss(const std::vector<bool>& lost, size_t plain_offset) {
    const size_t begin = plain_offset / kGroupPlain * kGroupPlain;
    const size_t end = std::min(begin + kGroupPlain, lost.size());
    return std::find(lost.begin() + static_cast<ptrdiff_t>(begin),
                     lost.begin() + static_cast<ptrdiff_t>(end),
                     true) != lost.begin() + static_cast<ptrdiff_t>(end);
  }
};

TEST_F(CheckAndMount, AgreeOnWhatIsLost) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  // Three groups.
  const Buffer plain = test::TextLike(80 * 1024);
  const Buffer good = Pack(plain);
  const size_t members_end = ReadTailSummary(SpanSource(good), good.size()).value()->tail_offset;
  for (int round = 0; round < test::Rounds(150) && !HasFailure(); ++round) {
    Buffer file = good;
    std::string damage = "bits";
    const uint64_t damage_count = round % 2 == 0 ? 1 : 2 + random() % 3;
    bool has_wrong_size = false;
    for (uint64_t i = 0; i < damage_count;) {
      const size_t where = random() % members_end;
      // Two wrong sizes in a group may make up for each other: nothing tells then.
      if (IsOfASize(good, where) && std::exchange(has_wrong_size, true)) continue;
      ++i;
      const auto bit = static_cast<int>(random() % 8);
      file[where] ^= std::byte{1} << bit;
      damage += fmt::format(" {}:{}", where, bit);
    }
    test::WriteFile(base_path(), file);
    std::atomic<uint64_t> done_bytes = 0;
    const FileVerdict verdict = VerifyFile(base_path(), nullptr, done_bytes);
    EXPECT_EQ(done_bytes, file.size());
    for (const std::string& line : verdict.further) damage += "; " + line;
    SCOPED_TRACE(testing::Message() << damage << "; " << verdict.reason);
    const std::vector<bool> lost = SaidLost(verdict, plain.size());
    CloseStore();
    OpenStore();
    Open();
    ASSERT_EQ(content_->plain_bytes(), plain.size());
    for (size_t at = 0; at < plain.size(); at += 128) {
      const auto bytes = TryRead(at, 128);
      const bool may_be_lost = lost[at] || (damage_count > 1 && IsNearLoss(lost, at));
      // A length of the last member that leads into the tail can be read around.
      const bool may_be_read = !lost[at] || at >= plain.size() - 1024;
      ASSERT_TRUE(bytes ? may_be_read : may_be_lost) << "round " << round << ", plain byte " << at;
      if (!bytes) continue;
      ASSERT_TRUE(std::equal(bytes->begin(), bytes->end(),
                             plain.begin() + static_cast<ptrdiff_t>(at)))
          << "other bytes at " << at;
    }
  }
}

}  // namespace
}  // namespace gzipfs
