// Opening a Content, and everything about it that is not reading, writing,
// appending or checkpointing.
#include "fs/store/content.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "fs/store/content_impl.h"
#include "fs/store/quarantine.h"

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
      join_from_(plain_bytes_),
      join_checked_bytes_(base_->file_bytes()),
      base_limit_(plain_bytes_),
      is_modified_(is_new) {}

ContentImpl::~ContentImpl() {
  if (is_registered_) store_.relief().Remove(relief_ticket_);
}

void ContentImpl::Register() {
  relief_ticket_ = store_.relief().Add(weak_from_this());
  is_registered_ = true;
}

Result<bool> ContentImpl::IsBaseOfLog(const LogSummary& summary) const {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  return IsBaseOf(store_.ops(), base->fd(), summary);
}

Result<void> ContentImpl::CompleteEnd() {
  const Result<struct stat> attributes = StatBase();
  if (!attributes) return Fail(attributes.error());
  {
    MutexLock lock(mutex_);
    if (!is_writable_ || write_error_ || mode_ != Mode::kAppend) return {};
    if (!base_->is_conforming() || (base_->ends_with_tail() && !base_->rest())) return {};
    is_modified_ = true;
    if (!mtime_) mtime_ = attributes->st_mtim;
  }
  return Settle();
}

void ContentImpl::Abandon() {
  MutexLock lock(mutex_);
  if (!sticky_error_) sticky_error_ = std::error_code(ESTALE, std::system_category());
  while (appending_ || is_spilling_) changed_.Wait(mutex_);
}

void ContentImpl::KeepTime(const timespec& mtime) {
  MutexLock lock(mutex_);
  if (!mtime_) mtime_ = mtime;
}

void ContentImpl::ForbidWrites(std::error_code why) {
  MutexLock lock(mutex_);
  write_error_ = why;
}

// A foreign file that was only appended to is converted now: who appends to a
// file finds it whole in the store after his close.
bool ContentImpl::IsOnlyAppended() const {
  if (base_limit_ < base_plain_ || plain_bytes_ == base_plain_ || !zeros_.empty()) return false;
  const auto block = blocks_.begin();  // a block behind it begins behind the base's end, too
  return block == blocks_.end() ||
         BlockStart(block->first) + block->second->FirstByte() >= base_plain_;
}

Result<void> ContentImpl::Flush() {
  {
    // Nothing to do, and not worth waiting for a checkpoint.
    MutexLock lock(mutex_);
    if (sticky_error_) return Fail(sticky_error_);
    const bool is_logged = mode_ == Mode::kLogged && !append_error_;
    if (is_logged && !IsOnlyAppended()) return {};
    if (is_logged) {
      lock.Unlock();
      const Result<void> settled = Settle();
      // Its log is where the next mount finds it.
      const bool is_canceled = !settled && settled.error().value() == ECANCELED;
      return is_canceled ? Sync() : settled;
    }
  }
  GZIPFS_TRY(CheckBase());
  MutexLock settle_lock(settle_mutex_);
  const DirtyBudget::Settling settling(store_.budget());
  GZIPFS_TRY(SettleAppended());
  MutexLock lock(mutex_);
  if (sticky_error_) return Fail(sticky_error_);
  if (append_error_) return Fail(append_error_);
  return {};
}

// Whether something between the base's end and the file's was never written. May miss one
// in a block that was written in layers.
bool ContentImpl::HasHole() const {
  uint64_t at = base_plain_;
  for (auto next = blocks_.lower_bound(at / block_bytes_); next != blocks_.end(); ++next) {
    const auto& [index, block] = *next;
    const uint64_t start = BlockStart(index);
    if (start > at) return true;
    const uint64_t end = std::min(plain_bytes_, start + block_bytes_);
    const bool is_covered = block->beneath || block->valid.Covers(
        static_cast<uint32_t>(at - start), static_cast<uint32_t>(end - start));
    if (!is_covered) return true;
    at = end;
  }
  return at < plain_bytes_;
}

// Were the hole filled now, whoever writes there would overwrite: all that is behind it
// would go to the log and be compressed once more. But a hole that nobody has written near
// for a while may stay one, and what others append behind it is to be visible.
Result<void> ContentImpl::FlushBesideWriters() {
  constexpr auto kWhile = std::chrono::seconds(5);
  if (!store_.space().IsLow(0)) {
    MutexLock lock(mutex_);
    const bool is_being_filled =
        wrote_inside_at_ && std::chrono::steady_clock::now() - *wrote_inside_at_ < kWhile;
    const bool may_wait = mode_ == Mode::kAppend && !sticky_error_ && !append_error_;
    if (is_being_filled && may_wait && HasHole()) return {};
  }
  return Flush();
}

