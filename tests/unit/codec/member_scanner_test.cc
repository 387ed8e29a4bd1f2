// Walking members: ours by hopping, others by decoding, and where it stops.
#include "codec/member_scanner.h"

#include <gtest/gtest.h>

#include "codec/member.h"
#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::CountingSource;
using test::ForeignOptions;

struct Walk {
  std::vector<MemberInfo> members;
  std::error_code failure;
  uint64_t position = 0;
  uint64_t plain_position = 0;
};

Walk WalkAll(const ByteSource& source) {
  MemberScanner scanner(source);
  Walk walk;
  for (;;) {
    const auto member = scanner.Next();
    if (!member) walk.failure = member.error();
    if (!member || !*member) break;
    walk.members.push_back(**member);
  }
  walk.position = scanner.position();
  walk.plain_position = scanner.plain_position();
  return walk;
}

Walk WalkAll(std::span<const std::byte> file) { return WalkAll(SpanSource(file)); }

void AppendEmpty(Buffer* file, Profile profile = Profile::kBgzf) {
  Buffer member(EmptyMemberBytes(profile));
  EncodeEmptyMember(profile, kEofPayload, member);
  test::Append(file, member);
}

TEST(MemberScanner, EmptySourceHasNoMembers) {
  const Walk walk = WalkAll(Buffer{});
  EXPECT_TRUE(walk.members.empty());
  EXPECT_FALSE(walk.failure);
}

TEST(MemberScanner, MixedFileIsWalkedMemberByMember) {
  Buffer file, plain;
  std::vector<size_t> starts;
  auto add = [&](std::span<const std::byte> member, std::span<const std::byte> data) {
    starts.push_back(file.size());
    test::Append(&file, member);
    test::Append(&plain, data);
  };
  const Buffer a = test::TextLike(65536), b = test::TextLike(300000), c = test::TextLike(10);
  add(EncodeBlock(Profile::kBgzf, 1, a).bytes, a);
  add(test::MakeForeign(b, {.name = std::string(5000, 'n'), .comment = "c"}), b);
  add(EncodeBlock(Profile::kLarge, 1, b).bytes, b);
  add(test::MakeForeign(c, {.extra = Buffer(65535), .has_header_crc = true}), c);
  add(test::MakeForeign({}), {});
  Buffer empty;
  AppendEmpty(&empty);
  add(empty, {});
  const Walk walk = WalkAll(file);
  EXPECT_FALSE(walk.failure);
  ASSERT_EQ(walk.members.size(), starts.size());
  const std::optional<Profile> profiles[] = {Profile::kBgzf, {}, Profile::kLarge,
                                             {},             {}, Profile::kBgzf};
  uint64_t plain_offset = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const MemberInfo& member = walk.members[i];
    EXPECT_EQ(member.file_offset, starts[i]);
    EXPECT_EQ(member.plain_offset, plain_offset);
    EXPECT_EQ(member.profile, profiles[i]) << i;
    EXPECT_EQ(member.is_empty_shape, i == 5) << i;
    const auto data = std::span(plain).subspan(plain_offset, member.plain_bytes);
    EXPECT_EQ(member.crc32, Crc32(0, data)) << i;
    Buffer decoded(member.plain_bytes);
    EXPECT_TRUE(DecodeMember(std::span(file).subspan(member.file_offset, member.member_bytes),
                             decoded));
    EXPECT_TRUE(std::equal(decoded.begin(), decoded.end(), data.begin(), data.end())) << i;
    plain_offset = member.plain_end();
  }
  EXPECT_EQ(plain_offset, plain.size());
  EXPECT_EQ(walk.position, file.size());
  EXPECT_EQ(walk.plain_position, plain.size());
}

TEST(MemberScanner, HoppingCostsOneReadAMember) {
  Buffer file;
  for (uint32_t i = 0; i < 100; ++i)
    test::Append(&file, EncodeBlock(Profile::kBgzf, 1, test::TextLike(65536, i + 1)).bytes);
  const CountingSource source(file);
  EXPECT_EQ(WalkAll(source).members.size(), 100u);
  EXPECT_LE(source.reads, 101);
}

