// Plain data and gzip members for the codec's tests.
//
// Everything random comes from a seed that is given, so a failure repeats.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/endian.h"
#include "codec/base/byte_source.h"
#include "codec/codec.h"
#include "codec/gzip_format.h"
#include "codec/member.h"
#include "codec/member_header.h"

namespace gzipfs::test {

using Buffer = std::vector<std::byte>;

inline Buffer FromText(std::string_view text) {
  Buffer bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

inline Buffer FromHex(std::string_view hex) {
  Buffer bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

// Compresses to about a third.
inline Buffer TextLike(size_t byte_count, uint32_t seed = 1) {
  static constexpr std::string_view kWords[] = {
      "block ", "member ", "index\n", "{ return ",   "0x1f; ", "tail of the ",
      "}\n",    "log, ",   "size; ",  "checkpoint, ", "inode ", "uint64_t "};
  std::minstd_rand random(seed);
  Buffer bytes;
  bytes.reserve(byte_count + 32);
  while (bytes.size() < byte_count) {
    for (char c : kWords[random() % std::size(kWords)]) bytes.push_back(static_cast<std::byte>(c));
    bytes.push_back(static_cast<std::byte>('a' + random() % 26));
  }
  bytes.resize(byte_count);
  return bytes;
}

// Does not compress.
inline Buffer Noise(size_t byte_count, uint32_t seed = 1) {
  std::mt19937_64 random(seed);
  Buffer bytes(byte_count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

inline void Append(Buffer* to, std::span<const std::byte> bytes) {
  to->insert(to->end(), bytes.begin(), bytes.end());
}

// What a member that is not of our shape may have.
struct ForeignOptions {
  std::optional<Buffer> extra = std::nullopt;
  std::optional<std::string> name = std::nullopt;
  std::optional<std::string> comment = std::nullopt;
  bool has_header_crc = false;
  bool is_text = false;
  uint32_t mtime = 0;
};

inline Buffer MakeHeader(const ForeignOptions& options) {
  Buffer header(kMinHeaderBytes);
  header[0] = kGzipId1;
  header[1] = kGzipId2;
  header[2] = kMethodDeflate;
  if (options.is_text) header[3] |= kFlagText;
  if (options.has_header_crc) header[3] |= kFlagHeaderCrc;
  if (options.extra) header[3] |= kFlagExtra;
  if (options.name) header[3] |= kFlagName;
  if (options.comment) header[3] |= kFlagComment;
  StoreLe32(&header[4], options.mtime);
  header[9] = std::byte{3};
  if (options.extra) {
    header.resize(header.size() + 2);
    StoreLe16(&header[10], options.extra->size());
    Append(&header, *options.extra);
  }
  for (const auto* text : {&options.name, &options.comment}) {
    if (!*text) continue;
    Append(&header, FromText(**text));
    header.push_back(std::byte{0});
  }
  if (options.has_header_crc) {
    const uint32_t crc = backend::ZlibCrc32(0, header);
    header.resize(header.size() + 2);
    StoreLe16(&header[header.size() - 2], crc & 0xffff);
  }
  return header;
}

inline Buffer RawDeflate(std::span<const std::byte> plain, int level = 6) {
  Buffer out(plain.size() + plain.size() / 100 + 64);
  out.resize(backend::MakeZlibCompressor(level)->Deflate(plain, out));
  return out;
}

inline Buffer MakeTrailer(std::span<const std::byte> plain) {
  Buffer trailer(kTrailerBytes);
  StoreLe32(&trailer[0], backend::ZlibCrc32(0, plain));
  StoreLe32(&trailer[4], plain.size());
  return trailer;
}

// A member as gzip or others write it: no subfield unless `extra` has one.
inline Buffer MakeForeign(std::span<const std::byte> plain, const ForeignOptions& options = {}) {
  Buffer member = MakeHeader(options);
  Append(&member, RawDeflate(plain));
  Append(&member, MakeTrailer(plain));
  return member;
}

// What zlib's own gzip reader makes of a file, up to the member that it refuses.
struct Gunzipped {
  Buffer plain;
  bool is_all;
};
inline Gunzipped GunzipFront(std::span<const std::byte> file) {
  Buffer plain;
  size_t whole_bytes = 0;  // of members that ended
  Buffer piece(64 * 1024);
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) return {{}, false};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(file.data()));
  stream.avail_in = static_cast<uInt>(file.size());
  int status = Z_STREAM_END;
  while (status == Z_OK || (status == Z_STREAM_END && stream.avail_in > 0)) {
    if (status == Z_STREAM_END) inflateReset(&stream);
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = inflate(&stream, Z_NO_FLUSH);
    Append(&plain, std::span(piece).first(piece.size() - stream.avail_out));
    if (status == Z_STREAM_END) whole_bytes = plain.size();
  }
  inflateEnd(&stream);
  plain.resize(whole_bytes);
  return {std::move(plain), status == Z_STREAM_END};
}

// What zlib makes of all of `file`; nullopt if it refuses any of it.
inline std::optional<Buffer> GunzipAll(std::span<const std::byte> file) {
  Gunzipped all = GunzipFront(file);
  return all.is_all ? std::optional(std::move(all.plain)) : std::nullopt;
}

// Counts the reads that reach it; can be told to fail.
class CountingSource final : public ByteSource {
 public:
  explicit CountingSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    if (failure) return Fail(failure);
    ++reads;
    return bytes_.ReadAt(offset, out);
  }
  uint64_t Size() const override { return bytes_.Size(); }

  mutable int reads = 0;
  int failure = 0;

 private:
  SpanSource bytes_;
};

}  // namespace gzipfs::test
