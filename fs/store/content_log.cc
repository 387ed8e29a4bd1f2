// fsync in logged mode: what changed since the last one goes to the redo log
// as one batch, closed by a commit record, with one fdatasync for all who wait.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/store/content_impl.h"
#include "fs/store/redo_log.h"

namespace gzipfs {

// Copies what of [begin, end) is in memory, and notes the spilled and the packed
// blocks that hold the rest. Everything in the range was written: none of it is the base's.
void ContentImpl::CollectUnlogged(const BlockPtr& block, uint32_t begin, uint32_t end,
                                  LogBatch& batch) const {
  if (!block) return;
  for (const auto& [from, to, is_valid] : block->valid.Pieces(begin, end)) {
    if (!is_valid) {
      CollectUnlogged(block->beneath, from, to, batch);
    } else if (block->data) {
      batch.pieces.push_back({BlockStart(block->index) + from, batch.data.size(), to - from});
      batch.data.insert(batch.data.end(), block->data.get() + from, block->data.get() + to);
    } else if (!block->log && !block->IsPacked()) {
      batch.spilled_parts.push_back({block, from, to});
    } else if (std::none_of(batch.spilled.begin(), batch.spilled.end(),
                            [&](const auto& spilled) { return spilled.block == block; })) {
      batch.spilled.push_back({block, block->IsPacked() ? block->encoded : nullptr});
    }
  }
}

// The state of this instant, as far as it is in `extents` or in a cut.
LogBatch ContentImpl::CaptureBatch(ExtentMap extents) {
  LogBatch batch;
  batch.change_count = change_count_;
  batch.plain_bytes = plain_bytes_;
  batch.mtime = mtime_;
  batch.cut = std::exchange(unlogged_cut_, kNoCut);
  batch.zeros = std::exchange(unlogged_zeros_, {});
  batch.was_unlogged = std::exchange(unlogged_, {});
  size_t byte_count = 0;
  for (const auto& [index, set] : extents) {
    for (const Extent& extent : set.extents()) byte_count += extent.end - extent.begin;
  }
  // What is in memory of them is charged to the budget.
  batch.data.reserve(std::min<uint64_t>(byte_count, store_.budget().used_bytes()));
  for (const auto& [index, set] : extents) {
    const auto found = blocks_.find(index);
    if (found == blocks_.end()) continue;
    for (const Extent& extent : set.extents()) {
      CollectUnlogged(found->second, extent.begin, extent.end, batch);
    }
  }
  return batch;
}

// A batch that did not reach the log: the next one takes it along.
void ContentImpl::RestoreUnlogged(LogBatch& batch) {
  MutexLock lock(mutex_);
  unlogged_cut_ = std::min(unlogged_cut_, batch.cut);
  unlogged_zeros_.Add(batch.zeros);
  for (const auto& [index, set] : batch.was_unlogged) {
    for (const Extent& extent : set.extents()) unlogged_[index].Add(extent.begin, extent.end);
  }
}

// What was zeroed since the last commit comes first, because what was written before that
// is in no batch any more; then spilled blocks: what lies on top of them in memory is newer.
Result<void> ContentImpl::WriteBatch(RedoLog& log, const LogBatch& batch) {
  if (batch.cut != kNoCut) log.Add(LogRecordType::kCut, batch.cut, {});
  batch.zeros.ForEach([&](const BlockRanges::Range& range) {
    log.Add(LogRecordType::kZero, BlockStart(range.begin),
            EncodeLogLength(BlockStart(range.end - range.begin)));
  });
  for (const auto& [block, packed] : batch.spilled) {
    if (packed) {
      log.Add(LogRecordType::kMember, BlockStart(block->index), EncodeLogMembers(*packed));
      continue;
    }
    const Result<EncodedBlock> members = FetchMembers(*block);
    if (!members) return Fail(members.error());
    log.Add(LogRecordType::kMember, BlockStart(block->index) + block->encode_begin,
            EncodeLogMembers(*members));
  }
  std::vector<std::byte> bytes;
  for (const auto& [block, begin, end] : batch.spilled_parts) {
    bytes.resize(end - begin);
    GZIPFS_TRY(FetchPieces(*block, begin, bytes));
    log.Add(LogRecordType::kData, BlockStart(block->index) + begin, bytes);
  }
  const std::span data(batch.data);
  for (const auto& [plain_offset, at, byte_count] : batch.pieces) {
    log.Add(LogRecordType::kData, plain_offset, data.subspan(at, byte_count));
  }
  log.Add(LogRecordType::kCommit, batch.plain_bytes, EncodeLogTime(batch.mtime));
  return log.Commit();
}

// Every written byte that is not in the base.
ExtentMap ContentImpl::WrittenSince(const BlockMap& blocks) const {
  ExtentMap extents;
  for (const auto& [index, top] : blocks_) {
    const auto frozen = blocks.find(index);
    const DirtyBlock* const stop = frozen == blocks.end() ? nullptr : frozen->second.get();
    // A frozen block that was spilled meanwhile may have another one in its place: then
    // all there is counts, which is more than need be and the same bytes.
    for (const DirtyBlock* layer = top.get(); layer && layer != stop;
         layer = layer->beneath.get()) {
      for (const Extent& extent : layer->valid.extents()) {
        extents[index].Add(extent.begin, extent.end);
      }
    }
  }
  return extents;
}

// The base must be durable before a log relies on it. False for a base without
// a name: nobody could ever replay a log for that.
Result<bool> ContentImpl::StartLog() {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  const Result<struct stat> attributes = store_.ops().Stat(base->fd());
  if (!attributes) return Fail(attributes.error());
  if (attributes->st_nlink == 0) return false;
  if (const Result<void> synced = store_.ops().SyncData(base->fd()); !synced) {
    MutexLock lock(mutex_);
    sticky_error_ = synced.error();
    return Fail(synced.error());
  }
  const Result<BaseIdentity> identity = IdentityOf(store_.ops(), base->fd());
  if (!identity) return Fail(identity.error());
  const std::string name = LogName(identity->ino);
  auto log = RedoLog::Create(store_.ops(), store_.log_dir_fd(), name, *identity);
  if (!log && log.error().value() == EEXIST) {
    // It could not be removed when its time had come, or we would have read it.
    GZIPFS_TRY(store_.ops().UnlinkAt(store_.log_dir_fd(), name.c_str(), 0));
    log = RedoLog::Create(store_.ops(), store_.log_dir_fd(), name, *identity);
  }
  if (!log) return Fail(log.error());
  redo_ = std::move(*log);
  log_has_prefix_ = false;
  base_ino_ = identity->ino;
  store_.logs().Add(base_ino_);
  logged_change_count_ = 0;
  PutOffCheckpoint();
  MutexLock lock(mutex_);
  has_redo_ = true;
  unlogged_ = WrittenSince({});
  unlogged_cut_ = base_limit_ < base_plain_ ? base_limit_ : kNoCut;
  unlogged_zeros_ = zeros_;
  return true;
}

// The file has no log from here on, whatever became of it on the disk.
void ContentImpl::ForgetLog() {
  redo_.reset();
  store_.logs().Remove(base_ino_);
  MutexLock lock(mutex_);
  has_redo_ = false;
  unlogged_.clear();
  unlogged_cut_ = kNoCut;
  unlogged_zeros_.Clear();
}

// REQUIRES: nothing in it counts (any more). The base lives on and will change:
// were the log to come back after a power cut, its cut or its image would take
// away what is synced by then. So its removal is durable first; if it cannot be
// made so, nothing may change any more.
Result<void> ContentImpl::DropLog() {
  if (!redo_) return {};
  const bool says_something = redo_->committed_bytes() > 0;
  Result<void> removed = redo_->Remove();
  if (removed && says_something) removed = store_.ops().SyncAll(store_.log_dir_fd());
  if (!removed) {
    spdlog::warn("{}: cannot remove its log: {}", place_.Describe(), removed.error().message());
  }
  ForgetLog();
  if (removed || !says_something) return removed;
  MutexLock lock(mutex_);
  sticky_error_ = removed.error();
  return removed;
}

Result<void> ContentImpl::CommitToLog() {
  LogBatch batch;
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    // A sync that failed may not be tried again as if nothing had happened.
    if (sticky_error_) return Fail(sticky_error_);
    batch = CaptureBatch(unlogged_);
    base = base_;
  }
  const bool is_first = redo_->committed_bytes() == 0;
  Result<void> done;
  if (log_has_prefix_) {
    // What was appended while its members were joined is in the base alone.
    done = store_.ops().SyncData(base->fd());
    MutexLock lock(mutex_);
    if (!done) sticky_error_ = done.error();
  }
  if (done) done = WriteBatch(*redo_, batch);
  if (done) {
    logged_change_count_ = batch.change_count;
    logged_plain_bytes_ = batch.plain_bytes;
    logged_mtime_ = batch.mtime;
    return {};
  }
  RestoreUnlogged(batch);
  if (is_first) {
    // Nothing was promised yet: the next fsync begins with a new log.
    (void)DropLog();
  } else if (redo_->is_failed()) {
    MutexLock lock(mutex_);
    sticky_error_ = done.error();
  }
  return done;
}