TEST(MemberScanner, RunsOfTinyMembersShareReads) {
  Buffer file;
  for (int i = 0; i < 10000; ++i) AppendEmpty(&file);
  const CountingSource source(file);
  EXPECT_EQ(WalkAll(source).members.size(), 10000u);
  EXPECT_LE(source.reads, 100);
}

TEST(MemberScanner, EmptyShapeNeedsEveryByte) {
  Buffer file;
  AppendEmpty(&file, Profile::kLarge);
  AppendEmpty(&file, Profile::kBgzf);
  file[30 + 18] = std::byte{1};  // no longer an empty fixed block
  const Walk walk = WalkAll(file);
  ASSERT_EQ(walk.members.size(), 2u);
  EXPECT_TRUE(walk.members[0].is_empty_shape);
  EXPECT_FALSE(walk.members[1].is_empty_shape);
}

TEST(MemberScanner, TornFileStopsAtTheLastCompleteMember) {
  Buffer file;
  std::vector<size_t> ends{0};
  auto add = [&](std::span<const std::byte> member) {
    test::Append(&file, member);
    ends.push_back(file.size());
  };
  add(EncodeBlock(Profile::kBgzf, 1, test::TextLike(300, 1)).bytes);
  add(test::MakeForeign(test::TextLike(300, 2), {.name = "foreign", .has_header_crc = true}));
  add(EncodeBlock(Profile::kLarge, 1, test::TextLike(300, 3)).bytes);
  for (size_t length = 0; length <= file.size(); ++length) {
    const Walk walk = WalkAll(std::span(file).first(length));
    const size_t complete = *std::prev(std::upper_bound(ends.begin(), ends.end(), length));
    EXPECT_EQ(walk.position, complete) << length;
    if (complete == length) {
      EXPECT_FALSE(walk.failure) << length;
    } else {
      EXPECT_EQ(walk.failure, DataError::kTruncated) << length;
    }
  }
}

TEST(MemberScanner, StaysWhereItIsAfterAnError) {
  Buffer file = EncodeBlock(Profile::kBgzf, 1, test::TextLike(300)).bytes;
  const size_t good = file.size();
  for (const auto& [garbage, failure] :
       {std::pair{Buffer(100), DataError::kNotGzip},
        std::pair{test::FromText("garbage"), DataError::kNotGzip},
        std::pair{test::FromHex("1f8b09"), DataError::kBadHeader},
        std::pair{test::FromHex("1f8b08000000000000000602"), DataError::kBadDeflate}}) {
    file.resize(good);
    test::Append(&file, garbage);
    test::Append(&file, Buffer(100));
    const SpanSource source(file);
    MemberScanner scanner(source);
    ASSERT_TRUE(scanner.Next());
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(scanner.Next().error(), failure);
      EXPECT_EQ(scanner.position(), good);
      EXPECT_EQ(scanner.plain_position(), 300u);
    }
  }
}

TEST(MemberScanner, SeesNothingBehindItsLimit) {
  Buffer file;
  for (int i = 0; i < 3; ++i)
    test::Append(&file, EncodeBlock(Profile::kBgzf, 1, test::TextLike(300, 7)).bytes);
  const size_t member_bytes = file.size() / 3;
  const SpanSource source(file);
  MemberScanner scanner(source, member_bytes, 300, 2 * member_bytes);
  const auto member = scanner.Next();
  ASSERT_TRUE(member && *member);
  EXPECT_EQ((*member)->plain_offset, 300u);
  EXPECT_FALSE(*scanner.Next());
  MemberScanner cut(source, member_bytes, 300, 2 * member_bytes - 1);
  EXPECT_EQ(cut.Next().error(), DataError::kTruncated);
}

