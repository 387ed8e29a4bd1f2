// Append mode: members go to the end of the base in block order.
//
// Full blocks are compressed by the pool; whoever finishes the block that is
// next takes it and all that are ready behind it to the base in one write.
// What is left over when the file is flushed (the last, short block, and holes)
// is done here.
#include <fcntl.h>

#include <algorithm>
#include <new>

#include "fs/store/content_impl.h"

namespace gzipfs {

class EncodeJob final : public Job {
 public:
  EncodeJob(std::shared_ptr<ContentImpl> content, BlockPtr block, int level)
      : content_(std::move(content)), block_(std::move(block)), level_(level) {}

  void Run() override {
    const std::span plain(block_->data.get() + block_->encode_begin,
                          block_->encode_end - block_->encode_begin);
    DirtyBudget& budget = content_->store_.budget();
    std::shared_ptr<const EncodedBlock> encoded = Encode(plain);
    if (WriteEffort* const effort = content_->store_.write_effort()) {
      effort->RemoveWaiting(plain.size());
    }
    content_->FinishEncoding(std::move(block_), std::move(encoded));
    budget.EndProgress();
    delete this;
  }

 private:
  std::shared_ptr<const EncodedBlock> Encode(std::span<const std::byte> plain) {
    WriteEffort* const effort = content_->store_.write_effort();
    const auto begin = WriteEffort::Clock::now();
    if (auto seen = content_->FindSeen(plain)) return seen;
    auto encoded =
        std::make_shared<EncodedBlock>(EncodeBlock(content_->profile_, level_, plain));
    if (effort != nullptr && level_ != kLevelFast) {
      effort->NoteDense(plain.size(), WriteEffort::Clock::now() - begin);
    }
    return encoded;
  }

