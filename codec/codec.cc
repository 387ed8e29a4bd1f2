// Chooses among the backends that were built in, and keeps codecs per thread.
#include "codec/codec.h"

#include <zlib.h>

#include <algorithm>
#include <string>

namespace gzipfs {

std::unique_ptr<Compressor> MakeCompressor(int level) {
#ifdef GZIPFS_HAVE_ISAL
  if (level <= kLevelFast) return backend::MakeIsalCompressor();
#endif
#ifdef GZIPFS_HAVE_LIBDEFLATE
  return backend::MakeLibdeflateCompressor(level);
#else
  return backend::MakeZlibCompressor(level);
#endif
}

std::unique_ptr<Decompressor> MakeDecompressor() {
#ifdef GZIPFS_HAVE_LIBDEFLATE
  return backend::MakeLibdeflateDecompressor();
#else
  return backend::MakeZlibDecompressor();
#endif
}

std::unique_ptr<StreamDecompressor> MakeStreamDecompressor() {
#ifdef GZIPFS_HAVE_ISAL
  return backend::MakeIsalStreamDecompressor();
#else
  return backend::MakeZlibStreamDecompressor();
#endif
}

std::unique_ptr<TracingDecompressor> MakeTracingDecompressor() {
#ifdef GZIPFS_HAVE_ISAL
  return backend::MakeIsalTracingDecompressor();
#else
  return backend::MakeZlibTracingDecompressor();
#endif
}

uint32_t Crc32(uint32_t crc, std::span<const std::byte> bytes) {
#if defined(GZIPFS_HAVE_ISAL)
  return backend::IsalCrc32(crc, bytes);  // 25 GB/s where libdeflate does 14 and zlib 4
#elif defined(GZIPFS_HAVE_LIBDEFLATE)
  return backend::LibdeflateCrc32(crc, bytes);
#else
  return backend::ZlibCrc32(crc, bytes);
#endif
}

uint32_t CombineCrc32(uint32_t first_crc, uint32_t second_crc, uint64_t second_bytes) {
  return static_cast<uint32_t>(
      crc32_combine(first_crc, second_crc, static_cast<z_off_t>(second_bytes)));
}

std::string_view CodecLibraries() {
  static const std::string text = [] {
    std::string libraries = std::string("zlib ") + zlibVersion();
#ifdef GZIPFS_HAVE_LIBDEFLATE
    libraries.append(", libdeflate ").append(backend::LibdeflateVersion());
#endif
#ifdef GZIPFS_HAVE_ISAL
    libraries.append(", ISA-L ").append(backend::IsalVersion());
#endif
    return libraries;
  }();
  return text;
}

Compressor& ThreadCompressor(int level) {
  struct Cached {
    int level = 0;
    std::unique_ptr<Compressor> compressor;
  };
  thread_local Cached cached_fast;   // under level=auto a thread goes to and fro between
  thread_local Cached cached_dense;  // the fast level and another one
  Cached& cached = level <= kLevelFast ? cached_fast : cached_dense;
  if (!cached.compressor || cached.level != level) {
    cached.compressor.reset();  // before the next one: level 12 takes 10 MB
    cached.compressor = MakeCompressor(level);
    cached.level = level;
  }
  return *cached.compressor;
}

Decompressor& ThreadDecompressor() {
  thread_local const std::unique_ptr<Decompressor> decompressor = MakeDecompressor();
  return *decompressor;
}

}  // namespace gzipfs
