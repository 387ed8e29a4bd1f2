// The interface to a deflate library: whole buffers in, whole buffers out.
//
// Backends: zlib (always there, the reference), libdeflate (dense levels and
// fast decoding), ISA-L (level fast). A factory picks the best one that was
// built in; the deflate streams they make differ, what they decode to never.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "codec/base/result.h"

namespace gzipfs {

// How hard to compress. kLevelFast is ISA-L's level 1 where that is built in;
// 1 to 12 are libdeflate's levels (zlib: capped at 9).
inline constexpr int kLevelFast = 0;
inline constexpr int kMaxLevel = 12;
inline constexpr int kDefaultLevel = 6;

// Makes raw deflate streams (RFC 1951).
//
// One thread at a time; reusable any number of times. Holds its own working
// memory (up to 10 MB at level 12), allocated once.
class Compressor {
 public:
  virtual ~Compressor() = default;

  // Compresses `plain` into `out`; returns the bytes written, or 0 when the
  // result does not fit (then `out` holds garbage and the caller stores).
  virtual size_t Deflate(std::span<const std::byte> plain, std::span<std::byte> out) = 0;
};

// Decodes raw deflate streams of known size.
//
// One thread at a time; reusable any number of times.
class Decompressor {
 public:
  virtual ~Decompressor() = default;

  // Decodes a stream which must fill `plain` exactly and use up all of
  // `deflate`. kBadDeflate or kBadSize otherwise; `plain` then holds garbage.
  virtual Result<void> Inflate(std::span<const std::byte> deflate, std::span<std::byte> plain) = 0;
};

// Decodes one raw deflate stream of unknown size, a piece at a time.
//
// One thread at a time; good for one stream.
class StreamDecompressor {
 public:
  // What one call did.
  struct Progress {
    size_t consumed = 0;   // input bytes taken
    size_t produced = 0;   // plain bytes written
    bool at_end = false;   // the stream is complete
    size_t overrun = 0;    // at the end: how many of all bytes taken lie behind the stream
  };

  virtual ~StreamDecompressor() = default;

  // Goes on with the next input bytes, `deflate`, until they are used up, or
  // `plain` is full, or the stream ends. Nothing consumed, produced or ended
  // means that more input is needed. kBadDeflate when the stream is broken.
  // REQUIRES: !plain.empty(), and that the stream has not ended or failed.
  virtual Result<Progress> Inflate(std::span<const std::byte> deflate,
                                   std::span<std::byte> plain) = 0;
};

// A compressor for `level` (kLevelFast or 1..kMaxLevel). Never null; throws
// std::bad_alloc only.
std::unique_ptr<Compressor> MakeCompressor(int level);
std::unique_ptr<Decompressor> MakeDecompressor();
std::unique_ptr<StreamDecompressor> MakeStreamDecompressor();

// CRC-32 as in RFC 1952 section 8, continuing from `crc` (0 to begin).
uint32_t Crc32(uint32_t crc, std::span<const std::byte> bytes);

// CRC-32 of the concatenation of two parts, from the parts' own.
uint32_t CombineCrc32(uint32_t first_crc, uint32_t second_crc, uint64_t second_bytes);

// The libraries built in, for `gzipfs --version`: "zlib 1.2.13, libdeflate 1.14, ...".
std::string_view CodecLibraries();

// This thread's compressor for `level` and its decompressor, made at first
// use and kept until the thread ends or asks for another level (kLevelFast
// aside: that one is kept beside the other).
// Thread-safe in that every thread has its own.
Compressor& ThreadCompressor(int level);
Decompressor& ThreadDecompressor();

// The backends, for the factory and for tests that compare them.
namespace backend {
std::unique_ptr<Compressor> MakeZlibCompressor(int level);
std::unique_ptr<Decompressor> MakeZlibDecompressor();
std::unique_ptr<StreamDecompressor> MakeZlibStreamDecompressor();
uint32_t ZlibCrc32(uint32_t crc, std::span<const std::byte> bytes);
#ifdef GZIPFS_HAVE_LIBDEFLATE
std::unique_ptr<Compressor> MakeLibdeflateCompressor(int level);
std::unique_ptr<Decompressor> MakeLibdeflateDecompressor();
uint32_t LibdeflateCrc32(uint32_t crc, std::span<const std::byte> bytes);
std::string_view LibdeflateVersion();
#endif
#ifdef GZIPFS_HAVE_ISAL
std::unique_ptr<Compressor> MakeIsalCompressor();
std::unique_ptr<StreamDecompressor> MakeIsalStreamDecompressor();
uint32_t IsalCrc32(uint32_t crc, std::span<const std::byte> bytes);
std::string_view IsalVersion();
#endif
}  // namespace backend

}  // namespace gzipfs
