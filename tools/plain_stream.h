// The plain bytes of a gzip file from one place on, decoded by many threads,
// given out in order.
//
// The source is read once, front to back, so that it may be a pipe. Members
// that carry their length are cut out and decoded in batches by the pool;
// others are decoded right here, a piece at a time. Memory is bounded by the
// number of batches under way, whatever the file claims about itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/base/byte_source.h"
#include "codec/codec_pool.h"
#include "codec/deflate_joiner.h"
#include "codec/member_header.h"
#include "codec/member_scanner.h"
#include "codec/ordered_results.h"

namespace gzipfs {

// A member that the stream has passed, or what stopped it.
struct PassedMember {
  uint64_t plain_offset = 0;
  uint64_t file_offset = 0;
  uint64_t plain_bytes = 0;    // as its trailer says; 0 when that is not known
  uint64_t member_bytes = 0;   // 0: no member stands here, the stream ends
  bool is_tail = false;        // an empty member of ours that carries a part of a tail
  bool is_marker = false;      // the end-of-file marker
  std::error_code error;       // why its plain bytes are not to be had; empty: they are right
};

struct PlainPiece {
  uint64_t plain_offset = 0;  // of plain[0]
  // Ends before the first bad member; of one without a length, where decoding failed.
  std::vector<std::byte> plain;
  // With Keep::kDeflate instead of plain bytes: deflate streams, verified and ready
  // to be joined, and what the members that end in this piece decode to.
  std::vector<std::byte> deflate;
  JoinedPart joined;
  std::vector<PassedMember> members;  // those that end in this piece, in order

  // The first member with an error, or null.
  const PassedMember* FirstBad() const;
};

// One thread at a time. `source` and `pool` must outlive it.
class PlainStream {
 public:
  struct Start {
    uint64_t file_offset = 0;    // a member boundary
    uint64_t plain_offset = 0;   // the first plain byte of that member
  };
  // kVerdicts: pieces come without bytes; kDeflate: see PlainPiece, for whole files.
  enum class Keep : uint8_t { kPlain, kVerdicts, kDeflate };
  enum class Proof : uint8_t { kOnce, kTwice };     // kTwice: zlib decodes each member once more

  // Gives out members from `start` to the one that holds the byte before
  // `plain_end`. Without a pool everything is done on the calling thread.
  PlainStream(const ByteSource& source, CodecPool* pool, Start start, uint64_t plain_end,
              Keep keep, Proof proof = Proof::kOnce);
  ~PlainStream();
  PlainStream(const PlainStream&) = delete;
  PlainStream& operator=(const PlainStream&) = delete;

  // The next piece; nullopt at the end. Errors are the device's, or ENOMEM. A member
  // that cannot be decoded is marked in its piece; the stream goes on behind
  // it where its length is known, and ends where it is not. An empty source
  // ends inside its first member.
  Result<std::optional<PlainPiece>> Next();

  // Where the stream is: the end of everything it has cut out so far.
  Start position() const { return position_; }

 private:
  struct Batch;
  class DecodeJob;

  Result<void> Fill();
  Result<std::span<const std::byte>> Peek(size_t min_bytes);
  Result<MemberHeader> PeekHeader();
  Result<void> CutBatch();
  Result<bool> CutMember(Batch& batch);
  bool IsHop(const MemberHeader& header, std::span<const std::byte> member) const;
  PassedMember DescribeHop(const MemberHeader& header, std::span<const std::byte> member) const;
  void Advance(const PassedMember& member);
  void StopAt(std::error_code reason, Batch& batch);
  void BeginDecodingHere(Batch& batch);
  void Submit(std::unique_ptr<Batch> batch);
  Result<PlainPiece> DecodeHere();
  Result<PlainPiece> JoinHere();

  const ByteSource& source_;
  CodecPool* const pool_;
  const uint64_t plain_end_;
  const Keep keep_;
  const Proof proof_;
  const size_t max_pending_;
  OrderedResults<Result<PlainPiece>> results_;
  Start position_;
  std::vector<std::byte> window_;    // source bytes from window_offset_ on
  size_t window_bytes_ = 0;
  uint64_t window_offset_ = 0;
  std::optional<MemberStream> stream_;  // the member at position_, which is decoded here
  std::optional<MemberJoinStream> join_stream_;  // the same with Keep::kDeflate
  bool is_finished_ = false;
};

}  // namespace gzipfs
