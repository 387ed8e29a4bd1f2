// Reads plain bytes of foreign members, which are one deflate stream each.
//
// Works in pieces, which go to the block cache. A piece is decoded from the
// restart point before it (codec/restart_points.h) and held against its CRC32.
// Where a decoder has stopped it is kept for a while, so that reading front to
// back decodes every byte once, also when the kernel's read-ahead asks a little
// out of order; two that want what one decoder is coming to share it. Behind a
// reader that goes front to back the pool decodes from the next point on.
//
// What does not decode, or has another CRC32, means that the restart points are
// wrong or the file is: the member is decoded from its start once, and what
// that finds counts.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "codec/base/mutex.h"
#include "codec/codec_pool.h"
#include "codec/member_scanner.h"
#include "fs/store/block_cache.h"

namespace gzipfs {

// Thread-safe. `source`, `cache` and `pool` must outlive it.
class ForeignReader {
 public:
  // `doubt` is called, by any thread, when restart points were found to be wrong.
  ForeignReader(const ByteSource& source, BlockCache& cache, CodecPool& pool,
                std::function<void()> doubt);
  ~ForeignReader();

  // Fills `out` from `skip` plain bytes into `member` on. `restarts`: what is
  // known of it, or null. Pieces are cached by plain offset under `cache_id`, a
  // number of the cache's: another one for another opinion on where the members'
  // plain bytes are. REQUIRES: the member has that many.
  Result<void> Read(const MemberInfo& member, const RestartsRef& restarts, uint64_t cache_id,
                    uint64_t skip, std::span<std::byte> out) EXCLUDES(mutex_);

 private:
  // What a piece is found by.
  struct Target {
    const MemberInfo& member;
    RestartsRef restarts;
    uint64_t cache_id;
    uint64_t Key(uint64_t piece) const {
      return member.plain_offset + piece * restarts->piece_bytes;
    }
  };
  // A decoder, parked or at work.
  struct Cursor {
    RestartsRef restarts;
    const RestartPoint* point = nullptr;      // where it began
    std::unique_ptr<RestartStream> stream;    // null: at work
    uint64_t next_piece = 0;                  // decoded already: all of its pieces before
    uint64_t wanted_piece = 0;                // it goes on up to this one
  };
  using CursorList = std::list<Cursor>;
  class AheadJob;

  CachedBlock Cached(const Target& target, uint64_t piece) const;
  Result<CachedBlock> Piece(const Target& target, uint64_t piece) EXCLUDES(mutex_);
  Result<CachedBlock> DecodePiece(const Target& target, uint64_t piece) EXCLUDES(mutex_);
  CursorList::iterator Claim(const Target& target, uint64_t piece,
                             std::unique_ptr<RestartStream>& stream) REQUIRES(mutex_);
  Result<CachedBlock> Run(const Target& target, CursorList::iterator cursor,
                          std::unique_ptr<RestartStream>& stream, uint64_t piece)
      EXCLUDES(mutex_);
  Result<CachedBlock> DecodeNext(const Target& target, RestartStream& stream, uint64_t piece);
  bool IsWanted(CursorList::iterator cursor, uint64_t piece) EXCLUDES(mutex_);
  Result<RestartsRef> Rebuild(const Target& target) EXCLUDES(mutex_);
  RestartsRef Known(const MemberInfo& member, const RestartsRef& restarts) EXCLUDES(mutex_);
  void GoAhead(const Target& target, uint64_t piece) EXCLUDES(mutex_);
  void DecodeAhead(const Target& target, uint64_t first_piece, uint64_t end_piece)
      EXCLUDES(mutex_);

  const ByteSource& source_;
  BlockCache& cache_;
  CodecPool& pool_;
  const std::function<void()> doubt_;

  Mutex rebuild_mutex_;  // taken before mutex_
  Mutex mutex_;
  CondVar moved_;                                  // a cursor has, or a job has ended
  CursorList cursors_ GUARDED_BY(mutex_);          // most recently used first
  std::vector<RestartsRef> rebuilt_ GUARDED_BY(mutex_);
  // The last read: where one that goes front to back would go on.
  uint64_t next_key_ GUARDED_BY(mutex_) = 0;
  uint64_t run_pieces_ GUARDED_BY(mutex_) = 0;
  uint64_t ahead_key_ GUARDED_BY(mutex_) = 0;      // decoded ahead already, up to here
  int jobs_ GUARDED_BY(mutex_) = 0;
  bool is_closing_ GUARDED_BY(mutex_) = false;
};

}  // namespace gzipfs
