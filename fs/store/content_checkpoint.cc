// Logged mode's way back: a complete image of the file becomes the new base.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/store/checkpoint_plan.h"
#include "fs/store/content_impl.h"
#include "fs/store/image_writer.h"

namespace gzipfs {

// Freezes what is there now. Writers go on, on top of it.
ContentImpl::Snapshot ContentImpl::TakeSnapshot() {
  MutexLock lock(mutex_);
  while (appending_ || is_spilling_) changed_.Wait(mutex_);
  for (auto& [index, block] : blocks_) block->is_frozen = true;
  spilled_bytes_ = 0;
  const uint64_t base_limit = std::min(base_limit_, plain_bytes_);
  return {blocks_, change_count_, base_, plain_bytes_, base_limit, zeros_};
}

void ContentImpl::Thaw(const Snapshot& snapshot) {
  MutexLock lock(mutex_);
  for (const auto& [index, block] : snapshot.blocks) block->is_frozen = false;
}

Result<void> ContentImpl::Checkpoint() {
  const std::string image_name = store_.UniqueName();
  Result<UniqueFd> image_fd = store_.ops().OpenAt(store_.image_dir_fd(), image_name.c_str(),
                                                  O_CREAT | O_EXCL | O_RDWR, 0600);
  if (!image_fd) return Fail(image_fd.error());
  const Snapshot snapshot = TakeSnapshot();
  Result<void> done;
  {
    const bool is_in_background = is_in_background_;
    ImageWriter image(store_, image_fd->get(), profile_, block_bytes_,
                      {.level = is_hurried_ ? kLevelFast : store_.level(),
                       .uses_pool = [this, is_in_background] {
                         return !is_in_background || settle_waiter_count_.load() > 0;
                       }});
    done = ComposeImage(snapshot, image);
    if (done) done = image.Finish();
  }
  if (done) done = store_.ops().SyncData(image_fd->get());
  if (done) done = InstallImage(snapshot, std::move(*image_fd), image_name);
  if (done) {
    is_hurried_ = false;
    return {};
  }
  {
    MutexLock lock(mutex_);
    if (image_is_content_) return done;
  }
  (void)store_.ops().UnlinkAt(store_.image_dir_fd(), image_name.c_str(), 0);
  Thaw(snapshot);
  // Its last name may have gone meanwhile.
  const Result<bool> is_unlinked = FindUnlinked();
  return is_unlinked && *is_unlinked ? Result<void>() : done;
}

Result<void> ContentImpl::InstallImage(const Snapshot& snapshot, UniqueFd image,
                                       const std::string& image_name) {
  return place_.WithPlace([&](int dir_fd, const char* name) -> Result<void> {
    Result<struct stat> base = StatBase();
    if (!base) return Fail(base.error());
    Result<struct stat> found = store_.ops().StatAt(dir_fd, name);
    if (!found) return Fail(found.error());
    if (found->st_ino != base->st_ino || found->st_dev != base->st_dev) return Fail(ESTALE);
    GZIPFS_TRY(snapshot.base->CheckUnchanged());
    Result<bool> same_attributes = ReproduceAttributes(snapshot.base->fd(), image.get());
    if (!same_attributes) return Fail(same_attributes.error());
    const CheckpointPlan plan = PlanCheckpoint(
        {.link_count = base->st_nlink, .attributes_reproduced = *same_attributes});
    if (plan == CheckpointPlan::kOverwrite) {
      return OverwriteBase(snapshot, std::move(image), image_name);
    }
    return ReplaceBase(snapshot, std::move(image), image_name, dir_fd, name);
  });
}

// Owner, mode, times and extended attributes. False when this process may not
// give the image the base's owner.
Result<bool> ContentImpl::ReproduceAttributes(int from_fd, int to_fd) {
  FileOps& ops = store_.ops();
  Result<struct stat> from = ops.Stat(from_fd);
  if (!from) return Fail(from.error());
  Result<struct stat> to = ops.Stat(to_fd);
  if (!to) return Fail(to.error());
  if (from->st_uid != to->st_uid || from->st_gid != to->st_gid) {
    if (Result<void> owned = ops.SetOwner(to_fd, from->st_uid, from->st_gid); !owned) {
      if (owned.error().value() == EPERM) return false;
      return Fail(owned.error());
    }
  }
  GZIPFS_TRY(ops.SetMode(to_fd, from->st_mode & 07777));
  GZIPFS_TRY(ops.CopyAttributes(from_fd, to_fd));
  timespec times[2] = {from->st_atim, from->st_mtim};
  {
    MutexLock lock(mutex_);
    if (mtime_) times[1] = *mtime_;
  }
  GZIPFS_TRY(ops.SetTimes(to_fd, times));
  return true;
}

// The log says that the image is coming, so that whoever finds the log without
// its base knows why.
Result<void> ContentImpl::AnnounceImage(const LogImage& image) {
  redo_->Add(LogRecordType::kImage, 0, EncodeLogImage(image));
  const Result<void> done = redo_->Commit();
  if (!done && redo_->is_failed()) {
    MutexLock lock(mutex_);
    sticky_error_ = done.error();
    // The record may be on the disk all the same: then recovery needs what it tells of.
    if (image.overwrites) image_is_content_ = true;
  }
  return done;
}

Result<void> ContentImpl::ReplaceBase(const Snapshot& snapshot, UniqueFd image,
                                      const std::string& image_name, int dir_fd,
                                      const char* name) {
  FileOps& ops = store_.ops();
  GZIPFS_TRY(ops.SyncAll(image.get()));
  Result<struct stat> attributes = ops.Stat(image.get());
  if (!attributes) return Fail(attributes.error());
  const Result<BaseIdentity> identity = IdentityOf(ops, image.get());
  if (!identity) return Fail(identity.error());
  auto base = BaseFile::Open(store_, std::move(image), TailTrust::kOwn);
  if (!base) return Fail(base.error());
  MutexLock log_lock(log_mutex_);
  LogBatch batch;
  auto next = PrepareNextLog(snapshot, LogName(identity->ino), *identity, batch);
  if (!next) return Fail(next.error());
  Result<void> done;
  if (redo_) done = AnnounceImage({.image = *identity, .name = image_name});
  if (done) {
    done = ops.RenameAt(store_.image_dir_fd(), image_name.c_str(), dir_fd, name, 0);
  }
  if (!done) {
    if (*next) {
      (void)(*next)->Remove();
      RestoreUnlogged(batch);
    }
    return done;
  }
  const uint32_t entry_change_count = place_.entry_change_count();
  place_.BaseReplaced(*attributes);
  AdoptBase(snapshot, std::move(*base), *next != nullptr);
  Result<UniqueFd> dir = ops.OpenAt(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
  Result<void> synced = dir ? ops.SyncAll(dir->get()) : Fail(dir.error());
  if (synced) {
    (void)FinishLog(std::move(*next), identity->ino, batch);
    place_.SetEntryDurable(entry_change_count);
    return {};
  }
  // Which base a power cut would leave is not known: the old one's log stays.
  MutexLock lock(mutex_);
  sticky_error_ = synced.error();
  return {};
}

// The snapshot is in the base now; what was written since stays on top.
void ContentImpl::AdoptBase(const Snapshot& snapshot, std::shared_ptr<BaseFile> base,
                            bool has_next_log) {
  MutexLock lock(mutex_);
  base_ = std::move(base);
  base_plain_ = base_limit_ = base_->plain_bytes();
  zeros_.Clear();  // no more were zeroed while the image was made
  end_bytes_.clear();
  needs_times_ = true;  // one may have been set while the image was made
  for (const auto& [index, old_block] : snapshot.blocks) {
    const auto entry = blocks_.find(index);
    if (entry == blocks_.end()) continue;
    if (entry->second == old_block) {
      blocks_.erase(entry);
      continue;
    }
    for (DirtyBlock* layer = entry->second.get(); layer; layer = layer->beneath.get()) {
      if (layer->beneath == old_block) layer->beneath.reset();
    }
  }
  const bool is_all_behind =
      blocks_.empty() || BlockStart(blocks_.begin()->first) >= base_plain_;
  mode_ = is_all_behind && !has_next_log ? Mode::kAppend : Mode::kLogged;
  log_.reset();  // blocks that are in it keep it
  changed_.NotifyAll();
}

}  // namespace gzipfs
