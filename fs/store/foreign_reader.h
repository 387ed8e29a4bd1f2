// Reads plain bytes of foreign members, which can only be decoded from their
// start.
//
// Works in pieces of 64 KiB, which go to the block cache, and remembers where
// it stopped: reading front to back decodes every byte once, also when the
// kernel's read-ahead asks a little out of order. A read far behind the cursor
// starts the member over.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "codec/base/mutex.h"
#include "codec/member_scanner.h"
#include "fs/store/block_cache.h"

namespace gzipfs {

// Thread-safe. `source` and `cache` must outlive it.
class ForeignReader {
 public:
  ForeignReader(const ByteSource& source, BlockCache& cache) : source_(source), cache_(cache) {}

  // Fills `out` from `skip` plain bytes into `member` on. Pieces are cached by
  // plain offset under `cache_id`, a number of the cache's: another one for
  // another opinion on where the members' plain bytes are. REQUIRES: the member
  // has that many.
  Result<void> Read(const MemberInfo& member, uint64_t cache_id, uint64_t skip,
                    std::span<std::byte> out) EXCLUDES(mutex_);

 private:
  Result<CachedBlock> Piece(const MemberInfo& member, uint64_t cache_id, uint64_t piece_index)
      EXCLUDES(mutex_);
  Result<CachedBlock> DecodeTo(const MemberInfo& member, uint64_t cache_id, uint64_t piece_index)
      REQUIRES(mutex_);

  const ByteSource& source_;
  BlockCache& cache_;
  Mutex mutex_;
  uint64_t file_offset_ GUARDED_BY(mutex_) = 0;  // the member the stream is in
  std::optional<MemberStream> stream_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
