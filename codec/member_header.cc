// Parsing accepts what RFC 1952 allows; encoding writes our two shapes only.
#include "codec/member_header.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "codec/base/endian.h"
#include "codec/codec.h"

namespace gzipfs {
namespace {

using Bytes = std::span<const std::byte>;

// Offsets in a member header; those behind kExtraLengthOffset hold with FEXTRA.
constexpr size_t kMethodOffset = 2;
constexpr size_t kFlagsOffset = 3;
constexpr size_t kExtraLengthOffset = 10;
constexpr size_t kExtraOffset = 12;
constexpr size_t kSubfieldHeaderBytes = 4;  // SI1, SI2, SLEN
constexpr size_t kHeaderCrcBytes = 2;

// A subfield that gives a length.
struct LengthSubfield {
  std::byte id1;
  std::byte id2;
  size_t value_bytes;
};
constexpr LengthSubfield kBcSubfield{std::byte{'B'}, std::byte{'C'}, 2};
constexpr LengthSubfield kMzSubfield{std::byte{'M'}, std::byte{'Z'}, 4};

constexpr const LengthSubfield& SubfieldOf(Profile profile) {
  return profile == Profile::kBgzf ? kBcSubfield : kMzSubfield;
}

bool HasFlag(std::byte flags, std::byte flag) { return (flags & flag) != std::byte{}; }

// The ten fixed bytes; as many of them as there are.
Result<void> CheckFixedPart(Bytes bytes) {
  if (!bytes.empty() && bytes[0] != kGzipId1) return Fail(DataError::kNotGzip);
  if (bytes.size() > 1 && bytes[1] != kGzipId2) return Fail(DataError::kNotGzip);
  if (bytes.size() > kMethodOffset && bytes[kMethodOffset] != kMethodDeflate)
    return Fail(DataError::kBadHeader);
  if (bytes.size() > kFlagsOffset && HasFlag(bytes[kFlagsOffset], kFlagReserved))
    return Fail(DataError::kBadHeader);
  if (bytes.size() < kMinHeaderBytes) return Fail(DataError::kTruncated);
  return {};
}

// The value of the first subfield of that kind in the extra field, if any.
// What does not divide into subfields is passed over, as gzip does.
std::optional<uint64_t> FindSubfield(Bytes extra, const LengthSubfield& wanted) {
  while (extra.size() >= kSubfieldHeaderBytes) {
    const size_t value_bytes = LoadLe16(&extra[2]);
    if (value_bytes > extra.size() - kSubfieldHeaderBytes) break;
    if (extra[0] == wanted.id1 && extra[1] == wanted.id2 && value_bytes == wanted.value_bytes)
      return LoadLittle(&extra[kSubfieldHeaderBytes], static_cast<int>(value_bytes));
    extra = extra.subspan(kSubfieldHeaderBytes + value_bytes);
  }
  return std::nullopt;
}

// Moves `*position` behind a zero-terminated text.
Result<void> SkipText(Bytes bytes, size_t* position) {
  const auto end = std::find(bytes.begin() + *position, bytes.end(), std::byte{0});
  if (end == bytes.end()) return Fail(DataError::kTruncated);
  *position = static_cast<size_t>(end - bytes.begin()) + 1;
  return {};
}

// Moves `*position` behind everything optional that follows the extra field.
Result<void> SkipRest(Bytes bytes, std::byte flags, size_t* position) {
  if (HasFlag(flags, kFlagName)) GZIPFS_TRY(SkipText(bytes, position));
  if (HasFlag(flags, kFlagComment)) GZIPFS_TRY(SkipText(bytes, position));
  if (!HasFlag(flags, kFlagHeaderCrc)) return {};
  if (bytes.size() - *position < kHeaderCrcBytes) return Fail(DataError::kTruncated);
  const uint32_t crc = Crc32(0, bytes.first(*position));
  if (LoadLe16(&bytes[*position]) != (crc & 0xffff)) return Fail(DataError::kBadHeader);
  *position += kHeaderCrcBytes;
  return {};
}

// Takes the member's length from the extra field. REQUIRES: header_bytes is set.
Result<void> SetLength(Bytes extra, MemberHeader* header) {
  const std::optional<uint64_t> bgzf_value = FindSubfield(extra, kBcSubfield);
  const std::optional<uint64_t> large_value = FindSubfield(extra, kMzSubfield);
  if (!bgzf_value && !large_value) return {};
  // BC: whole member minus one. MZ: the deflate stream alone.
  const uint64_t bgzf_bytes = bgzf_value.value_or(0) + 1;
  const uint64_t large_bytes = header->header_bytes + large_value.value_or(0) + kTrailerBytes;
  if (bgzf_value && large_value && bgzf_bytes != large_bytes) return Fail(DataError::kBadHeader);
  header->profile = bgzf_value ? Profile::kBgzf : Profile::kLarge;
  header->member_bytes = bgzf_value ? bgzf_bytes : large_bytes;
  if (header->member_bytes < header->header_bytes + kEmptyDeflate.size() + kTrailerBytes)
    return Fail(DataError::kBadHeader);
  return {};
}

}  // namespace

Result<MemberHeader> ParseMemberHeader(std::span<const std::byte> bytes) {
  GZIPFS_TRY(CheckFixedPart(bytes));
  const std::byte flags = bytes[kFlagsOffset];
  MemberHeader header;
  std::copy_n(&bytes[kPayloadOffset], kPayloadBytes, header.payload.begin());
  Bytes extra;
  size_t position = kMinHeaderBytes;
  if (HasFlag(flags, kFlagExtra)) {
    if (bytes.size() < kExtraOffset) return Fail(DataError::kTruncated);
    const size_t extra_bytes = LoadLe16(&bytes[kExtraLengthOffset]);
    if (bytes.size() - kExtraOffset < extra_bytes) return Fail(DataError::kTruncated);
    extra = bytes.subspan(kExtraOffset, extra_bytes);
    position = kExtraOffset + extra_bytes;
  }
  GZIPFS_TRY(SkipRest(bytes, flags, &position));
  header.header_bytes = position;
  GZIPFS_TRY(SetLength(extra, &header));
  // With no other flag, a length this short leaves room for the one subfield.
  header.is_exact_shape =
      header.profile && flags == kFlagExtra && position == HeaderBytes(*header.profile);
  return header;
}

MemberTrailer ParseTrailer(std::span<const std::byte> bytes) {
  assert(bytes.size() >= kTrailerBytes);
  return {.crc32 = LoadLe32(bytes.data()), .plain_bytes = LoadLe32(bytes.data() + 4)};
}

void EncodeTrailer(const MemberTrailer& trailer, std::span<std::byte, kTrailerBytes> out) {
  StoreLe32(out.data(), trailer.crc32);
  StoreLe32(out.data() + 4, trailer.plain_bytes);
}

void EncodeMemberHeader(Profile profile, uint64_t member_bytes, std::span<std::byte> out) {
  const LengthSubfield& subfield = SubfieldOf(profile);
  const size_t header_bytes = HeaderBytes(profile);
  assert(out.size() >= header_bytes);
  assert(member_bytes >= EmptyMemberBytes(profile));
  const uint64_t value = profile == Profile::kBgzf ? member_bytes - 1
                                                   : member_bytes - header_bytes - kTrailerBytes;
  assert(value >> (8 * subfield.value_bytes) == 0);
  std::fill_n(out.begin(), header_bytes, std::byte{0});
  out[0] = kGzipId1;
  out[1] = kGzipId2;
  out[kMethodOffset] = kMethodDeflate;
  out[kFlagsOffset] = kFlagExtra;
  out[kPayloadOffset + kPayloadBytes - 1] = kOsUnknown;
  StoreLe16(&out[kExtraLengthOffset], kSubfieldHeaderBytes + subfield.value_bytes);
  out[kExtraOffset] = subfield.id1;
  out[kExtraOffset + 1] = subfield.id2;
  StoreLe16(&out[kExtraOffset + 2], subfield.value_bytes);
  StoreLittle(&out[kExtraOffset + kSubfieldHeaderBytes], value,
              static_cast<int>(subfield.value_bytes));
}

size_t EncodeEmptyMember(Profile profile, const Payload& payload, std::span<std::byte> out) {
  const size_t member_bytes = EmptyMemberBytes(profile);
  assert(out.size() >= member_bytes);
  EncodeMemberHeader(profile, member_bytes, out);
  std::copy(payload.begin(), payload.end(), out.begin() + kPayloadOffset);
  const auto deflate = out.begin() + static_cast<ptrdiff_t>(HeaderBytes(profile));
  const auto trailer = std::copy(kEmptyDeflate.begin(), kEmptyDeflate.end(), deflate);
  std::fill_n(trailer, kTrailerBytes, std::byte{0});
  return member_bytes;
}

std::optional<Payload> ParseEmptyMember(Profile profile, std::span<const std::byte> bytes) {
  const size_t member_bytes = EmptyMemberBytes(profile);
  if (bytes.size() < member_bytes) return std::nullopt;
  Payload payload;
  std::copy_n(&bytes[kPayloadOffset], kPayloadBytes, payload.begin());
  std::array<std::byte, EmptyMemberBytes(Profile::kLarge)> expected;
  EncodeEmptyMember(profile, payload, expected);
  if (std::memcmp(bytes.data(), expected.data(), member_bytes) != 0) return std::nullopt;
  return payload;
}

}  // namespace gzipfs
