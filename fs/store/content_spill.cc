// Relief: what to do with dirty blocks that cannot go to the base when memory
// is needed.
#include <fcntl.h>

#include <algorithm>
#include <filesystem>

#include "fs/store/content_impl.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;

constexpr uint64_t kMaxSpillBytes = 64 * kMiB;  // of one spill file

}  // namespace

// After an error there may be space again.
bool ContentImpl::RelieveByRetrying() {
  uint64_t plain_before = 0;
  {
    MutexLock lock(mutex_);
    if (!append_error_) return false;
    append_error_ = {};
    plain_before = base_plain_;
  }
  AppendReady();
  MutexLock lock(mutex_);
  return base_plain_ > plain_before;
}

// A file in append mode gives its next bytes to the base rather than becoming
// logged, if that completes a block or empties the file's memory.
bool ContentImpl::RelieveByAppending() {
  uint64_t plain_end = 0;
  {
    MutexLock lock(mutex_);
    if (mode_ != Mode::kAppend || blocks_.empty() || append_error_) return false;
    const BlockPtr& block = blocks_.begin()->second;
    const uint64_t start = BlockStart(block->index);
    if (!block->IsMutable() || start > base_plain_) return false;
    const auto begin = static_cast<uint32_t>(base_plain_ - start);
    const bool is_full =
        block->beneath || block->valid.Covers(begin, static_cast<uint32_t>(block_bytes_));
    const bool is_alone = blocks_.size() == 1 && block->valid.extents().size() == 1 &&
                          block->valid.first_byte() == begin;
    if (!is_full && !is_alone) return false;
    plain_end = is_full ? std::min(start + block_bytes_, plain_bytes_)
                        : start + block->valid.end_byte();
  }
  if (!settle_mutex_.TryLock()) return false;
  const Result<void> done = AppendUpTo(plain_end);
  settle_mutex_.Unlock();
  return done.has_value();
}

std::vector<BlockPtr> ContentImpl::ChooseVictims() {
  constexpr uint64_t kVictimBytes = 4 * kMiB;
  std::vector<BlockPtr> victims;
  // A flush that has begun in append mode must end in it; it frees memory itself.
  if (appending_ || is_spilling_ || is_appending_all_ || append_error_) return victims;
  const size_t limit = std::max<uint64_t>(kVictimBytes / block_bytes_, 1);
  // From the back: in append mode those are the ones that would wait longest.
  // The block that is next goes to the base itself as soon as it is full.
  const uint64_t next_index = base_plain_ / block_bytes_;
  for (auto entry = blocks_.rbegin(); entry != blocks_.rend(); ++entry) {
    const BlockPtr& block = entry->second;
    const bool is_next = mode_ == Mode::kAppend && block->index <= next_index;
    if (!MaySpill(*block) || (is_next && !victims.empty())) continue;
    block->state = DirtyBlock::State::kSpilling;
    victims.push_back(block);
    if (victims.size() == limit) break;
  }
  is_spilling_ = !victims.empty();
  return victims;
}

bool ContentImpl::MaySpill(const DirtyBlock& block) const {
  if (block.is_frozen) return false;
  return block.state == DirtyBlock::State::kEncoded || block.state == DirtyBlock::State::kDirty;
}

// Writes all plain bytes of `block` to the log as members.
Result<void> ContentImpl::SpillBlock(const std::shared_ptr<SpillLog>& log,
                                     const BlockPtr& block) {
  uint64_t plain_bytes = 0;
  std::shared_ptr<const EncodedBlock> encoded;
  {
    MutexLock lock(mutex_);
    plain_bytes = std::min(plain_bytes_ - BlockStart(block->index), block_bytes_);
    encoded = block->encoded;
    if (block->encode_begin != 0 || block->encode_end != plain_bytes) encoded = nullptr;
  }
  const auto end = static_cast<uint32_t>(plain_bytes);
  if (!encoded) {
    GZIPFS_TRY(Complete(block, 0, end));
    encoded = std::make_shared<EncodedBlock>(
        EncodeBlock(profile_, store_.level(), std::span(block->data.get(), end)));
  }
  Result<LogPlace> place = log->Append(encoded->bytes);
  if (!place) return Fail(place.error());
  MutexLock lock(mutex_);
  block->encode_begin = 0;
  block->encode_end = end;
  block->log = log;
  block->log_place = *place;
  block->valid.CutAt(end);  // zeros behind the end are the base's to give
  block->encoded = std::make_shared<EncodedBlock>(EncodedBlock{{}, encoded->members});
  block->state = DirtyBlock::State::kLogged;
  block->beneath.reset();
  block->FreeData();
  return {};
}

bool ContentImpl::Relieve() {
  return RelieveByRetrying() || RelieveByAppending() || RelieveBySpilling();
}

bool ContentImpl::RelieveBySpilling() {
  std::vector<BlockPtr> victims;
  std::shared_ptr<SpillLog> log;
  {
    MutexLock lock(mutex_);
    victims = ChooseVictims();
    log = log_;
  }
  if (victims.empty()) return false;
  Result<void> done;
  std::error_code no_path;
  // The old one goes with the last block in it.
  if (!log || log->size() >= kMaxSpillBytes) {
    Result<std::shared_ptr<SpillLog>> created =
        store_.read_only()  // what its logs hold must not need more memory than allowed
            ? SpillLog::Create(store_.ops(), AT_FDCWD, files::temp_directory_path(no_path))
            : SpillLog::Create(store_.ops(), store_.log_dir_fd(), ".");
    if (created) log = std::move(*created);
    if (!created) done = Fail(created.error());
    MutexLock lock(mutex_);
    log_ = log;
  }
  bool relieved = false;
  for (const BlockPtr& block : victims) {
    if (done) done = SpillBlock(log, block);
    MutexLock lock(mutex_);
    if (block->state == DirtyBlock::State::kLogged) {
      relieved = true;
    } else {
      block->state = DirtyBlock::State::kDirty;
      block->encoded.reset();
    }
  }
  {
    MutexLock lock(mutex_);
    is_spilling_ = false;
    if (!done) append_error_ = done.error();
    changed_.NotifyAll();
  }
  AppendReady();  // one of them may be next now
  return relieved;
}

}  // namespace gzipfs