  std::shared_ptr<ContentImpl> content_;
  BlockPtr block_;
  const int level_;
};

void ContentImpl::SubmitEncoding(BlockPtr block, int level) {
  store_.budget().BeginProgress();
  if (WriteEffort* const effort = store_.write_effort()) {
    effort->AddWaiting(block->encode_end - block->encode_begin);
  }
  store_.pool().Submit(new EncodeJob(shared_from_this(), std::move(block), level));
}

void ContentImpl::FinishEncoding(BlockPtr block, std::shared_ptr<const EncodedBlock> encoded) {
  {
    MutexLock lock(mutex_);
    block->encoded = std::move(encoded);
    block->state = DirtyBlock::State::kEncoded;
    block.reset();  // whoever appends it frees it
    changed_.NotifyAll();
  }
  AppendReady();
}

// True when `block` is compressed from exactly `plain_offset` on. What was
// spilled before it was full is not: it may still grow.
bool ContentImpl::IsReadyAt(const DirtyBlock& block, uint64_t plain_offset) const {
  const bool is_whole = block.state == DirtyBlock::State::kLogged && block.log &&
                        block.encode_end == block_bytes_;
  return (is_whole || block.state == DirtyBlock::State::kEncoded) &&
         BlockStart(block.index) + block.encode_begin == plain_offset;
}

// Whether `block` is full but followed by a hole. Where a program writes into a
// preallocated file the kernel brings whole pages, of which the program may not have
// written all yet: the rest comes soon, and must not be an overwrite by then.
bool ContentImpl::MayGrow(const DirtyBlock& block) const {
  const uint64_t end = BlockStart(block.index) + block.encode_end;
  return end < plain_bytes_ && end % block_bytes_ == 0 && !blocks_.contains(block.index + 1);
}

std::vector<BlockPtr> ContentImpl::TakeReadyRun(uint64_t wanted_end) {
  constexpr size_t kMaxRunBytes = 4 * kMiB;
  std::vector<BlockPtr> run;
  if (appending_ || mode_ != Mode::kAppend || append_error_ || sticky_error_) return run;
  size_t run_bytes = 0;
  uint64_t plain_end = base_plain_;
  while (run_bytes < kMaxRunBytes) {
    const auto next = blocks_.find(plain_end / block_bytes_);
    if (next == blocks_.end()) break;
    const BlockPtr& block = next->second;
    if (block->is_frozen || !IsReadyAt(*block, plain_end)) break;
    if (plain_end >= wanted_end && MayGrow(*block)) break;
    run_bytes += block->MemberBytes();
    plain_end = BlockStart(block->index) + block->encode_end;
    run.push_back(block);
    if (plain_end % block_bytes_ != 0) break;
  }
  // Only now, when memory cannot run out any more.
  for (const BlockPtr& block : run) block->state = DirtyBlock::State::kAppending;
  appending_ = !run.empty();
  return run;
}

void ContentImpl::FinishRun(std::vector<BlockPtr> run, const Result<void>& written) {
  MutexLock lock(mutex_);
  appending_ = false;
  const uint64_t plain_before = base_plain_;
  base_plain_ = base_limit_ = base_->plain_bytes();  // of a failed hole, part may be there
  plain_bytes_ = std::max(plain_bytes_, base_plain_);  // members of another file came
  if (written && !run.empty()) {
    RememberEnd(*run.back());
  } else if (base_plain_ != plain_before) {
    end_bytes_.clear();
  }
  if (written) {
    needs_times_ = true;
  } else {
    append_error_ = written.error();
  }
  for (const BlockPtr& block : run) {
    const auto entry = blocks_.find(block->index);
    if (!written) {
      block->state = block->log ? DirtyBlock::State::kLogged : DirtyBlock::State::kEncoded;
    } else if (std::min(BlockStart(block->index) + block->EndByte(), plain_bytes_) >
               BlockStart(block->index) + block->encode_end) {
      // More was written behind the part that went: the block lives on. (Not
      // so the zeros that hide what a cut left behind the file's end.)
      block->state = DirtyBlock::State::kDirty;
      block->was_submitted = false;
      block->encoded.reset();
    } else if (entry != blocks_.end() && entry->second == block) {
      blocks_.erase(entry);
    }
  }
  if (run.empty()) HideAppendedHole();
  // Now, not a moment after the next ones may be on their way: that is the bound of what
  // IsNextToAppend lets in.
  run.clear();
  if (blocks_.empty() && !is_spilling_) log_.reset();
  changed_.NotifyAll();
}

// What was written into a hole while that was being appended is now an
// overwrite.
void ContentImpl::HideAppendedHole() {
  for (const auto& [index, block] : blocks_) {
    if (BlockStart(index) >= base_plain_) return;
    if (BlockStart(index) + block->FirstByte() < base_plain_) mode_ = Mode::kLogged;
  }
}

void ContentImpl::AppendReady(uint64_t wanted_end) {
  for (;;) {
    std::vector<BlockPtr> run;
    std::shared_ptr<BaseFile> base;
    {
      MutexLock lock(mutex_);
      run = TakeReadyRun(wanted_end);
      base = base_;
    }
    if (run.empty()) return;
    Result<void> written = Fail(ENOMEM);
    try {
      written = AppendRun(*base, run);
    } catch (const std::bad_alloc&) {
      // Others wait for the run to end.
    }
    FinishRun(std::move(run), written);
  }
}

Result<void> ContentImpl::AppendRun(BaseFile& base, std::span<const BlockPtr> run) {
  std::vector<std::shared_ptr<const EncodedBlock>> encoded;
  for (const BlockPtr& block : run) {
    if (!block->log) {
      encoded.push_back(block->encoded);
      continue;
    }
    auto logged = FetchMembers(*block);
    if (!logged) return Fail(logged.error());
    encoded.push_back(std::make_shared<EncodedBlock>(std::move(*logged)));
  }
  std::vector<const EncodedBlock*> blocks;
  for (const auto& block : encoded) blocks.push_back(block.get());
  return base.Append(blocks, /*with_tail=*/false);
}

// Completes, compresses and appends `block`, which MarkForAppend has taken out
// of the writers' hands.
Result<void> ContentImpl::AppendBlock(const BlockPtr& block, bool with_tail) {
  std::vector<BlockPtr> run{block};  // now: once it is appended memory must not run out
  Result<void> done = Complete(block, block->encode_begin, block->encode_end);
  std::shared_ptr<const EncodedBlock> encoded;
  if (done) {
    const std::span plain(block->data.get() + block->encode_begin,
                          block->encode_end - block->encode_begin);
    encoded = std::make_shared<EncodedBlock>(EncodeBlock(profile_, store_.level(), plain));
  }
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    const auto entry = blocks_.find(block->index);
    block->encoded = encoded;
    block->state = done ? DirtyBlock::State::kEncoded : DirtyBlock::State::kDirty;
    changed_.NotifyAll();
    if (!done) return done;
    // A writer put a newer layer on top, or made the file logged: not ours.
    if (mode_ != Mode::kAppend || appending_ || entry == blocks_.end() ||
        entry->second != block) {
      return {};
    }
    with_tail = with_tail && BlockStart(block->index) + block->encode_end == plain_bytes_;
    block->state = DirtyBlock::State::kAppending;
    appending_ = true;
    base = base_;
  }
  const EncodedBlock* const one = encoded.get();
  done = base->Append(std::span(&one, 1), with_tail);
  FinishRun(std::move(run), done);
  return done;
}

// Appends zeros for [begin, end): whole blocks of them by copying one member.
Result<void> ContentImpl::AppendHole(uint64_t begin, uint64_t end) {
  const std::vector<std::byte> zeros(block_bytes_);
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (appending_ || mode_ != Mode::kAppend) return {};
    appending_ = true;
    base = base_;
  }
  const auto append = [&](uint64_t plain_bytes, uint64_t count) -> Result<void> {
    if (plain_bytes == 0 || count == 0) return {};
    return base->AppendRepeated(
        EncodeBlock(profile_, store_.level(), std::span(zeros).first(plain_bytes)), count);
  };
  const uint64_t first_end = std::min(RoundUp(begin, block_bytes_), end);
  const uint64_t last_begin = std::max(RoundDown(end, block_bytes_), first_end);
  Result<void> done = Fail(ENOMEM);
  try {
    done = append(first_end - begin, 1);
    if (done) done = append(block_bytes_, (last_begin - first_end) / block_bytes_);
    if (done) done = append(end - last_begin, 1);
  } catch (const std::bad_alloc&) {
    done = Fail(ENOMEM);
  }
  FinishRun({}, done);
  return done;
}

