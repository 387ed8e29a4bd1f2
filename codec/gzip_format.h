// The numbers of the file format, in one place.
//
// Sources: RFC 1952 (gzip), RFC 1951 (deflate), SAMv1 section 4.1 (BGZF),
// MiGz's format note (the MZ subfield). codec/FORMAT.md puts them together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "codec/base/units.h"

namespace gzipfs {

// How the members of a file announce their length.
enum class Profile : uint8_t {
  kBgzf,   // BC subfield: 16-bit member length, at most 65,536 plain bytes a member
  kLarge,  // MZ subfield: 32-bit deflate payload length, larger blocks
};

// RFC 1952 section 2.3.
inline constexpr std::byte kGzipId1{0x1f};
inline constexpr std::byte kGzipId2{0x8b};
inline constexpr std::byte kMethodDeflate{8};
inline constexpr std::byte kFlagText{1};
inline constexpr std::byte kFlagHeaderCrc{2};
inline constexpr std::byte kFlagExtra{4};
inline constexpr std::byte kFlagName{8};
inline constexpr std::byte kFlagComment{16};
inline constexpr std::byte kFlagReserved{0xe0};
inline constexpr std::byte kOsUnknown{0xff};
inline constexpr size_t kMinHeaderBytes = 10;
inline constexpr size_t kTrailerBytes = 8;  // CRC32, ISIZE

// Our two header shapes. Readers want exactly these: htslib and rapidgzip
// XLEN == 6 for BC, MiGz and mgzip XLEN == 8 for MZ.
inline constexpr size_t kBgzfHeaderBytes = 18;
inline constexpr size_t kLargeHeaderBytes = 20;

// The header bytes that no reader of BGZF looks at: MTIME, XFL, OS. Empty
// members carry 48 bits of tail there.
inline constexpr size_t kPayloadOffset = 4;
inline constexpr size_t kPayloadBytes = 6;
using Payload = std::array<std::byte, kPayloadBytes>;

// An empty deflate stream: one final fixed block with no symbol (RFC 1951 3.2.6).
inline constexpr std::array<std::byte, 2> kEmptyDeflate{std::byte{0x03}, std::byte{0x00}};

// Limits.
inline constexpr uint64_t kBgzfBlockBytes = 64 * kKiB;       // plain bytes of a full BGZF block
inline constexpr uint64_t kBgzfMaxMemberBytes = 64 * kKiB;   // BSIZE is 16 bits, minus one
inline constexpr uint64_t kMinLargeBlockBytes = 128 * kKiB;
inline constexpr uint64_t kMaxLargeBlockBytes = 4 * kMiB;
inline constexpr uint64_t kMaxPlainBytes = (uint64_t{1} << 48) - 1;  // of one file

// A group: the members one index entry describes. Its plain and its stored
// size are 24 bits each, and a walk inside it passes at most so many headers.
inline constexpr uint64_t kGroupMaxMembers = 32;
inline constexpr uint64_t kGroupMaxBytes = (uint64_t{1} << 24) - 1;

inline constexpr size_t HeaderBytes(Profile profile) {
  return profile == Profile::kBgzf ? kBgzfHeaderBytes : kLargeHeaderBytes;
}
inline constexpr size_t EmptyMemberBytes(Profile profile) {
  return HeaderBytes(profile) + kEmptyDeflate.size() + kTrailerBytes;
}

}  // namespace gzipfs
