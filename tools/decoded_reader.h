// Plain bytes of a gzip file for whoever compresses them anew, and of what was made of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "codec/base/result.h"
#include "codec/codec_pool.h"
#include "tools/plain_stream.h"

namespace gzipfs {

// Plain bytes of a gzip source, as PackStream wants them. Every member is verified: the first
// bad one is an error. ECANCELED after WasInterrupted. One thread at a time; `source`, `pool`
// and `done_bytes`, which grows by stored bytes, must outlive it.
class DecodedReader {
 public:
  DecodedReader(const ByteSource& source, CodecPool* pool, std::atomic<uint64_t>& done_bytes)
      : stream_(source, pool, {}, ~uint64_t{0}, PlainStream::Keep::kPlain),
        done_bytes_(done_bytes) {}

  // Fills `out`; fewer bytes only at the end.
  Result<size_t> operator()(std::span<std::byte> out);

 private:
  Result<bool> Next();

  PlainStream stream_;
  std::atomic<uint64_t>& done_bytes_;
  PlainPiece piece_;
  size_t at_ = 0;
};

// True when `fd`, of `file_bytes`, decodes to what has this CRC-32 and size. `pool` may be null.
Result<bool> ReadsBack(int fd, uint64_t file_bytes, CodecPool* pool, uint32_t crc,
                       uint64_t plain_bytes);

}  // namespace gzipfs
