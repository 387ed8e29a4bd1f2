// The interface to a deflate library: whole buffers in, whole buffers out.
//
// Backends: zlib (always there, the reference), libdeflate (dense levels and
// fast decoding), ISA-L (level fast). A factory picks the best one that was
// built in; the deflate streams they make differ, what they decode to never.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/base/units.h"

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

// Where a raw deflate stream can be taken up in its middle: between two symbols
// of a block, or where a block begins.
struct DeflatePlace {
  uint64_t bit = 0;            // bits of the stream before it, from its first byte on
  // The header of the block it is in, packed from the lowest bit of the first
  // byte on; 0: a header comes next. For the rest of a stored block: a header
  // that says how long that is.
  uint32_t header_bits = 0;
  std::vector<std::byte> header;
};

// As far as a match can reach back: RFC 1951, section 3.2.5.
inline constexpr size_t kDeflateWindowBytes = 32 * kKiB;

// The longest header of a block, with room to spare: 14 bits, 19 * 3 for the
// code length code, 320 lengths of at most 14 bits each.
inline constexpr size_t kMaxBlockHeaderBytes = 640;

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

  // Begins at `place` instead of at the start of the stream: before the first
  // Inflate, which then goes on with the byte behind `first_byte`, the one that
  // holds the place's first bit. Where place.bit is a multiple of 8, that byte
  // is not looked at, and Inflate goes on with it. `window`: the plain bytes
  // before the place, as far as a match can reach. kBadDeflate when the place's
  // header is none.
  virtual Result<void> Resume(const DeflatePlace& place, std::byte first_byte,
                              std::span<const std::byte> window) = 0;
};

// A StreamDecompressor that can tell where it is. A little slower.
class TracingDecompressor : public StreamDecompressor {
 public:
  // The place that the last Inflate has led to, if that used up its input; a
  // Resume there gives what comes next. nullopt where there is none to be had,
  // or, unless `insists`, where finding it would take long.
  virtual std::optional<DeflatePlace> Place(bool insists) = 0;
};

// A compressor for `level` (kLevelFast or 1..kMaxLevel). Never null; throws
// std::bad_alloc only.
std::unique_ptr<Compressor> MakeCompressor(int level);
std::unique_ptr<Decompressor> MakeDecompressor();
std::unique_ptr<StreamDecompressor> MakeStreamDecompressor();
std::unique_ptr<TracingDecompressor> MakeTracingDecompressor();

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
std::unique_ptr<TracingDecompressor> MakeZlibTracingDecompressor();
// The length of the block header that `deflate` begins with; nullopt when it is
// none, or not all of it is there.
std::optional<uint32_t> BlockHeaderBits(std::span<const std::byte> deflate);
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
std::unique_ptr<TracingDecompressor> MakeIsalTracingDecompressor();
uint32_t IsalCrc32(uint32_t crc, std::span<const std::byte> bytes);
std::string_view IsalVersion();
#endif
}  // namespace backend

}  // namespace gzipfs
