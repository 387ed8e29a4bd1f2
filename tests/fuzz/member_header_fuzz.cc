// Feeds arbitrary bytes to the header parser and holds what it promises.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "codec/member_header.h"

namespace gzipfs {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

// A heap copy of exactly that size, so that a read behind it is caught.
Result<MemberHeader> ParseCopy(std::span<const std::byte> bytes) {
  const std::vector<std::byte> copy(bytes.begin(), bytes.end());
  return ParseMemberHeader(copy);
}

void CheckAccepted(std::span<const std::byte> bytes, const MemberHeader& header) {
  Require(header.header_bytes >= kMinHeaderBytes && header.header_bytes <= bytes.size());
  Require(std::equal(header.payload.begin(), header.payload.end(), &bytes[kPayloadOffset]));
  Require(header.profile.has_value() == (header.member_bytes != 0));
  if (header.profile) {
    Require(header.member_bytes >=
            header.header_bytes + kEmptyDeflate.size() + kTrailerBytes);
    if (*header.profile == Profile::kBgzf) Require(header.member_bytes <= kBgzfMaxMemberBytes);
  }
  // Nothing behind the header matters, and nothing less is enough.
  const auto exact = ParseCopy(bytes.first(header.header_bytes));
  Require(exact && exact->header_bytes == header.header_bytes &&
          exact->member_bytes == header.member_bytes && exact->profile == header.profile);
  const auto shorter = ParseCopy(bytes.first(header.header_bytes - 1));
  Require(!shorter && shorter.error() == DataError::kTruncated);
}

// An exact shape is what EncodeMemberHeader writes, but for the payload.
void CheckExactShape(std::span<const std::byte> bytes, const MemberHeader& header) {
  Require(header.profile && header.header_bytes == HeaderBytes(*header.profile));
  if (header.member_bytes < EmptyMemberBytes(*header.profile)) std::abort();
  std::vector<std::byte> encoded(header.header_bytes);
  EncodeMemberHeader(*header.profile, header.member_bytes, encoded);
  std::copy(header.payload.begin(), header.payload.end(), &encoded[kPayloadOffset]);
  Require(std::equal(encoded.begin(), encoded.end(), bytes.begin()));
}

void CheckEmptyMember(Profile profile, std::span<const std::byte> bytes) {
  const auto payload = ParseEmptyMember(profile, bytes);
  if (!payload) return;
  std::vector<std::byte> encoded(EmptyMemberBytes(profile));
  Require(EncodeEmptyMember(profile, *payload, encoded) == encoded.size());
  Require(encoded.size() <= bytes.size());
  Require(std::equal(encoded.begin(), encoded.end(), bytes.begin()));
  const auto header = ParseMemberHeader(bytes);
  Require(header && header->HasEmptyLength() && header->profile == profile);
  Require(header->payload == *payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto header = ParseCopy(bytes);
  if (header) {
    CheckAccepted(bytes, *header);
    if (header->is_exact_shape) CheckExactShape(bytes, *header);
  } else {
    const auto code = header.error();
    Require(code == DataError::kTruncated || code == DataError::kNotGzip ||
            code == DataError::kBadHeader);
  }
  CheckEmptyMember(Profile::kBgzf, bytes);
  CheckEmptyMember(Profile::kLarge, bytes);
  return 0;
}

}  // namespace gzipfs
