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
  return {blocks_, base_, plain_bytes_, std::min(base_limit_, plain_bytes_)};
}

void ContentImpl::Thaw(const Snapshot& snapshot) {
  MutexLock lock(mutex_);
  for (const auto& [index, block] : snapshot.blocks) block->is_frozen = false;
}

// Nobody can open a base without a name again: there is nothing to keep.
Result<bool> ContentImpl::FindUnlinked() {
  Result<struct stat> attributes = StatBase();
  if (!attributes) return Fail(attributes.error());
  if (attributes->st_nlink > 0) return false;
  MutexLock lock(mutex_);
  is_unlinked_ = true;
  return true;
}

Result<void> ContentImpl::Checkpoint() {
  Result<bool> is_unlinked = FindUnlinked();
  if (!is_unlinked) return Fail(is_unlinked.error());
  if (*is_unlinked) return {};
  const std::string image_name = store_.UniqueName();
  Result<UniqueFd> image_fd = store_.ops().OpenAt(store_.image_dir_fd(), image_name.c_str(),
                                                  O_CREAT | O_EXCL | O_RDWR, 0600);
  if (!image_fd) return Fail(image_fd.error());
  const Snapshot snapshot = TakeSnapshot();
  Result<void> done;
  {
    ImageWriter image(store_, image_fd->get(), profile_, block_bytes_);
    done = ComposeImage(snapshot, image);
    if (done) done = image.Finish();
  }
  if (done) done = store_.ops().SyncData(image_fd->get());
  if (done) done = InstallImage(snapshot, std::move(*image_fd), image_name);
  if (done) return {};
  (void)store_.ops().UnlinkAt(store_.image_dir_fd(), image_name.c_str(), 0);
  Thaw(snapshot);
  // Its last name may have gone meanwhile.
  is_unlinked = FindUnlinked();
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

Result<void> ContentImpl::ReplaceBase(const Snapshot& snapshot, UniqueFd image,
                                      const std::string& image_name, int dir_fd,
                                      const char* name) {
  FileOps& ops = store_.ops();
  GZIPFS_TRY(ops.SyncAll(image.get()));
  Result<struct stat> attributes = ops.Stat(image.get());
  if (!attributes) return Fail(attributes.error());
  Result<std::unique_ptr<BaseFile>> base = BaseFile::Open(store_, std::move(image));
  if (!base) return Fail(base.error());
  GZIPFS_TRY(ops.RenameAt(store_.image_dir_fd(), image_name.c_str(), dir_fd, name, 0));
  place_.BaseReplaced(*attributes);
  AdoptBase(snapshot, std::move(*base));
  Result<UniqueFd> dir = ops.OpenAt(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
  Result<void> synced = dir ? ops.SyncAll(dir->get()) : Fail(dir.error());
  MutexLock lock(mutex_);
  if (!synced) sticky_error_ = synced.error();
  if (synced) needs_entry_sync_ = false;
  return {};
}

// The base keeps its inode, for the sake of its other names: the image's bytes
// are copied over it. What lies behind the base's end comes first, because that
// is where a full disk shows, and it can be cut off again.
Result<void> ContentImpl::OverwriteBase(const Snapshot& snapshot, UniqueFd image,
                                        const std::string& image_name) {
  FileOps& ops = store_.ops();
  ExclusiveLock base_lock(base_lock_);
  const int base_fd = snapshot.base->fd();
  Result<struct stat> from = ops.Stat(image.get());
  if (!from) return Fail(from.error());
  Result<struct stat> to = ops.Stat(base_fd);
  if (!to) return Fail(to.error());
  Result<UniqueFd> fd = ops.Duplicate(base_fd);
  if (!fd) return Fail(fd.error());
  const auto new_bytes = static_cast<uint64_t>(from->st_size);
  const auto old_bytes = static_cast<uint64_t>(to->st_size);
  const int image_dir_fd = store_.image_dir_fd();
  const std::string kept_name = "kept-" + image_name;
  Result<void> copied;
  if (new_bytes > old_bytes) {
    copied = ops.CopyRange(image.get(), old_bytes, base_fd, old_bytes, new_bytes - old_bytes);
  }
  // From the next step on the image is all there is of the content, until the
  // copy is durable: under this name it also outlives this process.
  if (copied) {
    copied = ops.RenameAt(image_dir_fd, image_name.c_str(), image_dir_fd, kept_name.c_str(), 0);
  }
  if (copied) copied = ops.SyncAll(image_dir_fd);
  if (!copied) {
    (void)ops.Truncate(base_fd, old_bytes);
    (void)ops.UnlinkAt(image_dir_fd, kept_name.c_str(), 0);
    return copied;
  }
  copied = ops.CopyRange(image.get(), 0, base_fd, 0, std::min(old_bytes, new_bytes));
  if (copied) copied = ops.Truncate(base_fd, new_bytes);
  if (copied) copied = ops.SyncAll(base_fd);
  if (!copied) return ReadFromImage(snapshot, std::move(image), kept_name, copied.error());
  Result<std::unique_ptr<BaseFile>> base = BaseFile::Open(store_, std::move(*fd));
  if (!base) return ReadFromImage(snapshot, std::move(image), kept_name, base.error());
  AdoptBase(snapshot, std::move(*base));
  (void)ops.UnlinkAt(image_dir_fd, kept_name.c_str(), 0);
  MutexLock lock(mutex_);
  needs_times_ = true;
  return {};
}

// The base is half overwritten: its content is read from the image until the
// file is closed, and the image stays for somebody to fetch.
Result<void> ContentImpl::ReadFromImage(const Snapshot& snapshot, UniqueFd image,
                                        const std::string& kept_name, std::error_code why) {
  spdlog::error("{} was overwritten in part ({}); its content is in {}/image/{}",
                place_.Describe(), why.message(), kPrivateDirName, kept_name);
  if (Result<std::unique_ptr<BaseFile>> base = BaseFile::Open(store_, std::move(image))) {
    AdoptBase(snapshot, std::move(*base));
  }
  MutexLock lock(mutex_);
  sticky_error_ = why;
  return Fail(why);
}

// The snapshot is in the base now; what was written since stays on top.
void ContentImpl::AdoptBase(const Snapshot& snapshot, std::shared_ptr<BaseFile> base) {
  MutexLock lock(mutex_);
  base_ = std::move(base);
  base_plain_ = base_limit_ = base_->plain_bytes();
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
  mode_ = is_all_behind ? Mode::kAppend : Mode::kLogged;
  log_.reset();  // blocks that are in it keep it
  changed_.NotifyAll();
}

}  // namespace gzipfs
