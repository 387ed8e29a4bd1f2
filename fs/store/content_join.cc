// Many small appends leave many short members, each with its dead tail. When a
// block's worth has gathered, or too many of them, they become one member.
//
// The bytes are in the base already and may be durable, so they must not be
// gone for a moment: they go to the log first, then the base is cut in front of
// them, and they are appended once more.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/store/content_impl.h"
#include "fs/store/redo_log.h"

namespace gzipfs {
namespace {

// A finished block of that many members is left alone.
constexpr size_t kFewMembers = 4;
// An unfinished block of that many is not. With their dead tails they take about
// that many bytes: each time that the file has grown by as much, they are counted.
constexpr size_t kManyMembers = 256;
constexpr uint64_t kLookBytes = kManyMembers * 100;
// What is joined is taken into memory: behind a few short members there may be any number
// of whole ones by now, and then the short ones stay.
constexpr uint64_t kMaxJoinedBlocks = 4;

}  // namespace

// The plain offset from which on members should be joined; nullopt for none.
Result<std::optional<uint64_t>> ContentImpl::FindJoin() {
  std::shared_ptr<BaseFile> base;
  uint64_t from = 0;
  uint64_t end = 0;
  bool is_finished = false;
  {
    MutexLock lock(mutex_);
    const bool is_settled = mode_ == Mode::kAppend && blocks_.empty() && !appending_ &&
                            base_plain_ == plain_bytes_ && base_plain_ > join_from_;
    if (!is_settled || !base_->is_conforming()) return std::optional<uint64_t>();
    from = RoundDown(join_from_, block_bytes_);
    end = base_plain_;
    base = base_;
    is_finished = end - from >= block_bytes_;
    const uint64_t checked = std::exchange(join_checked_bytes_, base->file_bytes());
    const bool is_due = join_checked_bytes_ / kLookBytes != checked / kLookBytes;
    if (!is_finished && !is_due) return std::optional<uint64_t>();
  }
  const auto members = base->Members(from, std::min(end, from + block_bytes_));
  if (!members) return Fail(members.error());
  const bool has_many = members->size() > (is_finished ? kFewMembers : kManyMembers);
  if (has_many || is_finished) {
    MutexLock lock(mutex_);
    join_from_ = end;
  }
  const Result<bool> is_boundary = base->IsBoundary(from);
  if (!is_boundary) return Fail(is_boundary.error());
  const bool is_short = end - from <= kMaxJoinedBlocks * block_bytes_;
  if (!has_many || !is_short || !*is_boundary) return std::optional<uint64_t>();
  return std::optional(from);
}

// Takes the bytes from `from` on as if they had been written just now.
Result<void> ContentImpl::TakeBack(uint64_t from) {
  std::shared_ptr<BaseFile> base;
  uint64_t end = 0;
  {
    MutexLock lock(mutex_);
    base = base_;
    end = base_plain_;
  }
  std::vector<std::byte> plain(end - from);
  GZIPFS_TRY(base->Read(from, plain));
  const uint64_t block_count = (end - from + block_bytes_ - 1) / block_bytes_;
  uint64_t reserved_bytes = block_count * block_bytes_;
  // Few, and soon free again: they must not wait for others.
  GZIPFS_TRY(store_.budget().Reserve(reserved_bytes, [] { return true; }));
  const DirtyBudget::Rest rest(store_.budget(), reserved_bytes);
  {
    MutexLock lock(mutex_);
    if (mode_ == Mode::kAppend && blocks_.empty() && base_plain_ == end) {
      for (uint64_t at = from; at < end; at += block_bytes_) {
        const uint64_t count = std::min(end - at, block_bytes_);
        WriteBlock(at / block_bytes_, 0, std::span(plain).subspan(at - from, count),
                   reserved_bytes);
      }
    }
  }
  return {};
}

// What is behind `from` is in the log: it may go.
Result<void> ContentImpl::CutForJoin(BaseFile& base, uint64_t from) {
  ExclusiveLock base_lock(base_lock_);
  const auto first = base.Members(from, from + 1);
  if (!first) return Fail(first.error());
  if (first->empty()) return Fail(DataError::kBadTail);
  const Result<BaseIdentity> prefix =
      IdentityOfPrefix(store_.ops(), base.fd(), first->front().file_offset);
  if (!prefix) return Fail(prefix.error());
  redo_->Add(LogRecordType::kPrefix, 0, EncodeLogIdentity(*prefix));
  GZIPFS_TRY(redo_->Commit());
  log_has_prefix_ = true;
  GZIPFS_TRY(base.CutAt(from));
  MutexLock lock(mutex_);
  base_plain_ = base_limit_ = from;
  end_bytes_.clear();
  mode_ = Mode::kAppend;  // the blocks are ordinary appended ones from here on
  HideAppendedHole();
  return {};
}

Result<void> ContentImpl::JoinMembers(uint64_t from) {
  GZIPFS_TRY(TakeBack(from));
  MutexLock log_lock(log_mutex_);
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (mode_ != Mode::kLogged || redo_) return {};  // somebody wrote: another time
    base = base_;
  }
  const Result<bool> started = StartLog();
  if (!started) return Fail(started.error());
  if (!*started) return {};
  GZIPFS_TRY(CommitToLog());
  GZIPFS_TRY(CutForJoin(*base, from));
  uint64_t plain_end = 0;
  {
    MutexLock lock(mutex_);
    plain_end = plain_bytes_;
  }
  Result<void> done = AppendAll(plain_end);
  const Result<void> synced = done ? store_.ops().SyncData(base->fd()) : done;
  {
    MutexLock lock(mutex_);
    if (done && !synced) sticky_error_ = synced.error();
    done = synced;
    // With the log still there, a checkpoint is the way back.
    if (!done) mode_ = Mode::kLogged;
    if (!done || mode_ != Mode::kAppend) return done;
  }
  (void)DropLog();
  return {};
}

// What the caller asked for is done without it: an error is his only if the
// file cannot be used any more.
Result<void> ContentImpl::JoinIfDue() {
  const Result<std::optional<uint64_t>> join = FindJoin();
  Result<void> joined;
  if (!join) joined = Fail(join.error());
  if (join && *join) joined = JoinMembers(**join);
  if (joined) return {};
  spdlog::warn("{}: its short members are not joined: {}", place_.Describe(),
               joined.error().message());
  MutexLock lock(mutex_);
  return sticky_error_ ? Fail(sticky_error_) : Result<void>();
}

}  // namespace gzipfs