Result<void> ContentImpl::Settle() {
  ++settle_waiter_count_;
  MutexLock settle_lock(settle_mutex_);
  --settle_waiter_count_;
  const DirtyBudget::Settling settling(store_.budget());
  {
    MutexLock lock(mutex_);
    append_error_ = {};
  }
  const Result<bool> is_unlinked = FindUnlinked();
  if (!is_unlinked) return Fail(is_unlinked.error());
  if (*is_unlinked) return {};
  {
    MutexLock lock(mutex_);
    if (sticky_error_) return Fail(sticky_error_);
  }
  GZIPFS_TRY(CheckBase());
  if (!NeedsCheckpoint()) {
    GZIPFS_TRY(SettleAppended());
    // A write may have made the file logged half-way through.
    if (!NeedsCheckpoint()) return {};
  }
  if (store_.is_hurried()) return Fail(ECANCELED);
  GZIPFS_TRY(Checkpoint());
  return SettleAppended();
}

bool ContentImpl::NeedsCheckpoint() const {
  MutexLock lock(mutex_);
  return mode_ == Mode::kLogged && !is_unlinked_;
}

Result<void> ContentImpl::Sync() {
  GZIPFS_TRY(CheckBase());
  for (bool done = false; !done;) {
    bool is_logged = false;
    {
      MutexLock lock(mutex_);
      if (sticky_error_) return Fail(sticky_error_);
      is_logged = mode_ == Mode::kLogged;
    }
    const Result<bool> synced = is_logged ? SyncLog() : SyncAppended();
    if (!synced) return Fail(synced.error());
    done = *synced;
  }
  const Result<void> synced = SyncEntry();
  if (synced) return {};
  MutexLock lock(mutex_);
  sticky_error_ = synced.error();
  return synced;
}

// False when a write made the file logged meanwhile.
Result<bool> ContentImpl::SyncAppended() {
  MutexLock settle_lock(settle_mutex_);
  const DirtyBudget::Settling settling(store_.budget());
  GZIPFS_TRY(SettleAppended());
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (mode_ != Mode::kAppend) return false;
    base = base_;
  }
  const Result<void> synced = store_.ops().SyncData(base->fd());
  if (synced) return true;
  MutexLock lock(mutex_);
  sticky_error_ = synced.error();
  return Fail(synced.error());
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
  return base->SetTimes(times);
}

Result<struct stat> ContentImpl::StatBase() const {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  return base->watch()->privileges().Stat(store_.ops(), base->fd());
}

Result<std::vector<std::byte>> ContentImpl::Capability() const {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  return base->watch()->privileges().Capability(base->fd());
}

Result<void> ContentImpl::WithBaseFd(const std::function<Result<void>(int fd)>& action) {
  // A checkpoint copies the attributes of the base to its successor; they must
  // not change in between.
  MutexLock settle_lock(settle_mutex_);
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    // The next mount copies the image, and gives the base what that has of privileges.
    if (image_is_content_ && sticky_error_) return Fail(sticky_error_);
    base = base_;
  }
  return base->WithAttributes(action);
}

