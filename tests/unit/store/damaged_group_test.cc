// A base with damage that no walk can pass: only the damaged member's bytes are
// lost, and what is read is in its place.
#include "tests/unit/store/lying_base.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kGroups;

constexpr uint64_t kMemberPlain = test::kGroupPlain / 3;

class DamagedGroup : public test::BaseFileLies {
 protected:
  void SetUp() override {
    BaseFileLies::SetUp();
    for (size_t at = 0; at < members_.size();) {
      starts_.push_back(at);
      const auto header = ParseMemberHeader(std::span(members_).subspan(at));
      ASSERT_TRUE(header);
      at += header->member_bytes;
    }
    starts_.push_back(members_.size());
    ASSERT_EQ(starts_.size(), 3 * kGroups + 1);
  }
  // With a tail that is right.
  void Damage(size_t file_offset, std::byte mask) {
    members_[file_offset] ^= mask;
    SetTail(truth_);
    members_[file_offset] ^= mask;
  }
  void ExpectLost(size_t member) {
    const auto base = OpenUnprepared();
    ASSERT_TRUE(base);
    EXPECT_EQ(base->plain_bytes(), plain_.size());
    for (uint64_t at = 0; at < plain_.size(); at += 100) {
      const auto bytes = ReadBase(*base, at, 100);
      const bool is_lost = at / kMemberPlain == member;
      ASSERT_EQ(bytes.has_value(), !is_lost) << at;
      if (!bytes) continue;
      ASSERT_TRUE(IsRight(*bytes, at)) << at;
    }
    EXPECT_FALSE(ReadBase(*base, 0, plain_.size()));
  }

  std::vector<size_t> starts_;
};

TEST_F(DamagedGroup, HeaderLosesItsMemberAlone) {
  for (size_t member = 0; member < 3 * kGroups; ++member) {
    for (size_t byte : {0, 3, 10, 17}) {
      SCOPED_TRACE(testing::Message() << "member " << member << " byte " << byte);
      Damage(starts_[member] + byte, std::byte{0x81});
      ExpectLost(member);
    }
  }
}

// A wrong ISIZE moves everything behind it in a scan: the index is right.
TEST_F(DamagedGroup, IsizeLosesItsMemberAlone) {
  for (size_t member = 0; member < 3 * kGroups; ++member) {
    for (size_t from_end : {4, 3, 1}) {
      SCOPED_TRACE(testing::Message() << "member " << member << " byte " << from_end);
      Damage(starts_[member + 1] - from_end, std::byte{2});
      ExpectLost(member);
    }
  }
}

TEST_F(DamagedGroup, TwoDamagedGroupsLoseTwoMembers) {
  members_[starts_[1]] ^= std::byte{1};
  Damage(starts_[7], std::byte{1});
  const auto base = OpenUnprepared();
  for (size_t member = 0; member < 3 * kGroups; ++member) {
    const auto bytes = ReadBase(*base, member * kMemberPlain, kMemberPlain);
    EXPECT_EQ(bytes.has_value(), member != 1 && member != 7) << member;
    EXPECT_TRUE(!bytes || IsRight(*bytes, member * kMemberPlain));
  }
}

}  // namespace
}  // namespace gzipfs
