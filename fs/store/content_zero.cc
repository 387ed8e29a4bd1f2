// Zeroing a range: whole blocks are noted as zeros, which hides what the base has of
// them; what is left at both ends is written as zeros.
//
// No checkpoint runs meanwhile, so that a snapshot's zeros are all there are when its
// image becomes the base.
#include <algorithm>
#include <utility>

#include "codec/block_math.h"
#include "fs/store/content_impl.h"
#include "fs/sys/at.h"

namespace gzipfs {
namespace {

// Ranges of zeroed blocks that a file may have, and as many that its log has not, of about
// 64 bytes each. Beyond that a checkpoint makes them blocks of the base; the log takes its own.
constexpr size_t kMaxZeroRanges = 64 * 1024;

}  // namespace

Result<void> ContentImpl::MakeRoomForZeros() {
  const uint64_t log_limit_bytes = kLogLimitFactor * LogShare();
  {
    MutexLock log_lock(log_mutex_);
    bool has_room = false;
    bool has_log_room = true;
    {
      MutexLock lock(mutex_);
      has_room = zeros_.count() < kMaxZeroRanges && (!redo_ || redo_->takes_zeros());
      has_log_room = unlogged_zeros_.count() < kMaxZeroRanges;
    }
    // Where the base has nothing any number of ranges may wait for the log.
    if (has_room && !has_log_room) {
      GZIPFS_TRY(CommitToLog());
      has_room = redo_ && redo_->committed_bytes() < log_limit_bytes;
    }
    if (has_room) return {};
  }
  return CheckpointEarly();
}

// Blocks [begin, end) are zeros, those of them that the file has. REQUIRES: none is on
// its way anywhere.
void ContentImpl::ZeroBlocks(uint64_t begin, uint64_t end) {
  blocks_.erase(blocks_.lower_bound(begin), blocks_.lower_bound(end));
  const uint64_t base_end = BlockCount(base_limit_, block_bytes_);
  if (begin < base_end) {
    zeros_.Add(begin, std::min(end, base_end));
    mode_ = Mode::kLogged;
  }
  if (!has_redo_) return;
  unlogged_.erase(unlogged_.lower_bound(begin), unlogged_.lower_bound(end));
  unlogged_zeros_.Add(begin, end);
}

// Zeros for [begin, end) of one block.
void ContentImpl::ZeroPart(uint64_t begin, uint64_t end, uint64_t& reserved_bytes,
                           std::vector<BlockPtr>& full) {
  if (begin >= end) return;
  const uint64_t index = begin / block_bytes_;
  const bool is_hole = BlockStart(index) >= base_limit_ || zeros_.Contains(index);
  if (is_hole && !blocks_.contains(index)) return;
  const std::vector<std::byte> zeros(end - begin);
  WriteBlock(index, static_cast<uint32_t>(begin - BlockStart(index)), zeros, reserved_bytes);
  if (BlockPtr& block = blocks_[index]; MarkForEncoding(block)) full.push_back(block);
}

// REQUIRES: begin < end <= plain_bytes_, and no block is on its way anywhere.
void ContentImpl::ZeroRange(uint64_t begin, uint64_t end, uint64_t& reserved_bytes,
                            std::vector<BlockPtr>& full) {
  const uint64_t first = BlockCount(begin, block_bytes_);
  // What the last block has behind the end of the file is zeros already.
  const uint64_t last =
      end == plain_bytes_ ? BlockCount(end, block_bytes_) : end / block_bytes_;
  if (first > last) return ZeroPart(begin, end, reserved_bytes, full);
  ZeroPart(begin, std::min(BlockStart(first), end), reserved_bytes, full);
  if (first < last) ZeroBlocks(first, last);
  ZeroPart(BlockStart(last), end, reserved_bytes, full);
}

Result<void> ContentImpl::Zero(uint64_t plain_begin, uint64_t plain_end, bool may_grow) {
  if (plain_end > kMaxPlainBytes) return Fail(EFBIG);
  uint64_t reserved_bytes = 2 * block_bytes_;
  GZIPFS_TRY(store_.budget().Reserve(reserved_bytes));
  const DirtyBudget::Rest rest(store_.budget(), reserved_bytes);
  std::vector<BlockPtr> full;
  Result<void> done;
  {
    ++settle_waiter_count_;
    MutexLock settle_lock(settle_mutex_);
    --settle_waiter_count_;
    const DirtyBudget::Settling settling(store_.budget());
    done = MakeRoomForZeros();
    MutexLock lock(mutex_);
    append_error_ = {};
    if (done) done = CheckWritable();
    if (done) AwaitQuiet();
    const uint64_t zero_end = std::min(plain_end, plain_bytes_);
    if (done && plain_begin < zero_end) ZeroRange(plain_begin, zero_end, reserved_bytes, full);
    if (done && (plain_begin < zero_end || may_grow)) {
      if (may_grow) plain_bytes_ = std::max(plain_bytes_, plain_end);
      mtime_ = FileClockNow();
      is_modified_ = true;
      ++change_count_;
      if (!base_->is_conforming()) mode_ = Mode::kLogged;
    }
  }
  store_.budget().Release(std::exchange(reserved_bytes, 0));
  for (BlockPtr& block : full) SubmitEncoding(std::move(block), store_.level());
  return done;
}

}  // namespace gzipfs
