// ISA-L behind the codec interfaces: the fastest compression and streaming.
#include <isa-l.h>

#include <algorithm>
#include <limits>

#include "codec/codec.h"

namespace gzipfs {
namespace {

constexpr size_t kMaxPieceBytes = std::numeric_limits<uint32_t>::max();

// ISA-L does not write through next_in, but declares it without const.
uint8_t* InputPointer(std::span<const std::byte> bytes) {
  return reinterpret_cast<uint8_t*>(const_cast<std::byte*>(bytes.data()));
}

class IsalCompressor final : public Compressor {
 public:
  IsalCompressor()
      : stream_(std::make_unique<isal_zstream>()),
        level_buffer_(std::make_unique<uint8_t[]>(kLevelBufferBytes)) {}

  size_t Deflate(std::span<const std::byte> plain, std::span<std::byte> out) override {
    if (plain.size() > kMaxPieceBytes) return 0;
    isal_deflate_stateless_init(stream_.get());
    stream_->level = 1;
    stream_->level_buf = level_buffer_.get();
    stream_->level_buf_size = kLevelBufferBytes;
    stream_->gzip_flag = IGZIP_DEFLATE;
    stream_->end_of_stream = 1;
    stream_->flush = NO_FLUSH;
    stream_->next_in = InputPointer(plain);
    stream_->avail_in = static_cast<uint32_t>(plain.size());
    stream_->next_out = reinterpret_cast<uint8_t*>(out.data());
    stream_->avail_out = static_cast<uint32_t>(std::min(out.size(), kMaxPieceBytes));
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
    const size_t input_bytes = std::min(deflate.size(), kMaxPieceBytes);
    const size_t room = std::min(plain.size(), kMaxPieceBytes);
    state_->next_in = InputPointer(deflate);
    state_->avail_in = static_cast<uint32_t>(input_bytes);
    state_->next_out = reinterpret_cast<uint8_t*>(plain.data());
    state_->avail_out = static_cast<uint32_t>(room);
    if (isal_inflate(state_.get()) != ISAL_DECOMP_OK) return Fail(DataError::kBadDeflate);
    Progress progress{.consumed = input_bytes - state_->avail_in,
                      .produced = room - state_->avail_out,
                      .at_end = state_->block_state == ISAL_BLOCK_FINISH};
    // Whole bytes left in the bit buffer were taken from behind the stream.
    if (progress.at_end) progress.overrun = static_cast<size_t>(state_->read_in_length) / 8;
    return progress;
  }

 private:
  std::unique_ptr<inflate_state> state_;
};

#define GZIPFS_TEXT_(x) #x
#define GZIPFS_TEXT(x) GZIPFS_TEXT_(x)

}  // namespace

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
