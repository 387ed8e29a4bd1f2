// Hard links.
//
// The inode's place is held, because a checkpoint chooses between replacing
// and overwriting the base by the number of its names.
#include <fcntl.h>

#include "fs/sys/at.h"
#include "fs/vfs/vfs.h"

namespace gzipfs {

Result<Entry> Vfs::Link(NodeId id, NodeId new_parent_id, const char* new_name) {
  const auto parent = ParentForNew(new_parent_id, new_name);
  if (!parent) return Fail(parent.error());
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  if ((*inode)->is_directory()) return Fail(EPERM);
  GZIPFS_TRY(LinkInode(*inode, *parent, new_name));
  const auto attr = AttrOf(*inode);
  if (attr) return Entry{(*inode)->id(), *attr};
  inodes().Forget((*inode)->id(), 1);
  return Fail(attr.error());
}

// Makes the link and counts a lookup of the inode.
Result<void> Vfs::LinkInode(const InodeRef& inode, const InodeRef& parent,
                            const std::string& name) {
  const MutexLock place_lock(inode->place_mutex);
  const SharedLock lock(names_.lock);
  const auto dir = names_.OpenDir(parent);
  if (!dir) return Fail(dir.error());
  const auto fd = names_.OpenBase(inode, O_PATH);
  if (!fd) return Fail(fd.error());
  const auto base = ops().Stat(fd->get());
  if (!base) return Fail(base.error());
  const std::string store_name = inode->is_gzip() ? GzipStoreName(name) : name;
  BaseView view(ops(), inodes(), dir->get());
  GZIPFS_TRY(CheckFree(view, name, store_name));
  if (!inode->is_gzip()) {
    GZIPFS_TRY(CheckStaysRaw(*base, name, [&] { return Reopen(fd->get(), O_RDONLY); }));
  }
  GZIPFS_TRY(LinkDescriptorAt(fd->get(), dir->get(), store_name.c_str()));
  parent->change_count.fetch_add(1);
  inodes().AddPlace(inode, parent, store_name);
  inode->entry_change_count.fetch_add(1);
  inodes().AddLookup(inode);
  return {};
}

// A raw file must not get a name under which it would be taken for gzip: EXDEV
// makes programs copy it instead. `opener` opens the file for reading.
Result<void> Vfs::CheckStaysRaw(const struct stat& base, std::string_view new_store_name,
                                const std::function<Result<UniqueFd>()>& opener) {
  if (!S_ISREG(base.st_mode) || !HasGzSuffix(new_store_name)) return {};
  if (base.st_size == 0) return Fail(EXDEV);
  const auto fd = opener();
  if (!fd) return Fail(EXDEV);
  const auto is_gzip = BeginsAsGzip(ops(), fd->get());
  if (!is_gzip) return Fail(is_gzip.error());
  return *is_gzip ? Result<void>(Fail(EXDEV)) : Result<void>();
}

}  // namespace gzipfs
