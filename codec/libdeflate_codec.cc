// libdeflate behind the codec interfaces: dense levels, fast whole-buffer decoding.
#include <libdeflate.h>

#include <algorithm>
#include <new>

#include "codec/codec.h"

namespace gzipfs {
namespace {

struct CompressorDeleter {
  void operator()(libdeflate_compressor* compressor) const {
    libdeflate_free_compressor(compressor);
  }
};
struct DecompressorDeleter {
  void operator()(libdeflate_decompressor* decompressor) const {
    libdeflate_free_decompressor(decompressor);
  }
};

class LibdeflateCompressor final : public Compressor {
 public:
  explicit LibdeflateCompressor(int level)
      : compressor_(libdeflate_alloc_compressor(std::clamp(level, 1, kMaxLevel))) {
    if (!compressor_) throw std::bad_alloc();
  }

  size_t Deflate(std::span<const std::byte> plain, std::span<std::byte> out) override {
    return libdeflate_deflate_compress(compressor_.get(), plain.data(), plain.size(), out.data(),
                                       out.size());
  }

 private:
  std::unique_ptr<libdeflate_compressor, CompressorDeleter> compressor_;
};

class LibdeflateDecompressor final : public Decompressor {
 public:
  LibdeflateDecompressor() : decompressor_(libdeflate_alloc_decompressor()) {
    if (!decompressor_) throw std::bad_alloc();
  }

  Result<void> Inflate(std::span<const std::byte> deflate, std::span<std::byte> plain) override {
    std::byte nowhere{};
    size_t consumed = 0;
    size_t produced = 0;
    if (deflate.empty()) return Fail(DataError::kBadDeflate);
    switch (libdeflate_deflate_decompress_ex(decompressor_.get(), deflate.data(), deflate.size(),
                                             plain.empty() ? &nowhere : plain.data(), plain.size(),
                                             &consumed, &produced)) {
      case LIBDEFLATE_SUCCESS: break;
      case LIBDEFLATE_INSUFFICIENT_SPACE: return Fail(DataError::kBadSize);
      default: return Fail(DataError::kBadDeflate);
    }
    if (consumed != deflate.size() || produced != plain.size()) return Fail(DataError::kBadSize);
    return {};
  }

 private:
  std::unique_ptr<libdeflate_decompressor, DecompressorDeleter> decompressor_;
};

}  // namespace

namespace backend {

std::unique_ptr<Compressor> MakeLibdeflateCompressor(int level) {
  return std::make_unique<LibdeflateCompressor>(level);
}
std::unique_ptr<Decompressor> MakeLibdeflateDecompressor() {
  return std::make_unique<LibdeflateDecompressor>();
}
uint32_t LibdeflateCrc32(uint32_t crc, std::span<const std::byte> bytes) {
  if (bytes.empty()) return crc;  // libdeflate takes a null pointer for "begin anew"
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
}
std::string_view LibdeflateVersion() { return LIBDEFLATE_VERSION_STRING; }

}  // namespace backend
}  // namespace gzipfs
