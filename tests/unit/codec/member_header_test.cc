// Headers: our own shapes byte by byte, everybody else's by what RFC 1952 allows.
#include "codec/member_header.h"

#include <gtest/gtest.h>

#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::ForeignOptions;

Buffer Subfield(std::string_view id, std::string_view value_hex) {
  Buffer subfield = test::FromText(id);
  const Buffer value = test::FromHex(value_hex);
  subfield.resize(4);
  StoreLe16(&subfield[2], value.size());
  test::Append(&subfield, value);
  return subfield;
}

Buffer Join(std::initializer_list<Buffer> parts) {
  Buffer all;
  for (const Buffer& part : parts) test::Append(&all, part);
  return all;
}

TEST(EmptyMember, EndOfFileMarkerIsTheOneOfSamV1) {
  Buffer marker(28);
  EXPECT_EQ(EncodeEmptyMember(Profile::kBgzf, kEofPayload, marker), 28u);
  EXPECT_EQ(marker, test::FromHex("1f8b08040000000000ff0600424302001b0003000000000000000000"));
}

TEST(EmptyMember, LargeProfileHasMzWithPayloadLength) {
  Buffer marker(30);
  EXPECT_EQ(EncodeEmptyMember(Profile::kLarge, kEofPayload, marker), 30u);
  EXPECT_EQ(marker, test::FromHex("1f8b08040000000000ff08004d5a04000200000003000000000000000000"));
}

TEST(EmptyMember, CarriesItsPayload) {
  const Payload payload{std::byte{1}, std::byte{2}, std::byte{3},
                        std::byte{4}, std::byte{5}, std::byte{6}};
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    Buffer bytes(100, std::byte{0x77});
    const size_t length = EncodeEmptyMember(profile, payload, bytes);
    EXPECT_EQ(length, EmptyMemberBytes(profile));
    EXPECT_EQ(bytes[length], std::byte{0x77});
    EXPECT_EQ(ParseEmptyMember(profile, bytes), payload);
    const auto header = ParseMemberHeader(bytes);
    ASSERT_TRUE(header);
    EXPECT_TRUE(header->HasEmptyLength());
    EXPECT_EQ(header->payload, payload);
    EXPECT_EQ(header->header_bytes, HeaderBytes(profile));
    EXPECT_EQ(test::GunzipAll(std::span(bytes).first(length)), Buffer{});
  }
}

TEST(EmptyMember, AnyOtherByteMakesItSomethingElse) {
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    Buffer bytes(EmptyMemberBytes(profile));
    EncodeEmptyMember(profile, kEofPayload, bytes);
    for (size_t i = 0; i < bytes.size(); ++i) {
      Buffer changed = bytes;
      changed[i] ^= std::byte{1};
      const bool is_payload = i >= kPayloadOffset && i < kPayloadOffset + kPayloadBytes;
      EXPECT_EQ(ParseEmptyMember(profile, changed).has_value(), is_payload) << i;
      EXPECT_FALSE(ParseEmptyMember(profile, std::span(bytes).first(i)));
    }
    EXPECT_FALSE(ParseEmptyMember(
        profile == Profile::kBgzf ? Profile::kLarge : Profile::kBgzf, bytes));
  }
}

TEST(MemberHeader, OurShapesParseBack) {
  for (uint64_t member_bytes : {28, 29, 1000, 65535, 65536}) {
    Buffer bytes(kBgzfHeaderBytes);
    EncodeMemberHeader(Profile::kBgzf, member_bytes, bytes);
    const auto header = ParseMemberHeader(bytes);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->profile, Profile::kBgzf);
    EXPECT_EQ(header->member_bytes, member_bytes);
    EXPECT_EQ(header->header_bytes, kBgzfHeaderBytes);
    EXPECT_EQ(header->payload, kEofPayload);
    EXPECT_TRUE(header->is_exact_shape);
    EXPECT_EQ(header->HasEmptyLength(), member_bytes == 28);
  }
  for (uint64_t member_bytes : {30ull, 65536ull, 4194304ull, 0xffffffffull + 28}) {
    Buffer bytes(kLargeHeaderBytes);
    EncodeMemberHeader(Profile::kLarge, member_bytes, bytes);
    const auto header = ParseMemberHeader(bytes);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->profile, Profile::kLarge);
    EXPECT_EQ(header->member_bytes, member_bytes);
    EXPECT_TRUE(header->is_exact_shape);
  }
}

TEST(MemberHeader, EveryCombinationOfOptionalFieldsIsSkipped) {
  for (unsigned mask = 0; mask < 32; ++mask) {
    ForeignOptions options{.mtime = 0x01020304};
    options.is_text = (mask & 1) != 0;
    options.has_header_crc = (mask & 2) != 0;
    if (mask & 4) options.extra = Buffer(300, std::byte{1});
    if (mask & 8) options.name = "a file's name.txt";
    if (mask & 16) options.comment = "";
    const Buffer bytes = test::MakeHeader(options);
    const auto header = ParseMemberHeader(bytes);
    ASSERT_TRUE(header) << mask;
    EXPECT_EQ(header->header_bytes, bytes.size()) << mask;
    EXPECT_FALSE(header->profile) << mask;
    EXPECT_FALSE(header->is_exact_shape) << mask;
    EXPECT_EQ(header->payload[0], std::byte{4});
    EXPECT_EQ(header->payload[5], std::byte{3});
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_EQ(ParseMemberHeader(std::span(bytes).first(length)).error(), DataError::kTruncated)
          << mask << " " << length;
    }
  }
}

