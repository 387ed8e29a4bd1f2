// ISA-L behind the codec interfaces: the fastest compression and streaming.
// How it tells where it is in a stream: isal_tracer.cc.
#include "codec/isal_codec.h"

#include <algorithm>

#include "codec/bits.h"

namespace gzipfs {
namespace {

class IsalCompressor final : public Compressor {
 public:
  IsalCompressor()
      : stream_(std::make_unique<isal_zstream>()),
        level_buffer_(std::make_unique<uint8_t[]>(kLevelBufferBytes)) {}

  size_t Deflate(std::span<const std::byte> plain, std::span<std::byte> out) override {
    if (plain.size() > kMaxIsalPieceBytes) return 0;
    isal_deflate_stateless_init(stream_.get());
    stream_->level = 1;
    stream_->level_buf = level_buffer_.get();
    stream_->level_buf_size = kLevelBufferBytes;
    stream_->gzip_flag = IGZIP_DEFLATE;
    stream_->end_of_stream = 1;
    stream_->flush = NO_FLUSH;
    stream_->next_in = IsalInput(plain);
    stream_->avail_in = static_cast<uint32_t>(plain.size());
    stream_->next_out = reinterpret_cast<uint8_t*>(out.data());
    stream_->avail_out = static_cast<uint32_t>(std::min(out.size(), kMaxIsalPieceBytes));
    const bool is_complete =
        isal_deflate_stateless(stream_.get()) == COMP_OK && stream_->avail_in == 0;
    return is_complete ? stream_->total_out : 0;
  }

 private:
  static constexpr uint32_t kLevelBufferBytes = ISAL_DEF_LVL1_DEFAULT;

  std::unique_ptr<isal_zstream> stream_;
  std::unique_ptr<uint8_t[]> level_buffer_;
};

class IsalStreamDecompressor final : public StreamDecompressor {
 public:
  IsalStreamDecompressor() : state_(std::make_unique_for_overwrite<inflate_state>()) {
    isal_inflate_init(state_.get());
  }

  Result<Progress> Inflate(std::span<const std::byte> deflate,
                           std::span<std::byte> plain) override {
    return InflateWithIsal(*state_, deflate, plain);
  }
  Result<void> Resume(const DeflatePlace& place, std::byte first_byte,
                      std::span<const std::byte> window) override {
    return ResumeWithIsal(*state_, place, first_byte, window);
  }

 private:
  std::unique_ptr<inflate_state> state_;
};

#define GZIPFS_TEXT_(x) #x
#define GZIPFS_TEXT(x) GZIPFS_TEXT_(x)

}  // namespace

Result<StreamDecompressor::Progress> InflateWithIsal(inflate_state& state,
                                                     std::span<const std::byte> deflate,
                                                     std::span<std::byte> plain) {
  const size_t input_bytes = std::min(deflate.size(), kMaxIsalPieceBytes);
  const size_t room = std::min(plain.size(), kMaxIsalPieceBytes);
  state.next_in = IsalInput(deflate);
  state.avail_in = static_cast<uint32_t>(input_bytes);
  state.next_out = reinterpret_cast<uint8_t*>(plain.data());
  state.avail_out = static_cast<uint32_t>(room);
  if (isal_inflate(&state) != ISAL_DECOMP_OK) return Fail(DataError::kBadDeflate);
  StreamDecompressor::Progress progress{.consumed = input_bytes - state.avail_in,
                                        .produced = room - state.avail_out,
                                        .at_end = state.block_state == ISAL_BLOCK_FINISH};
  // Whole bytes left in the bit buffer were taken from behind the stream.
  if (progress.at_end) progress.overrun = static_cast<size_t>(state.read_in_length) / 8;
  return progress;
}

Result<void> ResumeWithIsal(inflate_state& state, const DeflatePlace& place, std::byte first_byte,
                            std::span<const std::byte> window) {
  isal_inflate_init(&state);
  if (!window.empty() && isal_inflate_set_dict(&state, IsalInput(window),
                                               static_cast<uint32_t>(window.size())) != COMP_OK) {
    return Fail(DataError::kBadDeflate);
  }
  if (place.header_bits > 0) {
    // Bits in front of whole bytes, so that the header ends with the input.
    const unsigned front_bits = place.header_bits % 8;
    const std::vector<std::byte> bytes = ShiftBits(place.header, front_bits, place.header_bits);
    state.read_in = std::to_integer<uint64_t>(place.header[0]) & ((1U << front_bits) - 1);
    state.read_in_length = static_cast<int32_t>(front_bits);
    std::byte nowhere[1];
    const auto taken = InflateWithIsal(state, bytes, nowhere);
    const bool is_inside =
        state.block_state == ISAL_BLOCK_CODED || state.block_state == ISAL_BLOCK_TYPE0;
    if (!taken || taken->produced > 0 || taken->consumed < bytes.size() || !is_inside ||
        state.read_in_length != 0) {
      return Fail(DataError::kBadDeflate);
    }
  }
  const unsigned used_bits = place.bit % 8;
  if (used_bits == 0) return {};
  state.read_in = std::to_integer<uint64_t>(first_byte) >> used_bits;
  state.read_in_length = static_cast<int32_t>(8 - used_bits);
  return {};
}

namespace backend {

std::unique_ptr<Compressor> MakeIsalCompressor() { return std::make_unique<IsalCompressor>(); }
std::unique_ptr<StreamDecompressor> MakeIsalStreamDecompressor() {
  return std::make_unique<IsalStreamDecompressor>();
}
uint32_t IsalCrc32(uint32_t crc, std::span<const std::byte> bytes) {
  return crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}
std::string_view IsalVersion() {
  return GZIPFS_TEXT(ISAL_MAJOR_VERSION) "." GZIPFS_TEXT(ISAL_MINOR_VERSION) "." GZIPFS_TEXT(
      ISAL_PATCH_VERSION);
}

}  // namespace backend
}  // namespace gzipfs
