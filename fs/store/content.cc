// Opening a Content, and everything about it that is not reading, writing,
// appending or checkpointing.
#include "fs/store/content.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "fs/store/content_impl.h"

namespace gzipfs {

ContentImpl::ContentImpl(Store& store, std::shared_ptr<BaseFile> base, bool is_writable,
                         bool is_new, BasePlace& place)
    : store_(store),
      place_(place),
      is_writable_(is_writable && !store.read_only()),
      block_bytes_(base->block_bytes()),
      profile_(base->profile()),
      base_(std::move(base)),
      plain_bytes_(base_->plain_bytes()),
      base_plain_(plain_bytes_),
      base_limit_(plain_bytes_),
      is_modified_(is_new),
      needs_entry_sync_(is_writable_) {}

ContentImpl::~ContentImpl() {
  if (is_writable_) store_.relief().Remove(relief_ticket_);
}

void ContentImpl::Register() {
  if (is_writable_) relief_ticket_ = store_.relief().Add(weak_from_this());
}

void ContentImpl::ForbidWrites(std::error_code why) {
  MutexLock lock(mutex_);
  write_error_ = why;
}

Result<void> ContentImpl::Flush() {
  MutexLock settle_lock(settle_mutex_);
  const DirtyBudget::Settling settling(store_.budget());
  GZIPFS_TRY(SettleAppended());
  MutexLock lock(mutex_);
  if (sticky_error_) return Fail(sticky_error_);
  if (append_error_) return Fail(append_error_);
  return {};
}

Result<void> ContentImpl::Settle() {
  MutexLock settle_lock(settle_mutex_);
  const DirtyBudget::Settling settling(store_.budget());
  {
    MutexLock lock(mutex_);
    if (sticky_error_) return Fail(sticky_error_);
    append_error_ = {};
  }
  if (!NeedsCheckpoint()) {
    GZIPFS_TRY(SettleAppended());
    // A write may have made the file logged half-way through.
    if (!NeedsCheckpoint()) return {};
  }
  GZIPFS_TRY(Checkpoint());
  return SettleAppended();
}

bool ContentImpl::NeedsCheckpoint() const {
  MutexLock lock(mutex_);
  return mode_ == Mode::kLogged && !is_unlinked_;
}

Result<void> ContentImpl::Sync() {
  GZIPFS_TRY(Settle());
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  Result<void> synced = store_.ops().SyncData(base->fd());
  if (synced) synced = SyncEntry();
  if (synced) return {};
  MutexLock lock(mutex_);
  sticky_error_ = synced.error();
  return synced;
}

bool ContentImpl::IsSettled() const {
  MutexLock lock(mutex_);
  if (is_unlinked_ || !is_modified_) return true;
  return mode_ == Mode::kAppend && blocks_.empty() && base_plain_ == plain_bytes_ &&
         base_->ends_with_tail();
}

uint64_t ContentImpl::plain_bytes() const {
  MutexLock lock(mutex_);
  return plain_bytes_;
}

std::optional<timespec> ContentImpl::pending_mtime() const {
  MutexLock lock(mutex_);
  return mtime_;
}

Result<void> ContentImpl::SetTimes(std::optional<timespec> atime, std::optional<timespec> mtime) {
  const timespec omit{.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  const timespec times[2] = {atime.value_or(omit), mtime.value_or(omit)};
  MutexLock times_lock(times_mutex_);
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (mtime) mtime_ = mtime;
    base = base_;
  }
  return store_.ops().SetTimes(base->fd(), times);
}

Result<struct stat> ContentImpl::StatBase() const {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  return store_.ops().Stat(base->fd());
}

Result<void> ContentImpl::WithBaseFd(const std::function<Result<void>(int fd)>& action) {
  // A checkpoint copies the attributes of the base to its successor; they must
  // not change in between.
  MutexLock settle_lock(settle_mutex_);
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  return action(base->fd());
}

Result<std::shared_ptr<Content>> OpenContent(Store& store, UniqueFd fd, bool is_writable,
                                             bool is_new, BasePlace& place) {
  Result<std::unique_ptr<BaseFile>> opened = BaseFile::Open(store, std::move(fd));
  if (!opened) return Fail(opened.error());
  std::shared_ptr<BaseFile> base = std::move(*opened);
  const std::error_code rest = base->rest();
  std::error_code write_error;
  Result<BaseRest> kind = base->Rest();
  if (!kind) return Fail(kind.error());
  if (*kind == BaseRest::kDamaged) {
    // It must not look like a shorter good file, still less become one.
    if (base->plain_bytes() == 0) return Fail(rest);
    write_error = std::error_code(EIO, std::system_category());
  }
  if (rest) {
    spdlog::warn("{} bytes of members, then: {}", base->file_bytes(), rest.message());
  }
  auto content = std::make_shared<ContentImpl>(store, std::move(base), is_writable, is_new, place);
  content->Register();
  if (write_error) content->ForbidWrites(write_error);
  return std::shared_ptr<Content>(std::move(content));
}

Result<uint64_t> ReadPlainSize(FileOps& ops, int fd, uint64_t stored_bytes) {
  if (stored_bytes == 0) return 0;
  const FileSource source(ops, fd, stored_bytes);
  Result<std::optional<TailSummary>> tail = ReadTailSummary(source, stored_bytes);
  if (!tail) return Fail(tail.error());
  if (*tail) return (*tail)->plain_bytes;
  Result<FileLayout> layout = ReadLayout(source);
  if (!layout) return Fail(layout.error());
  const uint64_t plain_bytes = layout->index.plain_bytes();
  if (plain_bytes > 0) return plain_bytes;
  Result<BaseRest> rest = ClassifyRest(source, *layout);
  if (!rest) return Fail(rest.error());
  if (*rest == BaseRest::kDamaged) return Fail(layout->rest);
  return 0;
}

}  // namespace gzipfs
