// Copying from file to file without decoding: members go to the end of this file's base
// as they are in the other one's.
//
// They are not decoded on the way. A damaged one is copied with its CRC32 and stays
// damaged: whoever reads it, here or there, gets EIO.
#include <algorithm>

#include "fs/store/content_impl.h"
#include "fs/sys/at.h"

namespace gzipfs {
namespace {

// What is copied at once, so that the list of tiny members does not outgrow everything
// else: 5 MiB of it. A block of more members is left to be read and written.
constexpr size_t kMaxPortionMembers = 128 * 1024;

}  // namespace

// How many bytes from `plain_offset` on are in the base and nothing is on top of them.
uint64_t ContentImpl::CountStored(uint64_t plain_offset, uint64_t byte_count) const {
  if (sticky_error_ || !base_->is_conforming()) return 0;
  uint64_t end = std::min({plain_offset + byte_count, base_limit_, plain_bytes_});
  const uint64_t index = plain_offset / block_bytes_;
  const auto dirty = blocks_.lower_bound(index);
  if (dirty != blocks_.end()) end = std::min(end, BlockStart(dirty->first));
  if (const auto zeroed = zeros_.FindFrom(index)) end = std::min(end, BlockStart(zeroed->begin));
  return end > plain_offset ? end - plain_offset : 0;
}

// The members of `base` that have [plain_offset, plain_end) or its beginning, up to the
// end of a block, or of the file if `ends_file` says that `plain_end` is it; a portion of
// them where they are many.
Result<std::vector<MemberInfo>> ContentImpl::FindCopies(const std::shared_ptr<BaseFile>& base,
                                                        uint64_t plain_offset,
                                                        uint64_t plain_end,
                                                        bool ends_file) const {
  // Nobody looks at them again: an index that lies must not choose them.
  if (!base->FindGroup(plain_offset)) return Fail(DataError::kBadTail);
  Result<std::vector<MemberInfo>> members =
      base->Members(plain_offset, plain_end, kMaxPortionMembers);
  if (!members) return members;
  size_t count = 0;
  uint64_t at = plain_offset;
  for (size_t i = 0; i < members->size(); ++i) {
    const MemberInfo& member = (*members)[i];
    const bool fits = member.profile == profile_ && member.plain_bytes <= block_bytes_;
    if (!fits || member.plain_offset != at || member.plain_end() > plain_end) break;
    at = member.plain_end();
    if (at % block_bytes_ == 0 || (ends_file && at == plain_end)) count = i + 1;
  }
  members->resize(count);
  return members;
}

// Brings all before `plain_offset` to the base, as zeros what was never written. False
// when members cannot follow there. What the file ended with gets a member's end there,
// so that the zeros can be taken back.
Result<bool> ContentImpl::AppendBefore(uint64_t plain_offset, SizeMark& before) {
  {
    MutexLock lock(mutex_);
    append_error_ = {};
    GZIPFS_TRY(CheckWritable());
    while (is_spilling_) changed_.Wait(mutex_);
    if (mode_ != Mode::kAppend || plain_bytes_ > plain_offset) return false;
    if (!base_->is_conforming()) return false;
    before = {plain_bytes_, change_count_};
    is_modified_ = true;
    is_appending_all_ = true;
  }
  Result<void> done = AppendUpTo(before.plain_bytes);
  if (done) done = AppendUpTo(plain_offset);
  MutexLock lock(mutex_);
  is_appending_all_ = false;
  return done ? Result<bool>(true) : Fail(done.error());
}

// The zeros that AppendBefore brought, perhaps not all of them, go away again, unless
// somebody has written meanwhile.
void ContentImpl::UndoAppendBefore(const SizeMark& before) {
  {
    MutexLock lock(mutex_);
    while (appending_) changed_.Wait(mutex_);
    const bool is_undone = plain_bytes_ <= before.plain_bytes;
    if (is_undone || change_count_ != before.change_count || sticky_error_) return;
    if (mode_ != Mode::kAppend || !blocks_.empty() || base_plain_ != plain_bytes_) return;
    uint64_t no_bytes = 0;  // no block is there to be covered
    CutBlocks(before.plain_bytes, no_bytes);
    base_limit_ = plain_bytes_ = before.plain_bytes;
    mode_ = Mode::kLogged;  // until the base is cut
    ++change_count_;
  }
  // If that fails a checkpoint does it, and nobody sees the zeros till then.
  (void)CutBase(before.plain_bytes, true);
}

// The base, to be appended to by the caller alone until FinishRun; null when something
// was written at `plain_offset` meanwhile.
std::shared_ptr<BaseFile> ContentImpl::BeginCopy(uint64_t plain_offset, SizeMark& before) {
  MutexLock lock(mutex_);
  while (appending_) changed_.Wait(mutex_);
  if (mode_ != Mode::kAppend || base_plain_ != plain_offset || plain_bytes_ != plain_offset) {
    return nullptr;
  }
  appending_ = true;
  mtime_ = FileClockNow();
  is_modified_ = true;
  ++change_count_;
  ++before.change_count;
  return base_;
}

// Appends what is stored of the range as members to `target`, another file's base or
// this one's.
Result<void> ContentImpl::CopyTo(BaseFile& target, uint64_t plain_offset, uint64_t byte_count) {
  SharedLock base_lock(base_lock_);
  std::shared_ptr<BaseFile> base;
  uint64_t plain_end = 0;
  bool ends_file = false;
  {
    MutexLock lock(mutex_);
    plain_end = plain_offset + CountStored(plain_offset, byte_count);
    ends_file = plain_end == plain_bytes_;
    base = base_;
  }
  while (plain_offset < plain_end) {
    const auto members = FindCopies(base, plain_offset, plain_end, ends_file);
    if (!members) return Fail(members.error());
    if (members->empty()) return {};
    GZIPFS_TRY(target.AppendCopied(*base, *members));
    plain_offset = members->back().plain_end();
  }
  return {};
}

Result<uint64_t> ContentImpl::CopyMembers(Content& source, uint64_t source_offset,
                                          uint64_t plain_offset, uint64_t byte_count) {
  auto& from = static_cast<ContentImpl&>(source);  // there is no other kind
  if (plain_offset > kMaxPlainBytes || byte_count > kMaxPlainBytes - plain_offset) {
    return Fail(EFBIG);
  }
  if (source_offset % block_bytes_ != 0 || plain_offset % block_bytes_ != 0) return 0;
  if (from.block_bytes_ != block_bytes_ || from.profile_ != profile_) return 0;
  {
    MutexLock lock(from.mutex_);
    const uint64_t stored_bytes = from.CountStored(source_offset, byte_count);
    if (stored_bytes < std::min(byte_count, block_bytes_) &&
        source_offset + stored_bytes != from.plain_bytes_) {
      return 0;
    }
    if (stored_bytes == 0) return 0;
  }
  ++settle_waiter_count_;
  MutexLock settle_lock(settle_mutex_);
  --settle_waiter_count_;
  const DirtyBudget::Settling settling(store_.budget());
  SizeMark before;
  const Result<bool> is_ready = AppendBefore(plain_offset, before);
  if (is_ready && !*is_ready) return 0;
  const std::shared_ptr<BaseFile> base = is_ready ? BeginCopy(plain_offset, before) : nullptr;
  Result<void> done = is_ready ? Result<void>() : Fail(is_ready.error());
  uint64_t copied_bytes = 0;
  if (base) {
    done = from.CopyTo(*base, source_offset, byte_count);
    copied_bytes = base->plain_bytes() - plain_offset;
    FinishRun({}, {});
  }
  if (copied_bytes > 0) return copied_bytes;
  UndoAppendBefore(before);
  if (done) return 0;
  // Members that cannot be told are read one by one: that says which of them is bad.
  const bool is_bad_data = done.error().category() == DataErrorCategory();
  return is_bad_data ? Result<uint64_t>(0) : Fail(done.error());
}

}  // namespace gzipfs