TEST(MemberHeader, LengthIsFoundAmongOtherSubfields) {
  const Buffer other = Subfield("RA", "0001020304");
  const Buffer bgzf = Subfield("BC", "ff03");
  for (const Buffer& extra : {Join({other, bgzf}), Join({bgzf, other}), Join({other, bgzf, other}),
                              Join({Subfield("XX", ""), bgzf})}) {
    const auto header = ParseMemberHeader(test::MakeHeader({.extra = extra, .name = "x"}));
    ASSERT_TRUE(header);
    EXPECT_EQ(header->profile, Profile::kBgzf);
    EXPECT_EQ(header->member_bytes, 1024u);
    EXPECT_FALSE(header->is_exact_shape);
  }
  const Buffer with_mz = test::MakeHeader({.extra = Join({other, Subfield("MZ", "00010000")})});
  const auto header = ParseMemberHeader(with_mz);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->profile, Profile::kLarge);
  EXPECT_EQ(header->member_bytes, with_mz.size() + 256 + 8);
}

TEST(MemberHeader, SubfieldsOfOtherLengthsOrKindsGiveNone) {
  for (const Buffer& extra :
       {Subfield("BC", "ff"), Subfield("BC", "ff0300"), Subfield("MZ", "ff03"),
        Subfield("CB", "ff03"), Buffer(3), test::FromHex("42430900ff03"), Buffer{}}) {
    const auto header = ParseMemberHeader(test::MakeHeader({.extra = extra}));
    ASSERT_TRUE(header);
    EXPECT_FALSE(header->profile);
    EXPECT_EQ(header->member_bytes, 0u);
  }
}

TEST(MemberHeader, LengthBelowTheLeastMemberIsBad) {
  // Header 18, deflate 2, trailer 8: BSIZE of 27 is the least.
  EXPECT_TRUE(ParseMemberHeader(test::MakeHeader({.extra = Subfield("BC", "1b00")})));
  EXPECT_EQ(ParseMemberHeader(test::MakeHeader({.extra = Subfield("BC", "1a00")})).error(),
            DataError::kBadHeader);
  EXPECT_TRUE(ParseMemberHeader(test::MakeHeader({.extra = Subfield("MZ", "02000000")})));
  EXPECT_EQ(ParseMemberHeader(test::MakeHeader({.extra = Subfield("MZ", "01000000")})).error(),
            DataError::kBadHeader);
}

TEST(MemberHeader, SubfieldsThatContradictEachOtherAreBad) {
  // Header: 12 + 6 + 8 bytes; a payload of 2 makes a member of 36.
  const Buffer agreeing = Join({Subfield("BC", "2300"), Subfield("MZ", "02000000")});
  EXPECT_TRUE(ParseMemberHeader(test::MakeHeader({.extra = agreeing})));
  const Buffer contrary = Join({Subfield("BC", "2300"), Subfield("MZ", "03000000")});
  EXPECT_EQ(ParseMemberHeader(test::MakeHeader({.extra = contrary})).error(),
            DataError::kBadHeader);
}

TEST(MemberHeader, WrongMagicMethodFlagsAndHeaderCrcAreTold) {
  const Buffer good = test::MakeHeader({.name = "n", .has_header_crc = true});
  auto changed = [&](size_t position, unsigned value) {
    Buffer bytes = good;
    bytes[position] = static_cast<std::byte>(value);
    return ParseMemberHeader(bytes).error();
  };
  ASSERT_TRUE(ParseMemberHeader(good));
  EXPECT_EQ(changed(0, 0), DataError::kNotGzip);
  EXPECT_EQ(changed(1, 0), DataError::kNotGzip);
  EXPECT_EQ(changed(2, 7), DataError::kBadHeader);
  for (unsigned reserved : {0x20u, 0x40u, 0x80u})
    EXPECT_EQ(changed(3, reserved | 0x0a), DataError::kBadHeader);
  EXPECT_EQ(changed(10, 'm'), DataError::kBadHeader);
  EXPECT_EQ(changed(12, 0x55), DataError::kBadHeader);
}

TEST(MemberHeader, FirstBytesAloneTellWhatIsNoGzip) {
  EXPECT_EQ(ParseMemberHeader({}).error(), DataError::kTruncated);
  EXPECT_EQ(ParseMemberHeader(test::FromHex("00")).error(), DataError::kNotGzip);
  EXPECT_EQ(ParseMemberHeader(test::FromHex("1f")).error(), DataError::kTruncated);
  EXPECT_EQ(ParseMemberHeader(test::FromHex("1f00")).error(), DataError::kNotGzip);
  EXPECT_EQ(ParseMemberHeader(test::FromHex("1f8b00")).error(), DataError::kBadHeader);
}

TEST(MemberTrailer, IsLittleEndian) {
  std::array<std::byte, kTrailerBytes> bytes;
  EncodeTrailer({.crc32 = 0x04030201, .plain_bytes = 0x08070605}, bytes);
  EXPECT_EQ(Buffer(bytes.begin(), bytes.end()), test::FromHex("0102030405060708"));
  EXPECT_EQ(ParseTrailer(bytes).crc32, 0x04030201u);
  EXPECT_EQ(ParseTrailer(bytes).plain_bytes, 0x08070605u);
}

}  // namespace
}  // namespace gzipfs