// A log at its limit is shortened first: behind the checkpoint that is under way, if
// one is, or by one of our own.
Result<void> ContentImpl::HeedLogLimit() {
  const auto has_log_of = [this](uint64_t byte_count) {
    MutexLock log_lock(log_mutex_);
    return redo_ && redo_->committed_bytes() >= byte_count;
  };
  if (!has_log_of(kLogLimitFactor * store_.log_bytes())) return {};
  const uint64_t limit_bytes = kLogLimitFactor * LogShare();
  if (!has_log_of(limit_bytes)) return {};
  ++settle_waiter_count_;
  MutexLock settle_lock(settle_mutex_);
  --settle_waiter_count_;
  return has_log_of(limit_bytes) ? CheckpointEarly() : Result<void>();
}

// False when the file has come to append mode meanwhile: nothing was done.
Result<bool> ContentImpl::SyncLog() {
  uint64_t wanted = 0;
  {
    MutexLock lock(mutex_);
    wanted = change_count_;
  }
  GZIPFS_TRY(HeedLogLimit());
  MutexLock log_lock(log_mutex_);
  {
    MutexLock lock(mutex_);
    if (sticky_error_) return Fail(sticky_error_);
    if (mode_ != Mode::kLogged) return false;
  }
  if (redo_ && logged_change_count_ >= wanted) return true;  // somebody else's sync did it
  if (!redo_) {
    const Result<bool> started = StartLog();
    if (!started) return Fail(started.error());
    if (!*started) return true;
  }
  GZIPFS_TRY(CommitToLog());
  if (checkpoint_due_bytes_ == 0) checkpoint_due_bytes_ = LogShare();  // of a log that was read
  if (redo_->committed_bytes() >= checkpoint_due_bytes_) {
    store_.checkpointer().Add(weak_from_this());
  }
  return true;
}

