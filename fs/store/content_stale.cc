// A base that somebody else changed, replaced or removed behind the mount while
// it was open. What the content knows of it fits it no longer: nothing is read,
// nothing is written any more, and what was promised is kept aside.
#include <spdlog/spdlog.h>

#include "fs/store/content_impl.h"
#include "fs/store/quarantine.h"

namespace gzipfs {

// Not removed: it may hold what was promised to somebody.
void ContentImpl::SetLogAside() {
  if (!redo_) return;
  if (redo_->committed_bytes() == 0) {
    (void)redo_->Remove();
  } else if (const auto kept = QuarantineLog(store_, LogName(base_ino_)); kept) {
    spdlog::error("{}: its log is kept as {}", place_.Describe(), *kept);
  } else {
    spdlog::error("{}: its log stays, and fits no file: {}", place_.Describe(),
                  kept.error().message());
  }
  ForgetLog();
}

// For good, if `base` is still the content's. Whoever comes later waits until the log
// is out of the way: then the file may be opened anew, and get another one.
bool ContentImpl::GoStale(const std::shared_ptr<BaseFile>& base, const char* why) {
  MutexLock log_lock(log_mutex_);
  bool loses_bytes = false;
  {
    MutexLock lock(mutex_);
    if (base != base_) return false;
    if (std::exchange(is_stale_, true)) return true;
    loses_bytes = !blocks_.empty();
    if (!sticky_error_) sticky_error_ = std::error_code(ESTALE, std::system_category());
  }
  spdlog::error("{}: {}; those who have it open get ESTALE{}", place_.Describe(), why,
                loses_bytes ? ", and what they wrote and was not stored yet is lost" : "");
  SetLogAside();
  return true;
}

Result<void> ContentImpl::CheckBase() {
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    base = base_;
  }
  const Result<void> unchanged = base->CheckUnchanged();
  if (!base->watch()->is_changed()) return unchanged;
  const bool is_stale = GoStale(base, "changed behind the mount while it was open");
  return is_stale ? unchanged : Result<void>();
}

Result<void> ContentImpl::CheckFit() {
  GZIPFS_TRY(CheckBase());
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (is_stale_) return Fail(ESTALE);
    base = base_;
  }
  const bool is_stale =
      base->has_wrong_size() && GoStale(base, "its tail told a wrong size when it was opened");
  return is_stale ? Fail(ESTALE) : Result<void>();
}

// Nobody can open a base without a name again: there is nothing to settle.
Result<bool> ContentImpl::FindUnlinked() {
  const Result<struct stat> attributes = StatBase();
  if (!attributes) return Fail(attributes.error());
  if (attributes->st_nlink > 0) return false;
  // Told before the first lock: who unlinks through the mount has told the place.
  const bool was_removed_outside = place_.HasName();
  MutexLock log_lock(log_mutex_);
  bool is_first = false;
  bool loses_bytes = false;
  {
    MutexLock lock(mutex_);
    is_first = !is_unlinked_;
    is_unlinked_ = true;
    loses_bytes = mode_ == Mode::kLogged || !blocks_.empty();
  }
  if (was_removed_outside && is_first && loses_bytes) {
    spdlog::error("{}: removed or replaced behind the mount while it was open; what was written "
                  "to it is lost", place_.Describe());
    SetLogAside();
  } else {
    (void)DropLog();
  }
  return true;
}

}  // namespace gzipfs
