// Removing names.
//
// An inode's last name may go while the kernel still knows it (a file that is
// open, a directory somebody is in): an O_PATH descriptor then keeps it until
// it is forgotten. It is taken before the name goes, so that whoever looks for
// the inode always finds one of the two.
#include <fcntl.h>

#include "fs/vfs/vfs.h"

namespace gzipfs {

Result<void> Vfs::Unlink(NodeId parent_id, const char* name) {
  return RemoveEntry(parent_id, name, false);
}

Result<void> Vfs::RemoveDirectory(NodeId parent_id, const char* name) {
  return RemoveEntry(parent_id, name, true);
}

Result<void> Vfs::RemoveEntry(NodeId parent_id, const char* name, bool is_directory) {
  if (store_.read_only()) return Fail(EROFS);
  const auto parent = inodes().Get(parent_id);
  if (!parent) return Fail(parent.error());
  if (IsHidden(*parent, name)) return Fail(ENOENT);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    Result<FoundEntry> found = Fail(ENOENT);
    {
      const SharedLock lock(names_.lock);
      found = FindEntry(*parent, name);
    }
    if (!found) return Fail(found.error());
    if (is_directory && !S_ISDIR(found->base.stat.st_mode)) return Fail(ENOTDIR);
    if (!is_directory && S_ISDIR(found->base.stat.st_mode)) return Fail(EISDIR);
    const auto removed = RemoveFound(*parent, *found, is_directory ? AT_REMOVEDIR : 0);
    if (!removed) return Fail(removed.error());
    if (*removed) return {};
  }
  return Fail(ESTALE);
}

// False when the entry is another one by now.
Result<bool> Vfs::RemoveFound(const InodeRef& parent, FoundEntry& found, int flags) {
  // An inode that nobody knows has no checkpoint that could use its name.
  Mutex unknown;
  const MutexLock place_lock(found.inode ? found.inode->place_mutex : unknown);
  const SharedLock lock(names_.lock);
  const auto dir = names_.OpenDir(parent);
  if (!dir) return Fail(dir.error());
  const auto is_still = IsStill(dir->get(), found.base);
  if (!is_still || !*is_still) return is_still;
  GZIPFS_TRY(RemoveAt(parent, *dir, found, flags));
  return true;
}

// REQUIRES: the inode's place_mutex is held. What it loses is a link and its change time:
// what is known of its contents stays so.
Result<void> Vfs::RemoveAt(const InodeRef& parent, const DirFd& dir, const FoundEntry& found,
                           int flags) {
  const std::string& store_name = found.base.store_name;
  std::shared_ptr<const UniqueFd> pin;
  if (found.inode) {
    pin = PinBeforeRemoval(found.inode, dir.get(), store_name);
    inodes().BeginOwnChange(found.inode);
  }
  const auto removed = ops().UnlinkAt(dir.get(), store_name.c_str(), flags);
  if (found.inode) {
    const struct stat& before = found.base.stat;
    const auto after = pin ? ops().Stat(pin->get()) : Fail(ESTALE);
    const bool is_own = after && HaveSameContents(StampOf(before), StampOf(*after));
    inodes().EndOwnChange(found.inode, &before, is_own ? &*after : nullptr);
  }
  if (!removed) {
    if (found.inode) inodes().Unpin(found.inode);
    return removed;
  }
  parent->change_count.fetch_add(1);
  if (!found.inode) return {};
  const bool is_last_link = S_ISDIR(found.base.stat.st_mode) || found.base.stat.st_nlink == 1;
  inodes().NameRemoved(found.inode, parent, store_name, is_last_link);
  if (found.inode->is_directory()) names_.ForgetDir(found.inode);
  return {};
}

// The descriptor that keeps the inode from here on; null when none does.
std::shared_ptr<const UniqueFd> Vfs::PinBeforeRemoval(const InodeRef& inode, int dir_fd,
                                                      const std::string& store_name) {
  auto fd = ops().OpenAt(dir_fd, store_name.c_str(), O_PATH | O_NOFOLLOW, 0);
  if (fd) inodes().Pin(inode, std::move(*fd));
  return inodes().PinOf(inode);
}

// If so, its attributes are brought up to date.
Result<bool> Vfs::IsStill(int dir_fd, BaseName& base) {
  const auto now = ops().StatAt(dir_fd, base.store_name.c_str());
  if (!now && ErrnoOf(now.error()) != ENOENT) return Fail(now.error());
  if (!now || KeyOf(*now, base.form) != KeyOf(base.stat, base.form)) return false;
  base.stat = *now;
  return true;
}

}  // namespace gzipfs
