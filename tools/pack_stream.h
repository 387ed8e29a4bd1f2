// Compresses a stream of plain bytes as the store writes a file: blocks in
// parallel, members in order, then the tail.
#pragma once

#include <cstdint>
#include <functional>

#include "codec/codec_pool.h"
#include "codec/gzip_format.h"
#include "codec/ordered_results.h"
#include "codec/member.h"
#include "codec/member_index.h"

namespace gzipfs {

struct PackOptions {
  Profile profile = Profile::kBgzf;
  uint64_t block_bytes = kBgzfBlockBytes;
  int level = kDefaultLevel;
};

// Why packing ended early.
struct PackFailure {
  // kWorker: a block could not be compressed, for want of memory.
  enum class Side : uint8_t { kInput, kOutput, kWorker } side = Side::kInput;
  std::error_code code;
};

// Fills a buffer with the next plain bytes; fewer only at the end.
using PlainReader = std::function<Result<size_t>(std::span<std::byte> out)>;

// Used once, by one thread. Memory is bounded by the number of batches under
// way, a few for each worker of the pool.
class PackStream {
 public:
  // `pool` must outlive it; without one everything is done on the calling thread.
  PackStream(CodecPool* pool, const PackOptions& options);
  ~PackStream();
  PackStream(const PackStream&) = delete;
  PackStream& operator=(const PackStream&) = delete;

  // Reads `in_fd` to its end and writes the gzip file to `out_fd`.
  tl::expected<void, PackFailure> Copy(int in_fd, int out_fd);
  // The same for what `next_plain` gives.
  tl::expected<void, PackFailure> Copy(const PlainReader& next_plain, int out_fd);

  // The index of what was written, for those who want to know sizes.
  const MemberIndex& index() const { return index_; }
  // Of the plain bytes, as they were read.
  uint32_t plain_crc32() const { return plain_crc32_; }
  // Members with plain bytes.
  uint64_t member_count() const { return member_count_; }

 private:
  class EncodeJob;

  Result<bool> SubmitBatch(const PlainReader& next_plain);
  Result<void> WriteBatch(const EncodedBlock& batch, int out_fd);
  Result<void> WriteTail(int out_fd);

  CodecPool* const pool_;
  const PackOptions options_;
  const size_t batch_bytes_;   // plain
  const size_t max_pending_;
  OrderedResults<Result<EncodedBlock>> results_;
  MemberIndex index_;
  uint32_t plain_crc32_ = 0;
  uint64_t member_count_ = 0;
};

}  // namespace gzipfs
