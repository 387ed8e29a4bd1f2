// Compresses a stream of plain bytes as the store writes a file: blocks in
// parallel, members in order, then the tail.
#pragma once

#include <cstdint>

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
  enum class Side : uint8_t { kInput, kOutput } side = Side::kInput;
  std::error_code code;
};

// Used once, by one thread. Memory is bounded by the number of batches under
// way, a few for each worker of the pool.
class PackStream {
 public:
  // `pool` must outlive it.
  PackStream(CodecPool& pool, const PackOptions& options);
  ~PackStream();
  PackStream(const PackStream&) = delete;
  PackStream& operator=(const PackStream&) = delete;

  // Reads `in_fd` to its end and writes the gzip file to `out_fd`.
  tl::expected<void, PackFailure> Copy(int in_fd, int out_fd);

  // The index of what was written, for those who want to know sizes.
  const MemberIndex& index() const { return index_; }

 private:
  class EncodeJob;

  Result<bool> SubmitBatch(int in_fd);
  Result<void> WriteBatch(const EncodedBlock& batch, int out_fd);
  Result<void> WriteTail(int out_fd);

  CodecPool& pool_;
  const PackOptions options_;
  const size_t batch_bytes_;   // plain
  const size_t max_pending_;
  OrderedResults<EncodedBlock> results_;
  MemberIndex index_;
};

}  // namespace gzipfs
