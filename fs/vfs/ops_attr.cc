// Changing attributes.
//
// Of an open file in gzip form the base's descriptor is asked of its content,
// which keeps a checkpoint from replacing the base meanwhile. Of any other
// object an O_PATH descriptor does. If the file was opened while that was
// done, it is done again the first way: all of these changes can be repeated.
#include <fcntl.h>

#include "fs/sys/at.h"
#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

constexpr timespec kOmit{.tv_sec = 0, .tv_nsec = UTIME_OMIT};

}  // namespace

Result<struct stat> Vfs::SetAttr(const Caller& caller, NodeId id, const AttrChanges& asked,
                                 FileHandle* handle) {
  if (store_.read_only()) return Fail(EROFS);
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  AttrChanges changes = asked;
  // Of a regular file it comes before a write, too, which drops the set-id bits.
  if (changes.is_empty() && !(*inode)->is_regular()) changes.uid = kSameUid;
  // A change of the owner clears the set-id bits, one of the size moves the
  // modification time: so in this order.
  if (changes.uid || changes.gid) GZIPFS_TRY(ChangeInodeOwner(caller, *inode, changes));
  if (changes.mode) {
    GZIPFS_TRY(ChangeBase(*inode, [&](int fd) { return ChangeMode(fd, *changes.mode & 07777); }));
  }
  if (changes.plain_bytes) GZIPFS_TRY(ChangeSize(caller, *inode, *changes.plain_bytes, handle));
  GZIPFS_TRY(ChangeInodeTimes(*inode, changes));
  return AttrOf(*inode);
}

Result<void> Vfs::ChangeBase(const InodeRef& inode,
                             const std::function<Result<void>(int fd)>& change) {
  auto file = files_.Find(inode);
  if (!file) {
    const auto changed = ChangeClosedBase(inode, false, change);
    if (!changed) return Fail(changed.error());
    file = files_.Find(inode);
    if (!file) return {};
  }
  if (file->is_gzip()) return file->content()->WithBaseFd(change);
  const MutexLock lock(file->raw_attr_mutex);
  file->NoteChange();  // before: WasChangedOutside
  return change(file->raw_fd()->get());
}

// Keeps what is known of the base's contents, which do not change. False, and
// nothing is changed, when the file must be closed for it and is not.
Result<bool> Vfs::ChangeClosedBase(const InodeRef& inode, bool must_be_closed,
                                   const std::function<Result<void>(int fd)>& change) {
  Result<UniqueFd> fd = Fail(ESTALE);
  {
    const SharedLock lock(names_.lock);
    fd = names_.OpenBase(inode, O_PATH);
  }
  if (!fd) return Fail(fd.error());
  // Two such changes at once would each take the other for one from outside.
  const MutexLock place_lock(inode->place_mutex);
  // Whoever opens it from here on waits for us.
  if (must_be_closed && inodes().IsOpen(inode)) return false;
  inodes().BeginOwnChange(inode);
  const auto before = ops().Stat(fd->get());
  const auto changed = change(fd->get());
  const auto after = ops().Stat(fd->get());
  inodes().EndOwnChange(inode, before ? &*before : nullptr, after ? &*after : nullptr);
  return changed ? Result<bool>(true) : Fail(changed.error());
}

// The kernel leaves the set-id bits to us, and has checked all but this: that
// they are the owner's to drop where nothing else is changed.
Result<void> Vfs::ChangeInodeOwner(const Caller& caller, const InodeRef& inode,
                                   const AttrChanges& changes) {
  const uid_t uid = changes.uid.value_or(kSameUid);
  const gid_t gid = changes.gid.value_or(kSameGid);
  return ChangeBase(inode, [&](int fd) -> Result<void> {
    const auto base = ops().Stat(fd);
    if (!base) return Fail(base.error());
    const mode_t mode =
        inode->is_directory() ? base->st_mode : ModeWithoutSetIds(caller, *base);
    const bool is_owner = caller.uid == 0 || caller.uid == base->st_uid;
    if (mode != base->st_mode && uid == kSameUid && gid == kSameGid && !is_owner) {
      return Fail(EPERM);
    }
    GZIPFS_TRY(ChangeOwner(fd, uid, gid));
    return mode == base->st_mode ? Result<void>() : ChangeMode(fd, mode & 07777);
  });
}

Result<void> Vfs::ChangeSize(const Caller& caller, const InodeRef& inode, uint64_t plain_bytes,
                             FileHandle* handle) {
  if (!inode->is_regular()) return Fail(inode->is_directory() ? EISDIR : EINVAL);
  if (handle != nullptr && handle->may_write) {
    GZIPFS_TRY(Truncate(*handle->file, plain_bytes));
    return DropSetIds(caller, *handle->file);
  }
  const auto opened = files_.Open(inode, true);
  if (!opened) return Fail(opened.error());
  GZIPFS_TRY(Truncate(*opened->file, plain_bytes));
  GZIPFS_TRY(DropSetIds(caller, *opened->file));
  const auto content = opened->file->content();
  return content ? content->Flush() : Result<void>();
}

// Whether the inode is one whose last name has gone and `mtime` is what its base has: for each
// file that is removed the kernel writes back the time that it was told.
bool Vfs::HasLastTime(const InodeRef& inode, const timespec& mtime) {
  if (!inodes().WasUnlinked(inode)) return false;
  const SharedLock lock(names_.lock);
  const auto base = names_.StatBase(inode);
  return base && Nanoseconds(base->st_mtim) == Nanoseconds(mtime);
}

Result<void> Vfs::ChangeInodeTimes(const InodeRef& inode, const AttrChanges& changes) {
  if (!changes.atime && !changes.mtime) return {};
  std::optional<timespec> atime = changes.atime;
  std::optional<timespec> mtime = changes.mtime;
  if (atime) *atime = ResolveTime(*atime);
  if (mtime) *mtime = ResolveTime(*mtime);
  const timespec times[2] = {atime.value_or(kOmit), mtime.value_or(kOmit)};
  const auto change = [&](int fd) { return ChangeTimes(fd, times); };
  auto file = files_.Find(inode);
  if (!file && !atime && HasLastTime(inode, *mtime)) return {};
  if (!file) {
    // The content of an open file takes a time set by others for a change from outside.
    const auto changed = ChangeClosedBase(inode, true, change);
    if (!changed) return Fail(changed.error());
    if (*changed) return {};
    auto opened = files_.Open(inode, false);
    if (!opened) return Fail(opened.error());
    file = std::move(opened->file);
  }
  if (file->is_gzip()) return file->content()->SetTimes(atime, mtime);
  file->NoteChange();  // before: WasChangedOutside
  return change(file->raw_fd()->get());
}

}  // namespace gzipfs
