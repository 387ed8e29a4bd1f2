// zlib behind the codec interfaces: the reference, always built in.
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

#include "codec/bits.h"
#include "codec/codec.h"

namespace gzipfs {
namespace {

constexpr int kRawDeflate = -MAX_WBITS;  // no zlib or gzip wrapper
constexpr int kMemoryLevel = 8;          // zlib's default
constexpr int kMaxZlibLevel = 9;
constexpr size_t kMaxPieceBytes = std::numeric_limits<uInt>::max();

// What inflate leaves in data_type (zlib.h): how many bits of the input it has
// taken it has not used, and where it stands.
constexpr int kUnusedBits = 63;
constexpr int kIsLastBlock = 64;
constexpr int kIsBlockEnd = 128;
constexpr int kIsHeaderEnd = 256;

// zlib does not write through next_in, but declares it without const.
Bytef* InputPointer(std::span<const std::byte> bytes) {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
}

class ZlibCompressor final : public Compressor {
 public:
  explicit ZlibCompressor(int level) {
    const int zlib_level = std::clamp(level, 1, kMaxZlibLevel);
    if (deflateInit2(&stream_, zlib_level, Z_DEFLATED, kRawDeflate, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~ZlibCompressor() override { deflateEnd(&stream_); }
  ZlibCompressor(const ZlibCompressor&) = delete;
  ZlibCompressor& operator=(const ZlibCompressor&) = delete;

  size_t Deflate(std::span<const std::byte> plain, std::span<std::byte> out) override {
    if (plain.size() > kMaxPieceBytes || out.empty()) return 0;
    deflateReset(&stream_);
    stream_.next_in = InputPointer(plain);
    stream_.avail_in = static_cast<uInt>(plain.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(std::min(out.size(), kMaxPieceBytes));
    const size_t room = stream_.avail_out;
    if (deflate(&stream_, Z_FINISH) != Z_STREAM_END) return 0;
    return room - stream_.avail_out;
  }

 private:
  z_stream stream_{};
};

// Owns an inflate state for raw deflate.
class InflateState {
 public:
  InflateState() {
    if (inflateInit2(&stream, kRawDeflate) != Z_OK) throw std::bad_alloc();
  }
  ~InflateState() { inflateEnd(&stream); }
  InflateState(const InflateState&) = delete;
  InflateState& operator=(const InflateState&) = delete;

  z_stream stream{};
};

class ZlibDecompressor final : public Decompressor {
 public:
  Result<void> Inflate(std::span<const std::byte> deflate, std::span<std::byte> plain) override {
    if (deflate.size() > kMaxPieceBytes || plain.size() > kMaxPieceBytes)
      return Fail(DataError::kTooLarge);
    if (deflate.empty()) return Fail(DataError::kBadDeflate);
    z_stream& stream = state_.stream;
    Bytef nowhere = 0;  // zlib refuses a null next_out even when there is no room
    inflateReset(&stream);
    stream.next_in = InputPointer(deflate);
    stream.avail_in = static_cast<uInt>(deflate.size());
    stream.next_out = plain.empty() ? &nowhere : reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(plain.size());
    const int status = inflate(&stream, Z_FINISH);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status == Z_BUF_ERROR && stream.avail_in > 0) return Fail(DataError::kBadSize);
    if (status != Z_STREAM_END) return Fail(DataError::kBadDeflate);
    if (stream.avail_in > 0 || stream.avail_out > 0) return Fail(DataError::kBadSize);
    return {};
  }

 private:
  InflateState state_;
};

class ZlibStreamDecompressor final : public TracingDecompressor {
 public:
  // `flush`: Z_NO_FLUSH, or Z_BLOCK to stop where blocks end.
  explicit ZlibStreamDecompressor(int flush) : flush_(flush) {}

  Result<Progress> Inflate(std::span<const std::byte> deflate,
                           std::span<std::byte> plain) override {
    z_stream& stream = state_.stream;
    const size_t input_bytes = std::min(deflate.size(), kMaxPieceBytes);
    const size_t room = std::min(plain.size(), kMaxPieceBytes);
    stream.next_in = InputPointer(deflate);
    stream.avail_in = static_cast<uInt>(input_bytes);
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(room);
    int status = Z_OK;
    do {
      status = inflate(&stream, flush_);
      // Where blocks end inside the bits that it has, it stops without having moved.
    } while (status == Z_BUF_ERROR && flush_ == Z_BLOCK && (stream.data_type & kIsBlockEnd) != 0 &&
             stream.avail_in == input_bytes && stream.avail_out == room);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      return Fail(DataError::kBadDeflate);
    consumed_ += input_bytes - stream.avail_in;
    return Progress{.consumed = input_bytes - stream.avail_in,
                    .produced = room - stream.avail_out,
                    .at_end = status == Z_STREAM_END};
  }

  Result<void> Resume(const DeflatePlace& place, std::byte first_byte,
                      std::span<const std::byte> window) override {
    z_stream& stream = state_.stream;
    if (!window.empty()) {
      inflateSetDictionary(&stream, InputPointer(window), static_cast<uInt>(window.size()));
    }
    if (place.header_bits > 0) GZIPFS_TRY(TakeHeader(place));
    const unsigned used_bits = place.bit % 8;
    if (used_bits == 0) return {};
    inflatePrime(&stream, static_cast<int>(8 - used_bits),
                 std::to_integer<int>(first_byte) >> used_bits);
    return {};
  }

  // At the ends of blocks only: between them zlib does not tell enough.
  std::optional<DeflatePlace> Place(bool) override {
    const int type = state_.stream.data_type;
    if ((type & kIsBlockEnd) == 0 || (type & kIsLastBlock) != 0) return std::nullopt;
    const auto unused_bits = static_cast<unsigned>(type & kUnusedBits);
    return DeflatePlace{.bit = consumed_ * 8 - unused_bits, .header_bits = 0, .header = {}};
  }

 private:
  // Bits in front of whole bytes, so that the header ends with the input.
  Result<void> TakeHeader(const DeflatePlace& place) {
    z_stream& stream = state_.stream;
    const unsigned front_bits = place.header_bits % 8;
    const std::vector<std::byte> bytes = ShiftBits(place.header, front_bits, place.header_bits);
    if (front_bits > 0) {
      const int front = std::to_integer<int>(place.header[0]) & ((1 << front_bits) - 1);
      inflatePrime(&stream, static_cast<int>(front_bits), front);
    }
    Bytef nowhere = 0;
    stream.next_in = InputPointer(bytes);
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = &nowhere;
    stream.avail_out = 1;
    const int status = inflate(&stream, Z_NO_FLUSH);
    const bool is_taken = (status == Z_OK || status == Z_BUF_ERROR) && stream.avail_in == 0 &&
                          stream.avail_out == 1 && (stream.data_type & kUnusedBits) == 0 &&
                          (stream.data_type & kIsBlockEnd) == 0;
    return is_taken ? Result<void>() : Fail(DataError::kBadDeflate);
  }

  InflateState state_;
  const int flush_;
  uint64_t consumed_ = 0;
};

}  // namespace

namespace backend {

std::unique_ptr<Compressor> MakeZlibCompressor(int level) {
  return std::make_unique<ZlibCompressor>(level);
}
std::unique_ptr<Decompressor> MakeZlibDecompressor() {
  return std::make_unique<ZlibDecompressor>();
}
std::unique_ptr<StreamDecompressor> MakeZlibStreamDecompressor() {
  return std::make_unique<ZlibStreamDecompressor>(Z_NO_FLUSH);
}
std::unique_ptr<TracingDecompressor> MakeZlibTracingDecompressor() {
  return std::make_unique<ZlibStreamDecompressor>(Z_BLOCK);
}
std::optional<uint32_t> BlockHeaderBits(std::span<const std::byte> deflate) {
  InflateState state;
  z_stream& stream = state.stream;
  Bytef nowhere = 0;
  stream.next_in = InputPointer(deflate);
  stream.avail_in = static_cast<uInt>(std::min(deflate.size(), kMaxBlockHeaderBytes));
  const uInt input_bytes = stream.avail_in;
  stream.next_out = &nowhere;
  stream.avail_out = 1;
  if (inflate(&stream, Z_TREES) != Z_OK || (stream.data_type & kIsHeaderEnd) == 0)
    return std::nullopt;
  return (input_bytes - stream.avail_in) * 8 -
         static_cast<uint32_t>(stream.data_type & kUnusedBits);
}
uint32_t ZlibCrc32(uint32_t crc, std::span<const std::byte> bytes) {
  if (bytes.empty()) return crc;  // zlib takes a null pointer for "begin anew"
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace backend
}  // namespace gzipfs
