// A checkpoint of a base that must keep its inode, for the sake of its other
// names or of an owner that we may not give away: the image's bytes are copied
// over it. The log protects that: until the copy is durable it says that the
// image is the content, and recovery copies once more.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "fs/store/content_impl.h"
#include "fs/sys/privileges.h"

namespace gzipfs {
namespace {

// What the copy takes from the base until it is done, recovery gives back from the image.
Result<void> SyncForRecovery(Store& store, int base_fd, int image_fd) {
  if (GivePrivileges(base_fd, image_fd)) GZIPFS_TRY(store.ops().SyncAll(image_fd));
  return store.ops().SyncAll(store.image_dir_fd());
}

}  // namespace

// What lies behind the base's end comes first, because that is where a full
// disk shows, and it can be cut off again. False when that was done.
Result<bool> ContentImpl::CopyImage(int image_fd, BaseFile& base, uint64_t old_bytes) {
  FileOps& ops = store_.ops();
  const int base_fd = base.fd();
  const Result<struct stat> image = ops.Stat(image_fd);
  if (!image) return false;
  const auto new_bytes = static_cast<uint64_t>(image->st_size);
  std::optional<KeptPrivileges> kept(std::in_place, base_fd, &base.watch()->privileges());
  if (new_bytes > old_bytes) {
    const Result<void> grown =
        ops.CopyRange(image_fd, old_bytes, base_fd, old_bytes, new_bytes - old_bytes);
    if (!grown) {
      GZIPFS_TRY(ops.Truncate(base_fd, old_bytes));
      return false;
    }
  }
  GZIPFS_TRY(ops.CopyRange(image_fd, 0, base_fd, 0, std::min(old_bytes, new_bytes)));
  GZIPFS_TRY(ops.Truncate(base_fd, new_bytes));
  kept.reset();
  GZIPFS_TRY(ops.SyncAll(base_fd));
  return true;
}

// The base is as it was: the log goes on as if no image had been announced.
Result<void> ContentImpl::CancelImage() {
  Result<void> done;
  if (logged_change_count_ == 0) {
    done = DropLog();
  } else {
    redo_->Add(LogRecordType::kCommit, logged_plain_bytes_, EncodeLogTime(logged_mtime_));
    done = redo_->Commit();
  }
  if (done) return {};
  // The next mount will take the image for the content.
  MutexLock lock(mutex_);
  image_is_content_ = true;
  sticky_error_ = done.error();
  return done;
}

Result<void> ContentImpl::OverwriteBase(const Snapshot& snapshot, UniqueFd image,
                                        const std::string& image_name) {
  FileOps& ops = store_.ops();
  const int base_fd = snapshot.base->fd();
  const Result<struct stat> old_base = ops.Stat(base_fd);
  if (!old_base) return Fail(old_base.error());
  const Result<BaseIdentity> identity = IdentityOf(ops, image.get());
  if (!identity) return Fail(identity.error());
  Result<UniqueFd> fd = ops.Duplicate(base_fd);
  if (!fd) return Fail(fd.error());
  MutexLock log_lock(log_mutex_);
  BaseIdentity after = *identity;
  after.ino = old_base->st_ino;
  LogBatch batch;
  auto next = PrepareNextLog(snapshot, NextLogName(after.ino), after, batch);
  if (!next) return Fail(next.error());
  Result<void> announced = SyncForRecovery(store_, base_fd, image.get());
  if (announced && !redo_) {
    const Result<bool> started = StartLog();
    if (!started) announced = Fail(started.error());
    if (started && !*started) announced = Fail(ENOENT);  // its last name has just gone
  }
  if (announced) {
    announced = AnnounceImage({.image = *identity,
                               .overwrites = true,
                               .has_next_log = *next != nullptr,
                               .name = image_name});
  }
  const auto undo = [&] {
    if (!*next) return;
    (void)(*next)->Remove();
    RestoreUnlogged(batch);
  };
  if (!announced) {
    if (!redo_ || !redo_->is_failed()) undo();
    if (redo_ && redo_->committed_bytes() == 0) (void)DropLog();
    return announced;
  }
  ExclusiveLock base_lock(base_lock_);
  const BaseWatch::OwnChange change(*snapshot.base->watch(), base_fd);
  const Result<bool> copied =
      CopyImage(image.get(), *snapshot.base, static_cast<uint64_t>(old_base->st_size));
  if (copied && !*copied) {
    GZIPFS_TRY(CancelImage());
    undo();
    return Fail(ENOSPC);
  }
  Result<std::unique_ptr<BaseFile>> base = Fail(EIO);
  const auto& watch = snapshot.base->watch();
  if (copied) base = BaseFile::Open(store_, std::move(*fd), TailTrust::kOwn, watch);
  if (!base) {
    return ReadFromImage(snapshot, std::move(image), image_name,
                         copied ? base.error() : copied.error());
  }
  AdoptBase(snapshot, std::move(*base), *next != nullptr);
  Result<void> finished;
  if (*next) finished = (*next)->Rename(LogName(after.ino));
  if (finished) finished = FinishLog(std::move(*next), after.ino, batch);
  if (!finished) {
    // The next mount will copy the image once more: nothing may change till then.
    MutexLock lock(mutex_);
    image_is_content_ = true;
    sticky_error_ = finished.error();
    return finished;
  }
  (void)ops.UnlinkAt(store_.image_dir_fd(), image_name.c_str(), 0);
  MutexLock lock(mutex_);
  needs_times_ = true;
  return {};
}

// The base is half overwritten: its content is read from the image until the
// file is closed. The log and the image stay for recovery.
Result<void> ContentImpl::ReadFromImage(const Snapshot& snapshot, UniqueFd image,
                                        const std::string& image_name, std::error_code why) {
  spdlog::error("{} was overwritten in part ({}); the next mount tries again, from {}/image/{}",
                place_.Describe(), why.message(), kPrivateDirName, image_name);
  if (auto base = BaseFile::Open(store_, std::move(image), TailTrust::kOwn)) {
    AdoptBase(snapshot, std::move(*base), true);
  }
  MutexLock lock(mutex_);
  image_is_content_ = true;
  sticky_error_ = why;
  return Fail(why);
}

}  // namespace gzipfs
