// Spilling a block of which little was written: those bytes alone, as they are. To
// complete it from the base and to compress it would cost a hundred times as much,
// and most of it once more when more of the block is written.
#include <algorithm>
#include <cstring>

#include "fs/store/content_impl.h"

namespace gzipfs {

// Adds what `layer` and those beneath it, down to a frozen one, have of [begin, end)
// to the last item of `batch`. False when some of it is there as members only.
bool ContentImpl::GatherPieces(const DirtyBlock& layer, uint32_t begin, uint32_t end,
                               PieceBatch& batch) const {
  std::vector<SpilledPiece>& pieces = batch.items.back().pieces;
  for (const auto& [from, to, is_valid] : layer.valid.Pieces(begin, end)) {
    if (!is_valid) {
      if (!layer.beneath || layer.beneath->is_frozen) continue;
      if (!GatherPieces(*layer.beneath, from, to, batch)) return false;
    } else if (layer.data) {
      pieces.push_back({from, to, nullptr, batch.bytes.size()});
      batch.bytes.insert(batch.bytes.end(), layer.data.get() + from, layer.data.get() + to);
    } else if (layer.log || layer.IsPacked()) {
      return false;
    } else {
      for (const SpilledPiece& piece : layer.pieces) {
        const uint32_t first = std::max(from, piece.begin);
        const uint32_t last = std::min(to, piece.end);
        if (first >= last) continue;
        pieces.push_back({first, last, piece.log, piece.offset + (first - piece.begin)});
      }
    }
  }
  return true;
}

// False for a block that is to be spilled as members. A frozen one never is: they
// would be of what it is completed with now.
bool ContentImpl::AddToPieces(const BlockPtr& block, PieceBatch& batch) const {
  const size_t bytes_before = batch.bytes.size();
  batch.items.push_back({block, block->beneath, {}});
  PieceBatch::Item& item = batch.items.back();
  while (item.beneath && !item.beneath->is_frozen) item.beneath = item.beneath->beneath;
  bool fits = GatherPieces(*block, 0, static_cast<uint32_t>(block_bytes_), batch);
  uint64_t piece_bytes = 0;
  for (const SpilledPiece& piece : item.pieces) piece_bytes += piece.end - piece.begin;
  if (!block->is_frozen) fits = fits && !block->encoded && piece_bytes <= block_bytes_ / 2;
  if (fits) return true;
  batch.items.pop_back();
  batch.bytes.resize(bytes_before);
  return false;
}

// Spills what can be spilled in pieces by one write. Returns the blocks that are
// left, which are to be spilled as members.
Result<std::vector<BlockPtr>> ContentImpl::SpillPieces(SpillLog& log,
                                                       std::span<const BlockPtr> victims) {
  PieceBatch batch;
  std::vector<BlockPtr> others;
  {
    MutexLock lock(mutex_);
    for (const BlockPtr& block : victims) {
      const bool is_frozen = block->is_frozen;
      if (!AddToPieces(block, batch) && !is_frozen) others.push_back(block);
    }
  }
  if (batch.items.empty()) return others;
  const Result<LogPlace> place = log.Append(batch.bytes);
  if (!place) return Fail(place.error());
  MutexLock lock(mutex_);
  for (PieceBatch::Item& item : batch.items) {
    DirtyBlock& block = *item.block;
    block.valid = {};
    for (SpilledPiece& piece : item.pieces) {
      block.valid.Add(piece.begin, piece.end);
      if (piece.log) continue;
      piece.log = log.shared_from_this();
      piece.offset += place->offset;
    }
    block.pieces = std::move(item.pieces);
    // A checkpoint that ended meanwhile has taken what was frozen away.
    const DirtyBlock* layer = &block;
    while (layer && layer->beneath != item.beneath) layer = layer->beneath.get();
    if (!layer) item.beneath.reset();
    block.beneath = std::move(item.beneath);
    block.encode_begin = block.encode_end = 0;
    block.encoded.reset();
    block.state = DirtyBlock::State::kLogged;
    block.FreeData();
  }
  return others;
}

// Fills `out` with the bytes of `logged` from `begin` on, all of which it has.
Result<void> ContentImpl::FetchPieces(const DirtyBlock& logged, uint32_t begin,
                                      std::span<std::byte> out) {
  const auto end = begin + static_cast<uint32_t>(out.size());
  for (const SpilledPiece& piece : logged.pieces) {
    const uint32_t first = std::max(begin, piece.begin);
    const uint32_t last = std::min(end, piece.end);
    if (first >= last) continue;
    const LogPlace place{piece.offset + (first - piece.begin), last - first};
    GZIPFS_TRY(piece.log->Read(place, out.subspan(first - begin, last - first)));
  }
  return {};
}

}  // namespace gzipfs
