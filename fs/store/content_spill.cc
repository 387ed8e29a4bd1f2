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
  uint64_t plain_before = 0;
  uint64_t plain_end = 0;
  {
    MutexLock lock(mutex_);
    plain_before = base_plain_;
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
  (void)AppendUpTo(plain_end);  // an error is kept for who writes or closes
  settle_mutex_.Unlock();
  MutexLock lock(mutex_);
  return base_plain_ > plain_before;
}

// Marks what is to be spilled next. Without `takes_unlogged`, blocks that the next
// fsync would have to read back stay.
std::vector<BlockPtr> ContentImpl::ChooseVictims(bool takes_unlogged) {
  constexpr uint64_t kVictimBytes = 4 * kMiB;
  std::vector<BlockPtr> victims;
  // A flush that has begun in append mode must end in it; it frees memory itself.
  if (appending_ || is_spilling_ || is_appending_all_ || append_error_) return victims;
  const size_t limit = std::max<uint64_t>(kVictimBytes / block_bytes_, 1);
  // From the back: in append mode those are the ones that would wait longest.
  // The block that is next goes to the base itself as soon as it is full. In logged
  // mode all are alike: each call begins where the last one ended.
  const bool is_append = mode_ == Mode::kAppend;
  const uint64_t next_index = base_plain_ / block_bytes_;
  auto entry = blocks_.rbegin();
  if (!is_append) entry = std::make_reverse_iterator(blocks_.lower_bound(spill_cursor_));
  for (size_t seen = 0; seen < blocks_.size() && victims.size() < limit; ++seen, ++entry) {
    if (entry == blocks_.rend()) entry = blocks_.rbegin();
    const BlockPtr& block = entry->second;
    const bool is_next = is_append && block->index <= next_index;
    if (!MaySpill(*block) || (is_next && !victims.empty())) continue;
    if (!takes_unlogged && unlogged_.contains(block->index)) continue;
    block->state = DirtyBlock::State::kSpilling;
    victims.push_back(block);
    spill_cursor_ = block->index;
  }
  is_spilling_ = !victims.empty();
  return victims;
}

// A checkpoint reads a frozen block as it was written, from wherever that is; its
// members, if it has some, are wanted.
bool ContentImpl::MaySpill(const DirtyBlock& block) const {
  if (block.state == DirtyBlock::State::kDirty) return true;
  return block.state == DirtyBlock::State::kEncoded && !block.is_frozen;
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
        EncodeBlock(profile_, store_.spill_level(), std::span(block->data.get(), end)));
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
  return RelieveByRetrying() || RelieveByAppending() || RelieveBySpilling(true);
}

// In logged mode memory is given back before anybody has to wait for it: what is
// in the log already is not needed soon.
void ContentImpl::RelieveEarly() {
  if (!store_.budget().IsTight()) return;
  {
    MutexLock lock(mutex_);
    if (mode_ != Mode::kLogged) return;
  }
  (void)RelieveBySpilling(false);
}

// The file to spill to: a new one when the last is long. The old one goes with the
// last block in it.
Result<std::shared_ptr<SpillLog>> ContentImpl::OpenSpillLog() {
  {
    MutexLock lock(mutex_);
    if (log_ && log_->size() < kMaxSpillBytes) return log_;
  }
  std::error_code no_path;
  auto log = store_.read_only()  // what its logs hold must not need more memory than allowed
                 ? SpillLog::Create(store_.ops(), AT_FDCWD, files::temp_directory_path(no_path))
                 : SpillLog::Create(store_.ops(), store_.log_dir_fd(), ".");
  if (!log) return log;
  MutexLock lock(mutex_);
  log_ = *log;
  return log;
}

// Those that were not spilled stay as they were.
void ContentImpl::FinishSpill(std::span<const BlockPtr> victims) {
  for (const BlockPtr& block : victims) {
    if (block->state == DirtyBlock::State::kLogged) continue;
    if (block->IsPacked()) {
      block->state = DirtyBlock::State::kEncoded;
      continue;
    }
    block->state = DirtyBlock::State::kDirty;
    block->encoded.reset();
  }
  is_spilling_ = false;
  changed_.NotifyAll();
}

bool ContentImpl::RelieveBySpilling(bool takes_unlogged) {
  std::vector<BlockPtr> victims;
  {
    MutexLock lock(mutex_);
    victims = ChooseVictims(takes_unlogged);
  }
  if (victims.empty()) return false;
  Result<void> done;
  uint64_t spilled_bytes = 0;
  const Result<std::shared_ptr<SpillLog>> log = OpenSpillLog();
  if (!log) done = Fail(log.error());
  if (log) {
    const uint64_t bytes_before = (*log)->size();
    const Result<std::vector<BlockPtr>> whole = SpillPieces(**log, victims);
    if (!whole) done = Fail(whole.error());
    for (size_t i = 0; done && i < whole->size(); ++i) done = SpillBlock(*log, (*whole)[i]);
    spilled_bytes = (*log)->size() - bytes_before;
  }
  bool relieved = false;
  bool has_much = false;
  {
    MutexLock lock(mutex_);
    relieved = std::any_of(victims.begin(), victims.end(), [](const BlockPtr& block) {
      return block->state == DirtyBlock::State::kLogged;
    });
    FinishSpill(victims);
    if (!done) append_error_ = done.error();
    if (mode_ == Mode::kLogged) spilled_bytes_ += spilled_bytes;
    has_much = spilled_bytes_ >= kLogLimitFactor * store_.log_bytes();
  }
  // What is written over and over leaves old bytes behind in the spill files.
  if (has_much && is_writable_) store_.checkpointer().Add(weak_from_this());
  AppendReady();  // one of them may be next now
  return relieved;
}

}  // namespace gzipfs
