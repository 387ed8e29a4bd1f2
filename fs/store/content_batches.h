// What a Content gathers under its lock, to write it to a log after the lock is gone.
#pragma once

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "codec/member.h"
#include "fs/store/block_ranges.h"
#include "fs/store/dirty_block.h"
#include "fs/store/extent_set.h"

namespace gzipfs {

using BlockPtr = std::shared_ptr<DirtyBlock>;
using BlockMap = std::map<uint64_t, BlockPtr>;    // by block index
using ExtentMap = std::map<uint64_t, ExtentSet>;  // by block index

// What goes to the redo log at once: the state of one instant.
struct LogBatch {
  struct Piece {
    uint64_t plain_offset;
    size_t data_offset;
    uint32_t byte_count;
  };
  struct SpilledBlock {
    BlockPtr block;
    std::shared_ptr<const EncodedBlock> packed;  // its members, if they are in memory
  };
  struct SpilledPart {
    BlockPtr block;
    uint32_t begin;
    uint32_t end;
  };
  uint64_t change_count = 0;
  uint64_t plain_bytes = 0;
  std::optional<timespec> mtime;
  uint64_t cut = 0;
  BlockRanges zeros;
  std::vector<SpilledBlock> spilled;        // as members
  std::vector<SpilledPart> spilled_parts;   // of blocks that were spilled in pieces
  std::vector<std::byte> data;
  std::vector<Piece> pieces;  // of `data`
  ExtentMap was_unlogged;
};

// Blocks that are being spilled in pieces.
struct PieceBatch {
  struct Item {
    BlockPtr block;
    BlockPtr beneath;  // what stays beneath it
    std::vector<SpilledPiece> pieces;  // those without a log are at `offset` of `bytes`
  };
  std::vector<Item> items;
  std::vector<std::byte> bytes;
};

}  // namespace gzipfs