// A spilled or packed block that cannot go to the base as it is gets a layer on top that
// can; its bytes come back into memory with that.
void ContentImpl::CoverLogged(const BlockPtr& logged) {
  // The memory is freed within the same flush: it must not wait for others.
  (void)store_.budget().Reserve(block_bytes_, [] { return true; });
  uint64_t reserved_bytes = block_bytes_;
  const DirtyBudget::Rest rest(store_.budget(), reserved_bytes);
  {
    MutexLock lock(mutex_);
    const auto entry = blocks_.find(logged->index);
    if (entry != blocks_.end() && entry->second == logged) {
      MutableBlock(logged->index, reserved_bytes);
    }
  }
}

Result<void> ContentImpl::AppendUpTo(uint64_t plain_end) {
  for (;;) {
    AppendReady(plain_end);
    BlockPtr block;
    BlockPtr logged;
    uint64_t hole_begin = 0;
    uint64_t hole_end = 0;
    bool with_tail = false;
    {
      MutexLock lock(mutex_);
      if (append_error_) return Fail(append_error_);
      if (mode_ != Mode::kAppend || base_plain_ >= plain_end) return {};
      const auto next = blocks_.lower_bound(base_plain_ / block_bytes_);
      const uint64_t start = next == blocks_.end() ? plain_end : BlockStart(next->first);
      const bool is_here = next != blocks_.end() && start <= base_plain_;
      if (appending_ || (is_here && next->second->IsOnItsWay())) {
        changed_.Wait(mutex_);
        continue;
      }
      if (is_here && IsReadyAt(*next->second, base_plain_)) continue;  // became ready just now
      if (start > base_plain_) {
        hole_begin = base_plain_;
        hole_end = std::min(start, plain_end);
      } else if (!next->second->data) {
        logged = next->second;
      } else {
        block = next->second;
        const uint64_t end = std::min(plain_end, start + block_bytes_);
        block->encode_begin = static_cast<uint32_t>(base_plain_ - start);
        block->encode_end = static_cast<uint32_t>(end - start);
        block->state = DirtyBlock::State::kEncoding;
        block->was_submitted = true;
        with_tail = end == plain_bytes_;
      }
    }
    if (logged) {
      CoverLogged(logged);
      continue;
    }
    GZIPFS_TRY(block ? AppendBlock(block, with_tail) : AppendHole(hole_begin, hole_end));
  }
}

Result<void> ContentImpl::AddTail() {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    while (appending_) changed_.Wait(mutex_);
    if (mode_ != Mode::kAppend || base_plain_ != plain_bytes_ || !is_modified_) return {};
    if (base_->ends_with_tail()) return {};
    appending_ = true;
    base = base_;
  }
  const Result<void> done = base->AppendTail();
  FinishRun({}, done);
  return done;
}

// The base's own mtime moved with every write; what programs see must not.
Result<void> ContentImpl::RestoreTimes() {
  timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {}};
  MutexLock times_lock(times_mutex_);
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (!needs_times_ || !mtime_) return {};
    times[1] = *mtime_;
    needs_times_ = false;
    base = base_;
  }
  return base->SetTimes(times);
}

Result<void> ContentImpl::SettleAppended() {
  uint64_t plain_end = 0;
  {
    MutexLock lock(mutex_);
    if (sticky_error_) return Fail(sticky_error_);
    while (is_spilling_) changed_.Wait(mutex_);
    if (!is_modified_ || mode_ != Mode::kAppend) return {};
    append_error_ = {};
    plain_end = plain_bytes_;
    is_appending_all_ = true;
  }
  const Result<void> done = AppendAll(plain_end);
  {
    MutexLock lock(mutex_);
    is_appending_all_ = false;
  }
  GZIPFS_TRY(done);
  return JoinIfDue();
}

Result<void> ContentImpl::AppendAll(uint64_t plain_end) {
  GZIPFS_TRY(AppendUpTo(plain_end));
  GZIPFS_TRY(AddTail());
  return RestoreTimes();
}

// A new file's directory entry, a rename and a link are durable with the file.
Result<void> ContentImpl::SyncEntry() {
  const uint32_t change_count = place_.entry_change_count();
  if (change_count == place_.durable_entry_change_count()) return {};
  // One directory is enough for a file of several names, too: the journal below
  // keeps the order of what was done to them.
  const Result<void> synced =
      place_.WithPlace([this](int dir_fd, const char*) -> Result<void> {
        Result<UniqueFd> dir = store_.ops().OpenAt(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
        if (!dir) return Fail(dir.error());
        return store_.ops().SyncAll(dir->get());
      });
  if (!synced && synced.error().value() != ENOENT) return synced;
  if (synced) place_.SetEntryDurable(change_count);
  return {};
}

}  // namespace gzipfs
