// The rest is read once, a piece at a time, and searched for member headers.
#include "fs/store/base_rest.h"

#include <algorithm>
#include <vector>

#include "codec/base/units.h"

namespace gzipfs {
namespace {

// What a search through the rest finds.
struct Findings {
  bool has_members = false;
  bool is_zeros = true;
};

// True when the rest is what a member of ours begins with, or a part of that.
Result<bool> BeginsLikeOurs(const ByteSource& file, uint64_t offset) {
  std::byte begin[kLargeHeaderBytes];
  Result<size_t> count = file.ReadAt(offset, begin);
  if (!count) return Fail(count.error());
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    std::byte ours[kLargeHeaderBytes];
    EncodeMemberHeader(profile, EmptyMemberBytes(profile), ours);
    constexpr size_t kLengthBytes[] = {2, 4};  // at the end of the header, of any value
    const size_t fixed_end =
        HeaderBytes(profile) - kLengthBytes[profile == Profile::kBgzf ? 0 : 1];
    bool is_same = true;
    for (size_t i = 0; i < std::min(*count, fixed_end); ++i) {
      const bool is_payload = i >= kPayloadOffset && i < kPayloadOffset + kPayloadBytes;
      is_same = is_same && (is_payload || begin[i] == ours[i]);
    }
    if (is_same) return true;
  }
  return false;
}

// True when a member that says its length, and has plain bytes, stands at
// `offset`, as far as header and trailer tell. Decodes nothing: a file may be
// made so that every few bytes look like the start of a long member.
Result<bool> IsHoppableMember(const ByteSource& file, uint64_t offset) {
  std::byte begin[kLargeHeaderBytes];
  Result<size_t> count = file.ReadAt(offset, begin);
  if (!count) return Fail(count.error());
  Result<MemberHeader> header = ParseMemberHeader(std::span(begin).first(*count));
  if (!header || !header->profile || header->member_bytes > file.Size() - offset) return false;
  std::byte end[kTrailerBytes];
  count = file.ReadAt(offset + header->member_bytes - kTrailerBytes, end);
  if (!count) return Fail(count.error());
  const uint64_t limit =
      *header->profile == Profile::kBgzf ? kBgzfBlockBytes : kMaxLargeBlockBytes;
  const uint64_t plain_bytes = *count == kTrailerBytes ? ParseTrailer(end).plain_bytes : 0;
  return plain_bytes > 0 && plain_bytes <= limit;
}

Result<Findings> SearchRest(const ByteSource& file, uint64_t offset) {
  constexpr std::byte kSignature[] = {kGzipId1, kGzipId2, kMethodDeflate, kFlagExtra};
  Findings findings;
  std::vector<std::byte> window(kMiB);
  for (uint64_t at = offset;;) {
    Result<size_t> count = file.ReadAt(at, window);
    if (!count) return Fail(count.error());
    const auto bytes = std::span(window).first(*count);
    findings.is_zeros = findings.is_zeros && std::all_of(bytes.begin(), bytes.end(), [](auto byte) {
                          return byte == std::byte{0};
                        });
    for (auto found = bytes.begin();; ++found) {
      found = std::search(found, bytes.end(), std::begin(kSignature), std::end(kSignature));
      if (found == bytes.end()) break;
      const uint64_t begin = at + static_cast<uint64_t>(found - bytes.begin());
      if (begin == offset) continue;  // the one that cannot be read
      Result<bool> is_member = IsHoppableMember(file, begin);
      if (!is_member) return Fail(is_member.error());
      findings.has_members = *is_member;
      if (findings.has_members) return findings;
    }
    if (*count < window.size()) return findings;
    at += *count - sizeof(kSignature) + 1;
  }
}

}  // namespace

Result<bool> HasMembersBehind(const ByteSource& file, uint64_t offset) {
  const Result<Findings> findings = SearchRest(file, offset);
  return findings ? Result<bool>(findings->has_members) : Fail(findings.error());
}

Result<BaseRest> ClassifyRest(const ByteSource& file, uint64_t valid_bytes, std::error_code why,
                              bool is_conforming) {
  if (!why) return BaseRest::kNone;
  Result<Findings> findings = SearchRest(file, valid_bytes);
  if (!findings) return Fail(findings.error());
  if (findings->has_members) return BaseRest::kDamaged;
  if (findings->is_zeros) return BaseRest::kTorn;
  if (why == make_error_code(DataError::kNotGzip)) {
    return valid_bytes > 0 ? BaseRest::kGarbage : BaseRest::kDamaged;
  }
  if (!is_conforming || why != make_error_code(DataError::kTruncated)) return BaseRest::kDamaged;
  Result<bool> is_ours = BeginsLikeOurs(file, valid_bytes);
  if (!is_ours) return Fail(is_ours.error());
  return *is_ours ? BaseRest::kTorn : BaseRest::kDamaged;
}

}  // namespace gzipfs
