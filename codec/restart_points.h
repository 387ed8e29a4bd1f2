// Random access into a gzip member that somebody else wrote as one piece.
//
// While such a member is decoded from its start, a recorder notes places at
// which decoding can begin again: where in the deflate stream, the header of
// the block it is in, and the plain bytes before it that what follows refers
// to. It also keeps the CRC32 of each piece of the plain bytes, so that what is
// decoded from the middle can be checked without the rest of the member.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/base/byte_source.h"
#include "codec/base/units.h"
#include "codec/byte_window.h"
#include "codec/codec.h"

namespace gzipfs {

// Plain bytes that have a CRC32 of their own, and are decoded and kept together.
// In a member that compresses so well that the CRC32s would be more than
// 1/kRestartShareOfFile of it they are more, up to eight times as many.
inline constexpr uint64_t kRestartPieceBytes = 128 * kKiB;
inline constexpr uint64_t kMaxRestartPieceBytes = 8 * kRestartPieceBytes;

// Points are at least that many plain bytes apart: half of it is what a read
// decodes for nothing, in about 0.3 ms.
inline constexpr uint64_t kMinRestartSpacing = kMiB;

// And so many times as many stored bytes apart as one takes: all of them are
// less than 1 % of the file. In a file that compresses so well that these would
// be further apart than a read can pass in 20 ms that does not hold; there they may take
// kSparedRestartBytes besides. Where they would take more (a file made for that: windows that
// do not compress, in plain bytes that do) every other one goes, and they lie twice as far
// apart from then on.
inline constexpr uint64_t kRestartShareOfFile = 128;
inline constexpr uint64_t kMaxRestartSpacing = 24 * kMiB;
inline constexpr uint64_t kSparedRestartBytes = 256 * kKiB;

// Where decoding can begin.
struct RestartPoint {
  uint64_t plain_offset = 0;       // in the member
  DeflatePlace place;              // in the member's deflate stream
  uint32_t window_bytes = 0;       // plain bytes before it, at most kDeflateWindowBytes:
  std::vector<std::byte> window;   // ... as a deflate stream; those nobody refers to are zeros

  size_t MemoryBytes() const {
    return sizeof(RestartPoint) + window.capacity() + place.header.capacity();
  }
};

// What is known of one member. Constant once it is made.
struct MemberRestarts {
  uint64_t file_offset = 0;      // of the member
  uint64_t deflate_offset = 0;   // of its deflate stream, in the file
  uint64_t plain_bytes = 0;      // that can be decoded
  std::error_code error;         // why no more; empty: the member is complete
  std::vector<RestartPoint> points;       // in order; none at the stream's start
  uint64_t piece_bytes = kRestartPieceBytes;
  std::vector<uint32_t> piece_crcs;       // of each piece_bytes, the last one shorter

  uint64_t PieceBytes(uint64_t piece_index) const {
    return std::min(piece_bytes, plain_bytes - piece_index * piece_bytes);
  }
  // The last point at or before `plain_offset`; null: the stream's start.
  const RestartPoint* PointBefore(uint64_t plain_offset) const;
  // The CRC32 of all plain bytes, from those of the pieces.
  uint32_t CombinedCrc32() const;
  size_t MemoryBytes() const;
};

using RestartsRef = std::shared_ptr<const MemberRestarts>;

// Follows the decoding of one member from its start. One thread at a time.
// `source` must outlive it.
class RestartRecorder {
 public:
  // `deflate_offset` is where the member's deflate stream begins.
  RestartRecorder(const ByteSource& source, uint64_t member_offset, uint64_t deflate_offset);

  // The decoder to use, and how many bytes to give it at once at the most.
  StreamDecompressor& decompressor() { return *tracer_; }
  size_t MaxInputBytes() const { return step_bytes_; }
  // What each of its Inflate calls did.
  void Note(const StreamDecompressor::Progress& progress, std::span<const std::byte> plain);

  // The CRC32 of all plain bytes so far, from those of the pieces.
  uint32_t PlainCrc32() const;

  // All that was found. Nothing may be noted afterwards.
  MemberRestarts Finish(std::error_code error);

 private:
  bool IsDue() const;
  void ChooseStep(const StreamDecompressor::Progress& progress);
  void KeepWindow(std::span<const std::byte> plain);
  void AddPoint(DeflatePlace place);
  void ThinPoints();
  void CountPieces(std::span<const std::byte> plain);
  void JoinPieces();

  const ByteSource& source_;
  MemberRestarts restarts_;
  std::unique_ptr<TracingDecompressor> tracer_;
  std::unique_ptr<Compressor> compressor_;   // made for the first point
  std::unique_ptr<std::byte[]> window_;      // the last plain bytes
  size_t window_bytes_ = 0;
  size_t step_bytes_;
  uint64_t consumed_ = 0;                    // of the stream
  uint64_t due_since_ = 0;                   // consumed_ then; 0: no point is due
  uint64_t due_plain_ = 0;                   // and the plain bytes
  uint64_t point_plain_ = 0;                 // where the last point is
  uint64_t point_consumed_ = 0;
  uint64_t point_cost_bytes_;                // what it takes in an index
  uint64_t points_bytes_ = 0;                // what all of them take in memory
  uint64_t max_spacing_ = kMaxRestartSpacing;
  uint32_t piece_crc_ = 0;
};

// Plain bytes of a member from a restart point on. One thread at a time.
// `source` and `restarts` must outlive it.
class RestartStream {
 public:
  // Begins at `point`, one of `restarts`; null: at the stream's start.
  // `file_limit`: the member's end. kBadDeflate when there is no beginning there.
  static Result<std::unique_ptr<RestartStream>> Begin(const ByteSource& source,
                                                      const MemberRestarts& restarts,
                                                      const RestartPoint* point,
                                                      uint64_t file_limit);

  // Fills `out`. kTruncated when the stream or the file ends before, kBadDeflate;
  // the device's errors.
  Result<void> Read(std::span<std::byte> out);
  // As Read, with nobody wanting the bytes.
  Result<void> SkipTo(uint64_t plain_offset);
  uint64_t plain_position() const { return plain_offset_; }

 private:
  RestartStream(const ByteSource& source, uint64_t file_limit) : window_(source, file_limit) {}

  ByteWindow window_;
  std::unique_ptr<StreamDecompressor> decompressor_;
  std::unique_ptr<std::byte[]> skipped_;
  uint64_t file_offset_ = 0;
  uint64_t plain_offset_ = 0;
  bool is_finished_ = false;
};

}  // namespace gzipfs
