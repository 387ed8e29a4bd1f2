// Writing and truncating: plain bytes go into dirty blocks; a block that is
// full for the first time goes to the compressors.
#include <algorithm>
#include <cstring>
#include <utility>

#include "codec/block_math.h"
#include "fs/store/content_impl.h"
#include "fs/sys/at.h"

namespace gzipfs {

Result<void> ContentImpl::CheckWritable() {
  if (is_replaying_) return {};
  if (!is_writable_) return Fail(EROFS);
  if (write_error_) return Fail(write_error_);
  if (sticky_error_) return Fail(sticky_error_);
  // Told once: what is in memory stays there, and the next try may succeed.
  if (append_error_) return Fail(std::exchange(append_error_, {}));
  return {};
}

// Waits for the first block of the range that is being written to the base;
// true if there was one, and everything may have changed.
bool ContentImpl::AwaitAppending(uint64_t plain_offset, uint64_t byte_count) {
  const auto end =
      blocks_.lower_bound((plain_offset + byte_count + block_bytes_ - 1) / block_bytes_);
  for (auto next = blocks_.lower_bound(plain_offset / block_bytes_); next != end; ++next) {
    if (next->second->state != DirtyBlock::State::kAppending) continue;
    changed_.Wait(mutex_);
    return true;
  }
  return false;
}

// How many bytes of the range are in blocks that lie in it as a whole.
uint64_t ContentImpl::WholeBlockBytes(uint64_t plain_offset, uint64_t byte_count) const {
  const uint64_t begin = RoundUp(plain_offset, block_bytes_);
  const uint64_t end = RoundDown(plain_offset + byte_count, block_bytes_);
  return end > begin ? end - begin : 0;
}

// The block at `block_index` that takes writes; made when there is none, or on
// top of one that takes no more. REQUIRES: AwaitAppending found nothing.
BlockPtr ContentImpl::MutableBlock(uint64_t block_index, uint64_t& reserved_bytes) {
  const auto found = blocks_.find(block_index);
  BlockPtr beneath = found == blocks_.end() ? nullptr : found->second;
  if (beneath && beneath->IsMutable()) return beneath;
  // The budget was reserved beforehand; from here on the block owns its part.
  auto block = std::make_shared<DirtyBlock>(block_index, block_bytes_, store_.budget());
  reserved_bytes -= block_bytes_;
  block->was_submitted = beneath != nullptr;
  block->beneath = std::move(beneath);
  blocks_[block_index] = block;
  return block;
}

void ContentImpl::WriteBlock(uint64_t block_index, uint32_t begin,
                             std::span<const std::byte> bytes, uint64_t& reserved_bytes) {
  const BlockPtr block = MutableBlock(block_index, reserved_bytes);
  std::memcpy(block->data.get() + begin, bytes.data(), bytes.size());
  block->valid.Add(begin, begin + static_cast<uint32_t>(bytes.size()));
  if (BlockStart(block_index) + begin < base_plain_ || !base_->is_conforming()) {
    mode_ = Mode::kLogged;
  }
  if (has_redo_) {
    unlogged_[block_index].Add(begin, begin + static_cast<uint32_t>(bytes.size()));
  }
}

// A block that has all its bytes for the first time is compressed at once,
// while its writer goes on. In append mode a block that reaches into the base
// is complete from the base's end on.
bool ContentImpl::MarkForEncoding(const BlockPtr& block) {
  if (!block->IsMutable() || block->was_submitted) return false;
  const uint64_t start = BlockStart(block->index);
  uint32_t begin = 0;
  if (mode_ == Mode::kAppend && start < base_plain_) {
    begin = static_cast<uint32_t>(base_plain_ - start);
  }
  if (!block->valid.Covers(begin, static_cast<uint32_t>(block_bytes_))) return false;
  block->encode_begin = begin;
  block->encode_end = static_cast<uint32_t>(block_bytes_);
  block->state = DirtyBlock::State::kEncoding;
  block->was_submitted = true;
  return true;
}

// Blocks behind the one that is next to be appended may fill the budget; who
// brings that one must not wait for them.
bool ContentImpl::IsNextToAppend(uint64_t plain_offset, uint64_t byte_count) const {
  MutexLock lock(mutex_);
  const uint64_t next_start = RoundDown(base_plain_, block_bytes_);
  return mode_ == Mode::kAppend && plain_offset < next_start + block_bytes_ &&
         plain_offset + byte_count > next_start && !append_error_;
}

Result<uint64_t> ContentImpl::WriteImpl(std::optional<uint64_t> plain_offset,
                                        std::span<const std::byte> bytes, WriteSource source) {
  const uint64_t skip = plain_offset ? *plain_offset % block_bytes_ : block_bytes_ - 1;
  const uint64_t touched_blocks = (skip + bytes.size() + block_bytes_ - 1) / block_bytes_;
  uint64_t reserved_bytes = touched_blocks * block_bytes_;
  GZIPFS_TRY(store_.budget().Reserve(reserved_bytes, [&] {
    return plain_offset && IsNextToAppend(*plain_offset, bytes.size());
  }));
  const DirtyBudget::Rest rest(store_.budget(), reserved_bytes);
  PackedBlocks packed;
  const uint64_t whole_bytes = plain_offset ? WholeBlockBytes(*plain_offset, bytes.size()) : 0;
  int level = kLevelFast;
  if (whole_bytes > 0) {
    level = store_.WriteLevel(whole_bytes);
    if (source == WriteSource::kKernel) packed = PackWholeBlocks(*plain_offset, bytes, level);
  }
  const bool has_packed = !packed.empty();
  std::vector<BlockPtr> full;
  uint64_t at = 0;
  Result<void> checked;
  {
    MutexLock lock(mutex_);
    do {
      checked = CheckWritable();
      at = plain_offset.value_or(plain_bytes_);
      if (checked && at + bytes.size() > kMaxPlainBytes) checked = Fail(EFBIG);
    } while (checked && AwaitAppending(at, bytes.size()));
    for (uint64_t done = 0; checked && done < bytes.size();) {
      const uint64_t index = (at + done) / block_bytes_;
      const uint64_t begin = (at + done) % block_bytes_;
      const uint64_t count = std::min<uint64_t>(bytes.size() - done, block_bytes_ - begin);
      done += count;
      if (TakePacked(index, packed, reserved_bytes)) continue;
      WriteBlock(index, static_cast<uint32_t>(begin), bytes.subspan(done - count, count),
                 reserved_bytes);
      if (BlockPtr& block = blocks_[index]; MarkForEncoding(block)) full.push_back(block);
    }
    if (checked && !bytes.empty()) {
      const bool appends = at <= plain_bytes_ && at + bytes.size() > plain_bytes_;
      if (!appends) wrote_inside_at_ = std::chrono::steady_clock::now();
      plain_bytes_ = std::max(plain_bytes_, at + bytes.size());
      if (!is_replaying_) mtime_ = FileClockNow();
      is_modified_ = true;
      ++change_count_;
    }
  }
  store_.budget().Release(std::exchange(reserved_bytes, 0));
  if (!full.empty() && whole_bytes == 0) level = store_.WriteLevel(full.size() * block_bytes_);
  for (BlockPtr& block : full) SubmitEncoding(std::move(block), level);
  if (has_packed) AppendReady();
  RelieveEarly();
  if (!checked) return Fail(checked.error());
  return at;
}

// The kernel writes back whole pages: an append comes with the bytes before it
// that share its page. If the base has them already they are no overwrite.
uint64_t ContentImpl::CountKnownBytes(uint64_t plain_offset, std::span<const std::byte> bytes) {
  SharedLock base_lock(base_lock_);
  std::shared_ptr<BaseFile> base;
  uint64_t known_end = 0;
  {
    MutexLock lock(mutex_);
    if (mode_ != Mode::kAppend || plain_offset >= base_plain_) return 0;
    if (plain_offset + block_bytes_ < base_plain_) return 0;
    base = base_;
    known_end = std::min(base_plain_, plain_offset + bytes.size());
    if (end_plain_ == base_plain_ && plain_offset + end_bytes_.size() >= base_plain_) {
      const auto known = std::span(end_bytes_)
                             .subspan(end_bytes_.size() - (base_plain_ - plain_offset))
                             .first(known_end - plain_offset);
      return std::equal(known.begin(), known.end(), bytes.begin()) ? known.size() : 0;
    }
  }
  std::vector<std::byte> known(known_end - plain_offset);
  if (!base->Read(plain_offset, known)) return 0;
  if (!std::equal(known.begin(), known.end(), bytes.begin())) return 0;
  MutexLock lock(mutex_);
  if (known_end == base_plain_ && base == base_ && known.size() <= kEndBytes) {
    end_bytes_ = known;  // who appends a line will append another one
    end_plain_ = known_end;
  }
  return known.size();
}

// So that the next append needs no read. The bytes are in memory still, but for
// those of a block that was spilled.
void ContentImpl::RememberEnd(const DirtyBlock& appended) {
  const uint64_t start = BlockStart(appended.index);
  if (end_plain_ != start + appended.encode_begin || !appended.data) end_bytes_.clear();
  end_plain_ = start + appended.encode_end;
  if (!appended.data) return;
  const size_t byte_count =
      std::min<size_t>(appended.encode_end - appended.encode_begin, kEndBytes);
  const std::byte* const end = appended.data.get() + appended.encode_end;
  end_bytes_.insert(end_bytes_.end(), end - byte_count, end);
  if (end_bytes_.size() > kEndBytes) {
    end_bytes_.erase(end_bytes_.begin(), end_bytes_.end() - kEndBytes);
  }
}

Result<void> ContentImpl::Write(uint64_t plain_offset, std::span<const std::byte> bytes,
                                WriteSource source) {
  const uint64_t known_bytes = CountKnownBytes(plain_offset, bytes);
  if (known_bytes > 0) {
    MutexLock lock(mutex_);
    if (mode_ == Mode::kAppend && base_plain_ >= plain_offset + known_bytes) {
      bytes = bytes.subspan(known_bytes);
      plain_offset += known_bytes;
    }
  }
  if (bytes.empty()) return {};
  Result<uint64_t> at = WriteIfItFits(plain_offset, bytes, source);
  if (!at) return Fail(at.error());
  return {};
}

Result<uint64_t> ContentImpl::WriteAtEnd(std::span<const std::byte> bytes) {
  return WriteIfItFits(std::nullopt, bytes, WriteSource::kProgram);
}

Result<uint64_t> ContentImpl::WriteIfItFits(std::optional<uint64_t> plain_offset,
                                            std::span<const std::byte> bytes,
                                            WriteSource source) {
  const Result<SpaceGate::Pass> pass = store_.space().Enter(bytes.size() + 2 * block_bytes_);
  if (!pass) return Fail(pass.error());
  return WriteImpl(plain_offset, bytes, source);
}

// Waits until no block is on its way anywhere and nobody writes to the base.
void ContentImpl::AwaitQuiet() {
  const auto is_busy = [](const auto& entry) { return entry.second->IsOnItsWay(); };
  while (appending_ || is_spilling_ || std::any_of(blocks_.begin(), blocks_.end(), is_busy)) {
    changed_.Wait(mutex_);
  }
}

// Drops what is behind `plain_bytes`. `reserved_bytes` pays for a layer.
void ContentImpl::CutBlocks(uint64_t plain_bytes, uint64_t& reserved_bytes) {
  zeros_.CutAt(BlockCount(plain_bytes, block_bytes_));
  if (has_redo_) {
    unlogged_cut_ = std::min(unlogged_cut_, plain_bytes);
    unlogged_zeros_.CutAt(BlockCount(plain_bytes, block_bytes_));
    unlogged_.erase(unlogged_.lower_bound(BlockCount(plain_bytes, block_bytes_)),
                    unlogged_.end());
    const auto last = unlogged_.find(plain_bytes / block_bytes_);
    if (last != unlogged_.end()) {
      last->second.CutAt(static_cast<uint32_t>(plain_bytes % block_bytes_));
    }
  }
  blocks_.erase(blocks_.lower_bound(BlockCount(plain_bytes, block_bytes_)),
                blocks_.end());
  const auto last = blocks_.find(plain_bytes / block_bytes_);
  if (last == blocks_.end()) return;
  const auto end = static_cast<uint32_t>(plain_bytes - BlockStart(last->first));
  BlockPtr& block = last->second;
  // Nothing of it stays, or nothing that the base has not.
  const bool is_in_base = mode_ == Mode::kAppend && plain_bytes <= base_plain_;
  if (is_in_base || block->FirstByte() >= end) {
    blocks_.erase(last);
    return;
  }
  if (block->IsMutable() && !block->beneath) {
    block->valid.CutAt(end);
    if (block->valid.empty()) blocks_.erase(last);
    return;
  }
  // Bytes behind the cut must read as zeros if the file grows again, those of
  // the layers beneath too: zeros on top hide them.
  auto top = std::make_shared<DirtyBlock>(last->first, block_bytes_, store_.budget());
  reserved_bytes -= block_bytes_;
  top->was_submitted = true;
  top->beneath = block;
  std::memset(top->data.get() + end, 0, block_bytes_ - end);
  top->valid.Add(end, static_cast<uint32_t>(block_bytes_));
  block = std::move(top);
  // Members go to the log whole, with what the cut left behind: the zeros go behind them.
  if (has_redo_) unlogged_[block->index].Add(end, static_cast<uint32_t>(block_bytes_));
}

// Cuts the base itself when that loses nothing that should stay: at a member
// boundary with nothing overwritten before it. Otherwise the cut waits for a
// checkpoint, and base_limit_ hides what is behind it.
Result<void> ContentImpl::CutBase(uint64_t plain_bytes, bool may_cut) {
  MutexLock log_lock(log_mutex_);
  if (redo_ && may_cut) {
    // An empty file needs no log. But until the base has been cut durably the
    // log has to say so.
    GZIPFS_TRY(CommitToLog());
    MutexLock lock(mutex_);
    if (plain_bytes_ != plain_bytes) return {};
  }
  ExclusiveLock base_lock(base_lock_);
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (!may_cut) return {};
    // Not for a spill: it may be waiting for base_lock_.
    while (appending_) changed_.Wait(mutex_);
    appending_ = true;
    base = base_;
  }
  Result<bool> is_boundary = base->IsBoundary(plain_bytes);
  const bool cuts = is_boundary && *is_boundary;
  Result<void> cut;
  if (cuts) cut = base->CutAt(plain_bytes);
  std::error_code sync_error;
  if (cuts && cut && redo_) {
    cut = store_.ops().SyncData(base->fd());
    if (cut) cut = DropLog();
    // The log is for a base that is no more: nothing may be added to it.
    if (!cut) sync_error = cut.error();
  }
  MutexLock lock(mutex_);
  if (sync_error) sticky_error_ = sync_error;
  appending_ = false;
  changed_.NotifyAll();
  if (!cut || !cuts) return cut;
  base_plain_ = base_limit_ = plain_bytes;
  end_bytes_.clear();
  mode_ = Mode::kAppend;  // logged it was for the time of the cut,
  HideAppendedHole();     // and is again if somebody wrote
  return {};
}