TEST(MemberScanner, SizeBeyondTheProfileIsDecodedAsForeign) {
  const Buffer plain = test::TextLike(kBgzfBlockBytes + 1);
  const Buffer deflate = test::RawDeflate(plain);
  Buffer file(kBgzfHeaderBytes);
  EncodeMemberHeader(Profile::kBgzf, kBgzfHeaderBytes + deflate.size() + kTrailerBytes, file);
  test::Append(&file, deflate);
  test::Append(&file, test::MakeTrailer(plain));
  const Walk walk = WalkAll(file);
  ASSERT_EQ(walk.members.size(), 1u);
  EXPECT_FALSE(walk.members[0].profile);
  EXPECT_EQ(walk.members[0].plain_bytes, plain.size());
  EXPECT_EQ(walk.position, file.size());
}

// A bit of its length flipped, and it ends where another one does.
TEST(MemberScanner, EmptyMemberThatReachesOverOthersIsRefused) {
  Buffer file;
  for (int i = 0; i < 4; ++i) AppendEmpty(&file);
  const Buffer hidden = EncodeBlock(Profile::kBgzf, 1, test::FromText("hidden")).bytes;
  Buffer swallowing = file;
  test::Append(&swallowing, hidden);
  AppendEmpty(&swallowing);
  StoreLe16(&swallowing[16], swallowing.size() - 1);
  const Walk walk = WalkAll(swallowing);
  EXPECT_TRUE(walk.members.empty());
  EXPECT_TRUE(walk.failure);
  // Long ones that are empty, of our shape and not, are as good as any.
  Buffer stored(kBgzfHeaderBytes);
  for (int i : {0, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}) {
    stored.push_back(static_cast<std::byte>(i));
  }
  test::Append(&stored, test::MakeTrailer({}));
  EncodeMemberHeader(Profile::kBgzf, stored.size(), stored);
  test::Append(&stored, file);
  EXPECT_EQ(WalkAll(stored).members.size(), 5u);
  EXPECT_EQ(WalkAll(stored).members[0].profile, Profile::kBgzf);
}

// Who reads a member as a whole takes memory for all of it.
TEST(MemberScanner, MemberOfManyEmptyBlocksIsReadAsAForeignOne) {
  constexpr std::byte kEmptyStored[] = {std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0xff},
                                        std::byte{0xff}};
  for (const auto& [block_count, is_foreign] :
       {std::pair{1'000'000, false}, std::pair{1'700'000, true}}) {
    Buffer member(kLargeHeaderBytes);
    for (int i = 0; i < block_count; ++i) test::Append(&member, kEmptyStored);
    test::Append(&member, test::RawDeflate(test::FromText("text")));
    test::Append(&member, test::MakeTrailer(test::FromText("text")));
    EncodeMemberHeader(Profile::kLarge, member.size(), member);
    const Walk walk = WalkAll(member);
    ASSERT_EQ(walk.members.size(), 1u);
    EXPECT_FALSE(walk.failure);
    EXPECT_EQ(walk.members[0].profile.has_value(), !is_foreign);
    EXPECT_EQ(walk.members[0].member_bytes, member.size());
    EXPECT_EQ(walk.plain_position, 4u);
  }
}

TEST(MemberScanner, HeaderBeyondOneMebibyteIsRefused) {
  const Buffer plain = test::TextLike(100);
  const Buffer fits = test::MakeForeign(plain, {.name = std::string(kMiB - 100, 'x')});
  EXPECT_EQ(WalkAll(fits).members.size(), 1u);
  const Buffer beyond = test::MakeForeign(plain, {.name = std::string(kMiB, 'x')});
  EXPECT_EQ(WalkAll(beyond).failure, DataError::kBadHeader);
}

TEST(MemberScanner, ForeignMembersAreVerified) {
  const Buffer plain = test::TextLike(1000);
  const Buffer good = test::MakeForeign(plain);
  Buffer bad_crc = good, bad_size = good;
  bad_crc[good.size() - 8] ^= std::byte{1};
  bad_size[good.size() - 4] ^= std::byte{1};
  EXPECT_EQ(WalkAll(bad_crc).failure, DataError::kBadChecksum);
  EXPECT_EQ(WalkAll(bad_size).failure, DataError::kBadSize);
}

