// The header is parsed by our own parser in both cases: zlib does the rest.
#include "codec/reference_decoder.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "codec/codec.h"
#include "codec/member_header.h"

namespace gzipfs {
namespace {

constexpr size_t kPieceBytes = 64 * kKiB;
constexpr size_t kMostHeaderBytes = kMiB;  // as the scanner takes them

}  // namespace

Result<void> CheckByReference(std::span<const std::byte> member,
                              std::span<const std::byte> plain) {
  thread_local const std::unique_ptr<Decompressor> zlib = backend::MakeZlibDecompressor();
  thread_local std::vector<std::byte> again;
  const Result<MemberHeader> header = ParseMemberHeader(member);
  if (!header || member.size() < header->header_bytes + kTrailerBytes)
    return Fail(DataError::kDecodersDiffer);
  if (again.size() < plain.size()) again.resize(plain.size());
  const auto out = std::span(again).first(plain.size());
  const auto deflate = member.first(member.size() - kTrailerBytes).subspan(header->header_bytes);
  const bool is_same = zlib->Inflate(deflate, out).has_value() &&
                       std::equal(out.begin(), out.end(), plain.begin()) &&
                       backend::ZlibCrc32(0, out) ==
                           ParseTrailer(member.last(kTrailerBytes)).crc32;
  return is_same ? Result<void>() : Fail(DataError::kDecodersDiffer);
}

Result<void> CheckByReference(const ByteSource& source, uint64_t file_offset,
                              uint64_t member_bytes) {
  const auto differ = [] { return Fail(DataError::kDecodersDiffer); };
  const uint64_t end = file_offset + member_bytes;
  std::vector<std::byte> input(std::min<uint64_t>(member_bytes, kMostHeaderBytes));
  Result<size_t> count = source.ReadAt(file_offset, input);
  if (!count) return Fail(count.error());
  const Result<MemberHeader> header = ParseMemberHeader(std::span(input).first(*count));
  if (!header) return differ();
  const auto zlib = backend::MakeZlibStreamDecompressor();
  std::vector<std::byte> plain(kPieceBytes);
  input.resize(kPieceBytes);
  uint64_t at = file_offset + header->header_bytes;
  uint64_t plain_bytes = 0;
  uint32_t crc = 0;
  for (bool at_end = false; !at_end;) {
    count = source.ReadAt(at, std::span(input).first(std::min<uint64_t>(kPieceBytes, end - at)));
    if (!count) return Fail(count.error());
    const auto step = zlib->Inflate(std::span(input).first(*count), plain);
    if (!step) return differ();
    if (step->consumed == 0 && step->produced == 0 && !step->at_end) return differ();
    crc = backend::ZlibCrc32(crc, std::span(plain).first(step->produced));
    plain_bytes += step->produced;
    at += step->consumed - step->overrun;
    at_end = step->at_end;
  }
  std::byte trailer_bytes[kTrailerBytes];
  count = source.ReadAt(at, trailer_bytes);
  if (!count) return Fail(count.error());
  if (*count != kTrailerBytes || at + kTrailerBytes != end) return differ();
  const MemberTrailer trailer = ParseTrailer(trailer_bytes);
  const bool is_right = trailer.crc32 == crc &&
                        trailer.plain_bytes == static_cast<uint32_t>(plain_bytes);
  return is_right ? Result<void>() : differ();
}

}  // namespace gzipfs
