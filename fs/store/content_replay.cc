// Opening a file that has a log: the log's changes become dirty blocks on top of
// the base, as if they had been written just now.
#include <algorithm>

#include "fs/store/content_impl.h"

namespace gzipfs {
namespace {

// A longer log may have touched so many blocks that compressing them as well as the
// store's level says would keep a mount waiting for seconds.
constexpr uint64_t kHurriedLogBytes = 16 * kMiB;

}  // namespace

Result<void> ContentImpl::ApplyRecord(const LogRecord& record) {
  switch (record.type) {
    case LogRecordType::kData: {
      const Result<uint64_t> written =
          WriteImpl(record.plain_offset, record.payload, WriteSource::kProgram);
      return written ? Result<void>() : Fail(written.error());
    }
    case LogRecordType::kMember: {
      const Result<EncodedBlock> members = DecodeLogMembers(record.payload);
      if (!members) return Fail(members.error());
      const Result<std::vector<std::byte>> plain = DecodeBlock(*members);
      if (!plain) return Fail(plain.error());
      const Result<uint64_t> written =
          WriteImpl(record.plain_offset, *plain, WriteSource::kProgram);
      return written ? Result<void>() : Fail(written.error());
    }
    case LogRecordType::kCut: {
      uint64_t reserved_bytes = block_bytes_;
      GZIPFS_TRY(store_.budget().Reserve(reserved_bytes));
      const DirtyBudget::Rest rest(store_.budget(), reserved_bytes);
      MutexLock lock(mutex_);
      AwaitQuiet();
      CutBlocks(record.plain_offset, reserved_bytes);
      base_limit_ = std::min(base_limit_, record.plain_offset);
      plain_bytes_ = std::min(plain_bytes_, record.plain_offset);
      return {};
    }
    case LogRecordType::kZero: {
      const Result<uint64_t> byte_count = DecodeLogLength(record.payload);
      if (!byte_count) return Fail(byte_count.error());
      const uint64_t begin = record.plain_offset;
      const uint64_t limit = RoundUp(kMaxPlainBytes, block_bytes_);
      const bool is_whole = begin % block_bytes_ == 0 && *byte_count % block_bytes_ == 0;
      if (!is_whole || begin > limit || *byte_count > limit - begin) {
        return Fail(DataError::kBadSize);
      }
      MutexLock lock(mutex_);
      AwaitQuiet();
      ZeroBlocks(begin / block_bytes_, (begin + *byte_count) / block_bytes_);
      return {};
    }
    case LogRecordType::kCommit: {
      const auto mtime = DecodeLogTime(record.payload);
      if (!mtime) return Fail(mtime.error());
      MutexLock lock(mutex_);
      plain_bytes_ = record.plain_offset;
      if (*mtime) mtime_ = **mtime;
      return {};
    }
    case LogRecordType::kImage:
    case LogRecordType::kPrefix:
      return {};
  }
  return Fail(DataError::kBadHeader);
}

Result<void> ContentImpl::LoadLog(const LogSummary& summary, UniqueFd log_fd,
                                  const std::string& log_name) {
  FileOps& ops = store_.ops();
  MutexLock settle_lock(settle_mutex_);
  is_hurried_ = summary.committed_bytes > kHurriedLogBytes;
  {
    MutexLock lock(mutex_);
    mode_ = Mode::kLogged;
    is_modified_ = true;
    is_replaying_ = true;
  }
  Result<void> replayed = ReplayLog(
      ops, log_fd.get(), summary,
      [this](const LogRecord& record) { return ApplyRecord(record); });
  MutexLock log_lock(log_mutex_);
  if (replayed && !log_name.empty()) {
    auto log = RedoLog::Resume(ops, store_.log_dir_fd(), log_name, std::move(log_fd),
                               summary.header, summary.committed_bytes, summary.last_sequence);
    if (log) redo_ = std::move(*log);
    log_has_prefix_ = summary.prefix.has_value();
    base_ino_ = summary.header.base.ino;
    if (!log) replayed = Fail(log.error());
  }
  MutexLock lock(mutex_);
  is_replaying_ = false;
  if (!replayed) return replayed;
  has_redo_ = redo_ != nullptr;
  // Whatever the log says is a change: 0 would say that nothing is in it.
  change_count_ = std::max<uint64_t>(change_count_, 1);
  logged_change_count_ = change_count_;
  logged_plain_bytes_ = plain_bytes_;
  logged_mtime_ = mtime_;
  return {};
}

}  // namespace gzipfs
