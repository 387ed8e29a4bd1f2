// A look takes no lock while it asks the kernel; what changes meanwhile makes it void.
#include "fs/store/base_watch.h"

namespace gzipfs {

void BaseWatch::Begin() {
  MutexLock lock(mutex_);
  ++change_count_;
  ++changes_;
}

void BaseWatch::End(int fd) {
  uint64_t count = 0;
  {
    MutexLock lock(mutex_);
    count = ++change_count_;
    if (--changes_ > 0) return;  // the last one looks
    seen_.reset();
  }
  const Result<struct stat> base = ops_.Stat(fd);
  MutexLock lock(mutex_);
  if (base && change_count_ == count) seen_ = StateOf(*base);
}

Result<void> BaseWatch::Check(int fd) {
  uint64_t count = 0;
  {
    MutexLock lock(mutex_);
    if (is_changed_) return Fail(ESTALE);
    if (changes_ > 0) return {};
    count = change_count_;
  }
  const Result<struct stat> base = ops_.Stat(fd);
  if (!base) return Fail(base.error());
  const State found = StateOf(*base);
  MutexLock lock(mutex_);
  if (change_count_ != count) return {};
  if (!seen_) seen_ = found;
  is_changed_ = seen_->stored_bytes != found.stored_bytes ||
                seen_->mtime.tv_sec != found.mtime.tv_sec ||
                seen_->mtime.tv_nsec != found.mtime.tv_nsec;
  return is_changed_ ? Fail(ESTALE) : Result<void>();
}

bool BaseWatch::is_changed() const {
  MutexLock lock(mutex_);
  return is_changed_;
}

}  // namespace gzipfs