namespace {

// A log that an earlier mount, or an earlier user of this file, left behind.
Result<void> LoadLeftLog(Store& store, ContentImpl& content, uint64_t base_ino,
                         const BasePlace& place) {
  FileOps& ops = store.ops();
  const std::string name = LogName(base_ino);
  const bool goes_on = content.is_writable();
  Result<UniqueFd> fd = ops.OpenAt(store.log_dir_fd(), name.c_str(),
                                   (goes_on ? O_RDWR : O_RDONLY) | O_NOFOLLOW, 0);
  if (!fd && fd.error().value() == ENOENT) {
    store.logs().Remove(base_ino);
    return {};
  }
  if (!fd) return Fail(fd.error());
  const Result<LogSummary> summary = ReadLogSummary(ops, fd->get());
  if (!summary) return Fail(summary.error());
  if (summary->image && summary->image->overwrites) {
    spdlog::error("{}: was being overwritten when the store was left; a mount that may write "
                  "completes it", place.Describe());
    return Fail(EIO);
  }
  if (!summary->has_commit && !summary->is_damaged) return {};
  const Result<bool> fits = content.IsBaseOfLog(*summary);
  if (!fits) return Fail(fits.error());
  if (!*fits) {
    spdlog::error("{}: changed behind the mount, does not fit its log {}/log/{}",
                  place.Describe(), kPrivateDirName, name);
    if (!goes_on) return Fail(ESTALE);
    const Result<std::string> kept = QuarantineLog(store, name);
    if (!kept) return Fail(kept.error());
    spdlog::error("{}: the log is kept as {}", place.Describe(), *kept);
    store.logs().Remove(base_ino);
    return {};
  }
  const bool resumes = goes_on && !summary->is_damaged;
  if (summary->has_commit) {
    GZIPFS_TRY(content.LoadLog(*summary, std::move(*fd), resumes ? name : ""));
  }
  if (summary->is_damaged) {
    spdlog::error("{}: its log is damaged; its newest changes are missing", place.Describe());
    content.ForbidWrites(std::error_code(EIO, std::system_category()));
  }
  return {};
}

// The size that the log of a file that is not open gives it; nullopt without one.
Result<std::optional<uint64_t>> LoggedSize(Store& store, uint64_t base_ino) {
  if (!store.logs().Contains(base_ino)) return std::optional<uint64_t>();
  const Result<UniqueFd> fd = store.ops().OpenAt(
      store.log_dir_fd(), LogName(base_ino).c_str(), O_RDONLY | O_NOFOLLOW, 0);
  if (!fd && fd.error().value() == ENOENT) return std::optional<uint64_t>();
  if (!fd) return Fail(fd.error());
  const Result<LogSummary> summary = ReadLogSummary(store.ops(), fd->get());
  if (!summary) return Fail(summary.error());
  if (!summary->has_commit) return std::optional<uint64_t>();
  return std::optional(summary->plain_bytes);
}

}  // namespace

Result<std::shared_ptr<Content>> OpenContent(Store& store, UniqueFd fd, bool is_writable,
                                             bool is_new, BasePlace& place) {
  const Result<struct stat> attributes = store.ops().Stat(fd.get());
  if (!attributes) return Fail(attributes.error());
  return OpenContent(store, std::move(fd), *attributes, is_writable, is_new, place);
}

Result<std::shared_ptr<Content>> OpenContent(Store& store, UniqueFd fd, const struct stat& found,
                                             bool is_writable, bool is_new, BasePlace& place) {
  auto opened = BaseFile::OpenAs(store, std::move(fd), found, TailTrust::kNone, nullptr);
  if (!opened) return Fail(opened.error());
  std::shared_ptr<BaseFile> base = std::move(*opened);
  base->AcceptSize();  // whoever was told another one compares
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
    spdlog::warn("{}: {} bytes of members, then: {}", place.Describe(), base->file_bytes(),
                 rest.message());
  }
  if (const std::error_code damage = base->damage()) {
    write_error = std::error_code(EIO, std::system_category());
    spdlog::warn("{}: the last member {}", place.Describe(), damage.message());
  }
  auto content = std::make_shared<ContentImpl>(store, std::move(base), is_writable, is_new, place);
  if (content->is_writable()) content->Register();
  if (is_new) content->KeepTime(found.st_mtim);
  if (store.logs().Contains(found.st_ino)) {
    if (!content->is_writable()) content->Register();
    GZIPFS_TRY(LoadLeftLog(store, *content, found.st_ino, place));
  }
  if (write_error) content->ForbidWrites(write_error);
  return std::shared_ptr<Content>(std::move(content));
}

Result<uint64_t> ReadPlainSize(Store& store, int fd, const struct stat& base) {
  const Result<std::optional<uint64_t>> logged = LoggedSize(store, base.st_ino);
  if (!logged) return Fail(logged.error());
  if (*logged) return **logged;
  FileOps& ops = store.ops();
  const auto stored_bytes = static_cast<uint64_t>(base.st_size);
  if (stored_bytes == 0) return 0;
  const FileSource source(ops, fd, stored_bytes);
  const bool is_doubted = BaseFile::IsTailDoubted(store, base);
  if (!is_doubted) {
    const Result<std::optional<TailSummary>> tail = ReadTailSummary(source, stored_bytes);
    if (!tail) return Fail(tail.error());
    if (*tail) return (*tail)->plain_bytes;
  }
  Result<FileLayout> layout =
      is_doubted ? ScanLayout(source) : store.foreign_indexes().Read(fd, base);
  if (!layout) return Fail(layout.error());
  const uint64_t plain_bytes = layout->index.plain_bytes();
  if (plain_bytes > 0) return plain_bytes;
  Result<BaseRest> rest = ClassifyRest(source, *layout);
  if (!rest) return Fail(rest.error());
  if (*rest == BaseRest::kDamaged) return Fail(layout->rest);
  return 0;
}

}  // namespace gzipfs