Result<void> ContentImpl::Extend(uint64_t plain_bytes) {
  if (plain_bytes > kMaxPlainBytes) return Fail(EFBIG);
  MutexLock lock(mutex_);
  GZIPFS_TRY(CheckWritable());
  if (plain_bytes <= plain_bytes_) return {};
  plain_bytes_ = plain_bytes;
  mtime_ = FileClockNow();
  is_modified_ = true;
  ++change_count_;
  if (!base_->is_conforming()) mode_ = Mode::kLogged;
  return {};
}

Result<void> ContentImpl::Truncate(uint64_t plain_bytes) {
  if (plain_bytes > kMaxPlainBytes) return Fail(EFBIG);
  uint64_t reserved_bytes = block_bytes_;
  GZIPFS_TRY(store_.budget().Reserve(reserved_bytes));
  const DirtyBudget::Rest rest(store_.budget(), reserved_bytes);
  MutexLock settle_lock(settle_mutex_);
  const DirtyBudget::Settling settling(store_.budget());
  bool cuts_base = false;
  bool may_cut = false;
  Result<void> checked;
  {
    MutexLock lock(mutex_);
    append_error_ = {};
    checked = CheckWritable();
    if (checked) {
      if (plain_bytes < plain_bytes_) {
        AwaitQuiet();
        CutBlocks(plain_bytes, reserved_bytes);
        base_limit_ = std::min(base_limit_, plain_bytes);
        cuts_base = plain_bytes < base_plain_;
        may_cut = plain_bytes == 0 || (mode_ == Mode::kAppend && base_->is_conforming());
        if (cuts_base || plain_bytes == 0) mode_ = Mode::kLogged;  // until the base is cut
        cuts_base = cuts_base || plain_bytes == 0;
      }
      if (plain_bytes != plain_bytes_) mtime_ = FileClockNow();
      plain_bytes_ = plain_bytes;
      is_modified_ = true;
      ++change_count_;
      if (!base_->is_conforming()) mode_ = Mode::kLogged;
    }
  }
  store_.budget().Release(std::exchange(reserved_bytes, 0));
  if (!checked) return checked;
  return cuts_base ? CutBase(plain_bytes, may_cut) : Result<void>();
}

}  // namespace gzipfs
