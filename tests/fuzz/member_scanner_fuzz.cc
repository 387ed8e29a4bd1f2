// Walks arbitrary bytes as a file of members, decodes what the walk accepts,
// and compares it with zlib's own gzip reader.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/codec.h"
#include "codec/member.h"
#include "codec/member_scanner.h"

namespace gzipfs {
namespace {

using Buffer = std::vector<std::byte>;

constexpr size_t kMaxInputBytes = 256 * kKiB;
constexpr uint64_t kMaxDecodedBytes = 8 * kMiB;  // of one input: bombs are slow here

// The codec libraries are not instrumented: what they write behind a buffer
// shows in guard bytes.
constexpr size_t kGuardBytes = 512;
constexpr std::byte kGuard{0xa5};

void Require(bool condition) {
  if (!condition) std::abort();
}

bool IsGuardIntact(const Buffer& guarded) {
  return std::all_of(guarded.end() - kGuardBytes, guarded.end(),
                     [](std::byte byte) { return byte == kGuard; });
}

// What zlib makes of one member; false when it refuses it or if it is too big.
bool GunzipWithZlib(std::span<const std::byte> member, Buffer* plain) {
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) std::abort();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(member.data()));
  stream.avail_in = static_cast<uInt>(member.size());
  Buffer out(plain->size() + 1);
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  const bool is_whole = status == Z_STREAM_END && stream.avail_in == 0;
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  *plain = std::move(out);
  return is_whole;
}

// Decodes in small pieces; the sum of all must be what the walk said.
Buffer DecodeStream(const ByteSource& source, const MemberInfo& member) {
  MemberStream stream(source, member.file_offset, source.Size());
  Buffer plain;
  Buffer piece(777 + kGuardBytes, kGuard);
  while (!stream.at_end()) {
    const auto got = stream.Read(std::span(piece).first(777));
    Require(got.has_value() && IsGuardIntact(piece));
    plain.insert(plain.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(*got));
  }
  Require(plain.size() == member.plain_bytes && stream.plain_position() == plain.size());
  Require(stream.file_position() == member.file_end());
  Require(stream.crc32() == member.crc32 && Crc32(0, plain) == member.crc32);
  return plain;
}

// DecodeMember, with guard bytes behind the room for the plain bytes.
void CheckDecode(const ByteSource& source, std::span<const std::byte> file,
                 const MemberInfo& member) {
  const auto bytes = file.subspan(member.file_offset, member.member_bytes);
  const Buffer copy(bytes.begin(), bytes.end());
  Buffer plain(member.plain_bytes + kGuardBytes, kGuard);
  const auto decoded = DecodeMember(copy, std::span(plain).first(member.plain_bytes));
  Require(IsGuardIntact(plain));
  plain.resize(member.plain_bytes);
  if (!member.profile) Require(DecodeStream(source, member).size() == member.plain_bytes);
  Buffer reference(member.plain_bytes);
  const bool is_good = GunzipWithZlib(copy, &reference);
  if (is_good) Require(decoded.has_value() || !member.profile);
  if (is_good && decoded) Require(plain == reference);
  if (decoded) Require(Crc32(0, plain) == member.crc32);
  if (member.is_empty_shape) Require(decoded && is_good && plain.empty());
}

void CheckInfo(const MemberInfo& member, uint64_t position, uint64_t plain_position,
               uint64_t file_bytes) {
  Require(member.file_offset == position && member.plain_offset == plain_position);
  Require(member.file_end() <= file_bytes && member.plain_end() <= kMaxPlainBytes);
  Require(member.member_bytes >=
          member.header_bytes + kEmptyDeflate.size() + kTrailerBytes);
  if (member.profile == Profile::kBgzf) {
    Require(member.plain_bytes <= kBgzfBlockBytes && member.member_bytes <= kBgzfMaxMemberBytes);
  }
  if (member.profile == Profile::kLarge) Require(member.plain_bytes <= kMaxLargeBlockBytes);
  if (member.is_empty_shape) Require(member.profile && member.plain_bytes == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > kMaxInputBytes) return 0;
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const SpanSource source(file);
  MemberScanner scanner(source);
  for (;;) {
    const uint64_t position = scanner.position();
    const uint64_t plain_position = scanner.plain_position();
    const auto member = scanner.Next();
    if (!member) {
      Require(scanner.position() == position && scanner.plain_position() == plain_position);
      Require(scanner.Next().error() == member.error());
      break;
    }
    if (!*member) {
      Require(position == size);
      break;
    }
    CheckInfo(**member, position, plain_position, size);
    Require(scanner.position() == (*member)->file_end());
    Require(scanner.plain_position() == (*member)->plain_end());
    if ((*member)->plain_end() <= kMaxDecodedBytes) CheckDecode(source, file, **member);
  }
  return 0;
}

}  // namespace gzipfs