// By how much a log may grow before a checkpoint is worth what it costs: reading
// and writing the base.
uint64_t ContentImpl::LogShare() const {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  return std::max(store_.log_bytes(), base->file_bytes() / kLogShareOfBase);
}

// A log begins, perhaps with what was written beside the last checkpoint, or a
// checkpoint has failed.
void ContentImpl::PutOffCheckpoint() {
  checkpoint_due_bytes_ = (redo_ ? redo_->committed_bytes() : 0) + LogShare();
}

// A checkpoint that was not asked for by who settles the file.
Result<void> ContentImpl::CheckpointEarly() {
  const Result<bool> is_unlinked = FindUnlinked();
  if (!is_unlinked) return Fail(is_unlinked.error());
  if (*is_unlinked || !NeedsCheckpoint()) return {};
  {
    MutexLock lock(mutex_);
    if (sticky_error_) return Fail(sticky_error_);
  }
  const DirtyBudget::Settling settling(store_.budget());
  const Result<void> done = Checkpoint();
  if (done) return {};
  MutexLock log_lock(log_mutex_);
  if (redo_) PutOffCheckpoint();
  return done;
}

// A checkpoint's image is about to become the base. What was promised after
// its snapshot must be in a log of the new base before that. Null when nothing
// was.
Result<std::unique_ptr<RedoLog>> ContentImpl::PrepareNextLog(const Snapshot& snapshot,
                                                             const std::string& name,
                                                             const BaseIdentity& base,
                                                             LogBatch& batch) {
  if (!redo_ || logged_change_count_ <= snapshot.change_count) return nullptr;
  auto log = RedoLog::Create(store_.ops(), store_.log_dir_fd(), name, base);
  if (!log) return log;
  {
    MutexLock lock(mutex_);
    batch = CaptureBatch(WrittenSince(snapshot.blocks));
  }
  if (const Result<void> written = WriteBatch(**log, batch); !written) {
    RestoreUnlogged(batch);
    (void)(*log)->Remove();
    return Fail(written.error());
  }
  return log;
}

// The base has been replaced: its log goes, or gives way to `next`.
Result<void> ContentImpl::FinishLog(std::unique_ptr<RedoLog> next, uint64_t base_ino,
                                    const LogBatch& batch) {
  const bool is_replaced = base_ino != base_ino_;
  if (!next && !is_replaced) return DropLog();
  // That of a base that was replaced fits no other; one that was overwritten has
  // lost its name to the next one already.
  if (redo_ && is_replaced) (void)redo_->Remove();
  if (!next) {
    ForgetLog();
    return {};
  }
  store_.logs().Remove(base_ino_);
  base_ino_ = base_ino;
  store_.logs().Add(base_ino_);
  redo_ = std::move(next);
  log_has_prefix_ = false;
  logged_change_count_ = batch.change_count;
  logged_plain_bytes_ = batch.plain_bytes;
  logged_mtime_ = batch.mtime;
  PutOffCheckpoint();
  return {};
}

bool ContentImpl::IsCheckpointDue() const {
  {
    MutexLock log_lock(log_mutex_);
    const uint64_t due_bytes = checkpoint_due_bytes_;
    if (redo_ && due_bytes > 0 && redo_->committed_bytes() >= due_bytes) return true;
  }
  const uint64_t limit_bytes = kLogLimitFactor * LogShare();
  MutexLock lock(mutex_);
  return spilled_bytes_ >= limit_bytes;
}

void ContentImpl::CheckpointIfDue() {
  MutexLock settle_lock(settle_mutex_);
  if (!IsCheckpointDue()) return;
  is_in_background_ = true;
  const Result<void> done = CheckpointEarly();
  is_in_background_ = false;
  if (done || store_.is_hurried()) return;
  spdlog::error("{}: its log is long, but cannot be brought into the base: {}",
                place_.Describe(), done.error().message());
}

}  // namespace gzipfs
