// Encodes and parses member headers, trailers and empty members.
//
// Pure functions on spans: no I/O, no allocation, safe on any input. Every
// length that is returned has been checked against the bytes it came from or
// against the limits of codec/gzip_format.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "codec/base/result.h"
#include "codec/gzip_format.h"

namespace gzipfs {

// What a member header says (RFC 1952 section 2.3).
struct MemberHeader {
  size_t header_bytes = 0;              // up to the first byte of the deflate stream
  std::optional<Profile> profile;       // set when a BC or MZ subfield gives the length
  uint64_t member_bytes = 0;            // whole member; 0 when no subfield gives it
  Payload payload{};                    // MTIME, XFL, OS as they stand
  bool is_exact_shape = false;          // the header is byte for byte of our own shape

  // A member that holds no plain bytes and has the length of ours: a tail's
  // member or an end-of-file marker, provided that its deflate stream and
  // trailer say so too (ParseEmptyMember looks at those).
  bool HasEmptyLength() const {
    return profile && is_exact_shape && member_bytes == EmptyMemberBytes(*profile);
  }
};

// CRC32 and ISIZE, the last eight bytes of a member.
struct MemberTrailer {
  uint32_t crc32 = 0;
  uint32_t plain_bytes = 0;  // modulo 2^32
};

// The header at the start of `bytes`. kTruncated when `bytes` ends inside it,
// kNotGzip when the magic is not there, kBadHeader for an unknown method or
// flags, a wrong header CRC, or a subfield that contradicts itself. Extra
// fields, name, comment and header CRC are accepted and skipped.
Result<MemberHeader> ParseMemberHeader(std::span<const std::byte> bytes);

// Reads a trailer. REQUIRES: bytes.size() >= kTrailerBytes.
MemberTrailer ParseTrailer(std::span<const std::byte> bytes);
void EncodeTrailer(const MemberTrailer& trailer, std::span<std::byte, kTrailerBytes> out);

// Writes the header of a member of `member_bytes` in all, with MTIME 0, XFL 0,
// OS unknown. REQUIRES: out.size() >= HeaderBytes(profile), and a length the
// subfield can hold.
void EncodeMemberHeader(Profile profile, uint64_t member_bytes, std::span<std::byte> out);

// Writes an empty member that carries `payload`; returns its length,
// EmptyMemberBytes(profile). REQUIRES: out is at least that long.
size_t EncodeEmptyMember(Profile profile, const Payload& payload, std::span<std::byte> out);

// The payload of the end-of-file marker; with Profile::kBgzf the member is
// the 28 bytes SAMv1 section 4.1.2 prescribes.
inline constexpr Payload kEofPayload{std::byte{0}, std::byte{0}, std::byte{0},
                                     std::byte{0}, std::byte{0}, std::byte{0xff}};

// The payload of an empty member of our shape at the start of `bytes`, if
// exactly that stands there.
std::optional<Payload> ParseEmptyMember(Profile profile, std::span<const std::byte> bytes);

}  // namespace gzipfs
