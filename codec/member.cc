// Blocks are compressed into a scratch buffer of the thread and copied out at
// their final size: no clearing and no slack in what is queued for writing.
#include "codec/member.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <memory>
#include <mutex>

#include "codec/base/endian.h"
#include "codec/member_header.h"

namespace gzipfs {
namespace {

using Bytes = std::span<const std::byte>;

// A stored deflate block (RFC 1951 section 3.2.4): three bits and padding,
// LEN, NLEN, then the bytes.
constexpr size_t kStoredHeaderBytes = 5;
constexpr size_t kStoredMaxBytes = 65535;
// Compressors want some room behind the end of what they write.
constexpr size_t kCompressorSlackBytes = 64;
// A BGZF block too large to be stored in one member is cut here.
constexpr size_t kStoredHalfBytes = kBgzfBlockBytes / 2;

constexpr size_t FrameBytes(Profile profile) { return HeaderBytes(profile) + kTrailerBytes; }

constexpr uint64_t StoredMemberBytes(Profile profile, uint64_t plain_bytes) {
  const uint64_t stored_blocks = (plain_bytes + kStoredMaxBytes - 1) / kStoredMaxBytes;
  return FrameBytes(profile) + plain_bytes + stored_blocks * kStoredHeaderBytes;
}

constexpr uint64_t MaxMemberBytes(Profile profile) {
  return profile == Profile::kBgzf ? kBgzfMaxMemberBytes
                                   : StoredMemberBytes(Profile::kLarge, kMaxLargeBlockBytes);
}

constexpr uint64_t MaxBlockBytes(Profile profile) {
  return profile == Profile::kBgzf ? kBgzfBlockBytes : kMaxLargeBlockBytes;
}

// This thread's buffer, at least so long; its content is lost at the next call.
std::span<std::byte> ThreadScratch(size_t byte_count) {
  thread_local std::unique_ptr<std::byte[]> scratch;
  thread_local size_t scratch_bytes = 0;
  if (scratch_bytes < byte_count) {
    scratch = std::make_unique_for_overwrite<std::byte[]>(byte_count);
    scratch_bytes = byte_count;
  }
  return {scratch.get(), byte_count};
}

// Puts header and trailer around a deflate stream that stands in its place.
void FrameMember(Profile profile, Bytes plain, std::span<std::byte> member) {
  EncodeMemberHeader(profile, member.size(), member);
  EncodeTrailer({.crc32 = Crc32(0, plain), .plain_bytes = static_cast<uint32_t>(plain.size())},
                member.last<kTrailerBytes>());
}

// Appends a member that holds `plain` as it is.
void AppendStoredMember(Profile profile, Bytes plain, EncodedBlock* block) {
  const size_t start = block->bytes.size();
  const size_t member_bytes = StoredMemberBytes(profile, plain.size());
  block->bytes.resize(start + member_bytes);
  const std::span<std::byte> member = std::span(block->bytes).subspan(start);
  std::byte* to = &member[HeaderBytes(profile)];
  for (Bytes rest = plain; !rest.empty();) {
    const Bytes piece = rest.first(std::min(rest.size(), kStoredMaxBytes));
    rest = rest.subspan(piece.size());
    to[0] = static_cast<std::byte>(rest.empty());  // BFINAL; BTYPE 00
    StoreLe16(to + 1, piece.size());
    StoreLe16(to + 3, ~piece.size());
    std::memcpy(to + kStoredHeaderBytes, piece.data(), piece.size());
    to += kStoredHeaderBytes + piece.size();
  }
  FrameMember(profile, plain, member);
  block->members.push_back({.plain_bytes = static_cast<uint32_t>(plain.size()),
                            .member_bytes = static_cast<uint32_t>(member_bytes)});
}

EncodedBlock StoreBlock(Profile profile, Bytes plain) {
  EncodedBlock block;
  block.bytes.reserve(MaxEncodedBytes(profile, plain.size()));
  if (StoredMemberBytes(profile, plain.size()) > MaxMemberBytes(profile)) {
    AppendStoredMember(profile, plain.first(kStoredHalfBytes), &block);
    plain = plain.subspan(kStoredHalfBytes);
  }
  AppendStoredMember(profile, plain, &block);
  return block;
}

EncodedBlock EncodeWith(Compressor& compressor, Profile profile, Bytes plain) {
  const size_t header_bytes = HeaderBytes(profile);
  const size_t limit_bytes =
      std::min(MaxMemberBytes(profile), MaxEncodedBytes(profile, plain.size()) - 1);
  const std::span<std::byte> scratch = ThreadScratch(limit_bytes + kCompressorSlackBytes);
  const size_t deflate_bytes = compressor.Deflate(
      plain, scratch.subspan(header_bytes, scratch.size() - FrameBytes(profile)));
  const size_t member_bytes = FrameBytes(profile) + deflate_bytes;
  if (deflate_bytes == 0 || member_bytes > limit_bytes) return StoreBlock(profile, plain);
  const std::span<std::byte> member = scratch.first(member_bytes);
  FrameMember(profile, plain, member);
  return {.bytes = {member.begin(), member.end()},
          .members = {{.plain_bytes = static_cast<uint32_t>(plain.size()),
                       .member_bytes = static_cast<uint32_t>(member_bytes)}}};
}

// A block of one of the sizes a store can have.
bool IsFullBlock(Profile profile, size_t plain_bytes) {
  if (profile == Profile::kBgzf) return plain_bytes == kBgzfBlockBytes;
  return std::has_single_bit(plain_bytes) && plain_bytes >= kMinLargeBlockBytes &&
         plain_bytes <= kMaxLargeBlockBytes;
}

// Compares the block with itself, shifted: it differs early if at all in most
// data, and memcmp is as fast as memory in the rest.
bool IsZero(Bytes plain) {
  return plain[0] == std::byte{0} &&
         std::memcmp(plain.data(), plain.data() + 1, plain.size() - 1) == 0;
}

// The encoded full block of zeros, made at first use. REQUIRES: IsFullBlock.
const EncodedBlock& ZeroBlock(Profile profile, size_t plain_bytes) {
  struct Entry {
    std::once_flag made;
    EncodedBlock block;
  };
  constexpr int kLargeSizes = std::countr_zero(kMaxLargeBlockBytes / kMinLargeBlockBytes) + 1;
  static std::array<Entry, 1 + kLargeSizes> entries;  // BGZF, then by size
  const int large_index = 1 + std::countr_zero(plain_bytes / kMinLargeBlockBytes);
  Entry& entry = entries[profile == Profile::kBgzf ? 0 : static_cast<size_t>(large_index)];
  std::call_once(entry.made, [&] {
    const std::vector<std::byte> zeros(plain_bytes);
    entry.block = EncodeWith(*MakeCompressor(kDefaultLevel), profile, zeros);
  });
  return entry.block;
}

}  // namespace

EncodedBlock EncodeBlock(Profile profile, int level, std::span<const std::byte> plain) {
  assert(!plain.empty() && plain.size() <= MaxBlockBytes(profile));
  if (IsFullBlock(profile, plain.size()) && IsZero(plain))
    return ZeroBlock(profile, plain.size());
  return EncodeWith(ThreadCompressor(level), profile, plain);
}

Result<void> DecodeMember(std::span<const std::byte> member, std::span<std::byte> plain) {
  const Result<MemberHeader> header = ParseMemberHeader(member);
  if (!header) return Fail(header.error());
  if (header->profile && header->member_bytes != member.size())
    return Fail(DataError::kBadHeader);
  if (member.size() < header->header_bytes + kTrailerBytes) return Fail(DataError::kTruncated);
  const MemberTrailer trailer = ParseTrailer(member.last(kTrailerBytes));
  if (trailer.plain_bytes != plain.size()) return Fail(DataError::kBadSize);
  const Bytes deflate =
      member.first(member.size() - kTrailerBytes).subspan(header->header_bytes);
  GZIPFS_TRY(ThreadDecompressor().Inflate(deflate, plain));
  if (Crc32(0, plain) != trailer.crc32) return Fail(DataError::kBadChecksum);
  return {};
}

Result<std::vector<std::byte>> DecodeBlock(const EncodedBlock& block) {
  uint64_t plain_bytes = 0;
  for (const EncodedMember& member : block.members) {
    plain_bytes += member.plain_bytes;
    if (plain_bytes > kMaxLargeBlockBytes) return Fail(DataError::kTooLarge);
  }
  std::vector<std::byte> plain(plain_bytes);
  std::span<std::byte> plain_rest(plain);
  std::span<const std::byte> member_rest(block.bytes);
  for (const EncodedMember& member : block.members) {
    if (member.member_bytes > member_rest.size()) return Fail(DataError::kTruncated);
    GZIPFS_TRY(DecodeMember(member_rest.first(member.member_bytes),
                            plain_rest.first(member.plain_bytes)));
    member_rest = member_rest.subspan(member.member_bytes);
    plain_rest = plain_rest.subspan(member.plain_bytes);
  }
  return plain;
}

uint64_t MaxEncodedBytes(Profile profile, uint64_t plain_bytes) {
  const uint64_t one_member = StoredMemberBytes(profile, plain_bytes);
  if (one_member <= MaxMemberBytes(profile)) return one_member;
  return StoredMemberBytes(profile, kStoredHalfBytes) +
         StoredMemberBytes(profile, plain_bytes - kStoredHalfBytes);
}

}  // namespace gzipfs