TEST(MemberScanner, DeviceErrorsComeThroughAsTheyAre) {
  const Buffer file = test::MakeForeign(test::TextLike(1000));
  CountingSource source(file);
  source.failure = EIO;
  EXPECT_EQ(WalkAll(source).failure, std::error_code(EIO, std::system_category()));
}

TEST(MemberScanner, PlainSizesStayWithinTheFormat) {
  const Buffer file = EncodeBlock(Profile::kBgzf, 1, test::TextLike(300)).bytes;
  const SpanSource source(file);
  MemberScanner fits(source, 0, kMaxPlainBytes - 300, file.size());
  EXPECT_TRUE(fits.Next());
  MemberScanner beyond(source, 0, kMaxPlainBytes - 299, file.size());
  EXPECT_EQ(beyond.Next().error(), DataError::kTooLarge);
}

TEST(MemberStream, GivesTheSameBytesInPiecesOfAnySize) {
  const Buffer plain = test::TextLike(200000);
  Buffer file = test::Noise(13);
  test::Append(&file, test::MakeForeign(plain, {.name = "name"}));
  const size_t end = file.size();
  test::Append(&file, test::Noise(1000));
  const SpanSource source(file);
  for (size_t piece_bytes : {100, 4096, 65536, 199999, 200000, 200001, 500000}) {
    MemberStream stream(source, 13, file.size());
    Buffer decoded, piece(piece_bytes);
    while (!stream.at_end()) {
      const auto got = stream.Read(piece);
      ASSERT_TRUE(got);
      test::Append(&decoded, std::span(piece).first(*got));
      EXPECT_EQ(stream.plain_position(), decoded.size());
    }
    EXPECT_EQ(decoded, plain) << piece_bytes;
    EXPECT_EQ(stream.file_position(), end);
    EXPECT_EQ(stream.crc32(), Crc32(0, plain));
    EXPECT_EQ(stream.Read(piece), 0u);
  }
}

TEST(MemberStream, EveryTruncationIsAnErrorThatStays) {
  const Buffer plain = test::TextLike(500);
  const Buffer member = test::MakeForeign(plain, {.extra = Buffer(5), .comment = "c"});
  for (size_t length = 0; length < member.size(); ++length) {
    const SpanSource source({member.data(), length});
    MemberStream stream(source, 0, length);
    Buffer piece(1000);
    EXPECT_EQ(stream.Read(piece).error(), DataError::kTruncated) << length;
    EXPECT_EQ(stream.Read(piece).error(), DataError::kTruncated) << length;
    EXPECT_FALSE(stream.at_end());
  }
}

TEST(MemberStream, FlippedBitNeverGivesOtherBytes) {
  const Buffer plain = test::TextLike(600);
  const Buffer member = test::MakeForeign(plain, {.name = "n"});
  for (size_t bit = 0; bit < member.size() * 8; ++bit) {
    Buffer damaged = member;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    const SpanSource source(damaged);
    MemberStream stream(source, 0, damaged.size());
    Buffer decoded(10000);
    const auto got = stream.Read(decoded);
    if (!got) continue;
    decoded.resize(*got);
    EXPECT_EQ(decoded, plain) << bit;
  }
}

TEST(MemberStream, MovesWithItsState) {
  const Buffer plain = test::TextLike(5000);
  const Buffer member = test::MakeForeign(plain);
  const SpanSource source(member);
  MemberStream first(source, 0, member.size());
  Buffer decoded(5001);
  ASSERT_EQ(first.Read(std::span(decoded).first(1000)), 1000u);
  MemberStream second = std::move(first);
  ASSERT_EQ(second.Read(std::span(decoded).subspan(1000)), 4000u);
  decoded.resize(5000);
  EXPECT_EQ(decoded, plain);
  EXPECT_TRUE(second.at_end());
}

}  // namespace
}  // namespace gzipfs
