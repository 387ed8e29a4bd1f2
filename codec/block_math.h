// Which blocks a range of plain bytes touches.
//
// Blocks of a file are aligned: block i begins at plain offset i * block_bytes.
// Pure functions; offsets stay far below 2^63 (kMaxPlainBytes), so that no sum
// can overflow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace gzipfs {

// The part of a plain range that lies in one block.
struct BlockPiece {
  uint64_t block_index = 0;
  uint64_t skip = 0;        // bytes of the block before the piece
  uint64_t length = 0;      // bytes of the piece, never 0
  bool is_partial = false;  // other bytes of a full block are outside the piece

  bool operator==(const BlockPiece&) const = default;
};

inline constexpr uint64_t BlockIndexAt(uint64_t plain_offset, uint64_t block_bytes) {
  return plain_offset / block_bytes;
}
inline constexpr uint64_t BlockStart(uint64_t block_index, uint64_t block_bytes) {
  return block_index * block_bytes;
}
// Blocks of a file of `plain_bytes`, the last perhaps short.
inline constexpr uint64_t BlockCount(uint64_t plain_bytes, uint64_t block_bytes) {
  return plain_bytes / block_bytes + (plain_bytes % block_bytes != 0 ? 1 : 0);
}
// Plain bytes of one block of such a file; 0 behind its end.
inline constexpr uint64_t BlockPlainBytes(uint64_t block_index, uint64_t plain_bytes,
                                          uint64_t block_bytes) {
  const uint64_t start = BlockStart(block_index, block_bytes);
  return start >= plain_bytes ? 0 : std::min(block_bytes, plain_bytes - start);
}

// The pieces of [plain_offset, plain_offset + plain_bytes), in order, for a
// range-based for loop; makes nothing in memory.
class BlockPieces {
 public:
  class Iterator {
   public:
    using value_type = BlockPiece;
    using difference_type = ptrdiff_t;

    constexpr Iterator() = default;
    constexpr Iterator(uint64_t plain_offset, uint64_t plain_end, uint64_t block_bytes)
        : plain_offset_(plain_offset), plain_end_(plain_end), block_bytes_(block_bytes) {}

    constexpr BlockPiece operator*() const {
      const uint64_t skip = plain_offset_ % block_bytes_;
      const uint64_t length = std::min(block_bytes_ - skip, plain_end_ - plain_offset_);
      return {plain_offset_ / block_bytes_, skip, length, length != block_bytes_};
    }
    constexpr Iterator& operator++() {
      plain_offset_ += (**this).length;
      return *this;
    }
    constexpr Iterator operator++(int) {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    constexpr bool operator==(const Iterator&) const = default;
    constexpr bool operator==(std::default_sentinel_t) const {
      return plain_offset_ == plain_end_;
    }

   private:
    uint64_t plain_offset_ = 0;
    uint64_t plain_end_ = 0;
    uint64_t block_bytes_ = 1;
  };

  constexpr BlockPieces(uint64_t plain_offset, uint64_t plain_bytes, uint64_t block_bytes)
      : first_(plain_offset, plain_offset + plain_bytes, block_bytes) {}

  constexpr Iterator begin() const { return first_; }
  constexpr std::default_sentinel_t end() const { return std::default_sentinel; }

 private:
  Iterator first_;
};

}  // namespace gzipfs
