// New entries: files, directories, nodes, symlinks, links.
//
// A new entry is free only when neither the mount shows its name nor the store
// has the name it will lie under. It is made as the caller, so that owner,
// group, set-id bits, inherited ACL and quotas are what they would be in a plain
// directory.
#include <fcntl.h>

#include "fs/sys/at.h"
#include "fs/sys/xattr.h"
#include "fs/vfs/vfs.h"

namespace gzipfs {

// Checks what every new entry must fulfil; the directory it goes to.
Result<InodeRef> Vfs::ParentForNew(NodeId parent_id, std::string_view name) {
  if (store_.read_only()) return Fail(EROFS);
  auto parent = inodes().Get(parent_id);
  if (!parent) return Fail(parent.error());
  if (name.size() > kMaxMountNameBytes) return Fail(ENAMETOOLONG);
  if (IsHidden(*parent, name)) return Fail(EPERM);
  return parent;
}

// That the store has no entry `store_name` is for the call that makes it to tell.
Result<void> Vfs::CheckFree(DirectoryView& directory, const std::string& name,
                            const std::string& store_name) {
  const bool is_twin = store_name != name;  // X.gz: then X is free if nothing keeps that name
  const auto shown = is_twin ? FindKeptName(directory, name) : ResolveMountName(directory, name);
  if (!shown) return Fail(shown.error());
  return *shown ? Fail(EEXIST) : Result<void>();
}

// The store's filesystem lets new entries inherit by itself; the umask is left to
// us, because it counts only where there is nothing to inherit (acl(5)).
mode_t Vfs::ModeOfNew(const Caller& caller, int dir_fd, mode_t mode) {
  const bool inherits =
      has_acls_ && caller.umask != 0 && gzipfs::GetXattr(dir_fd, kDefaultAclName);
  return inherits ? mode : mode & ~caller.umask;
}

Result<Vfs::MadeFile> Vfs::MakeGzipFile(const Caller& caller, const InodeRef& parent,
                                        const std::string& name, mode_t mode) {
  const SharedLock lock(names_.lock);
  const auto dir = names_.OpenDir(parent);
  if (!dir) return Fail(dir.error());
  BaseView view(ops(), inodes(), dir->get());
  std::string store_name = GzipStoreName(name);
  GZIPFS_TRY(CheckFree(view, name, store_name));
  const mode_t new_mode = ModeOfNew(caller, dir->get(), mode) & 07777;
  Result<UniqueFd> fd = Fail(EPERM);
  {
    const CredentialsGuard guard(caller);
    if (!guard.holds()) return Fail(EPERM);
    fd = names_.OpenWithRoom([&] {
      return ops().OpenAt(dir->get(), store_name.c_str(),
                          O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_NOCTTY, new_mode);
    });
  }
  if (!fd) return Fail(fd.error());
  parent->change_count.fetch_add(1);
  const auto base = ops().Stat(fd->get());
  if (!base) return Fail(base.error());
  InodeRef inode = inodes().EnterNew(parent, store_name, *base, Form::kGzip);
  return MadeFile{std::move(inode), std::move(store_name), std::move(*fd), *base};
}

void Vfs::UndoMakeFile(const InodeRef& parent, const MadeFile& made) {
  const SharedLock lock(names_.lock);
  const auto dir = names_.OpenDir(parent);
  if (dir) (void)ops().UnlinkAt(dir->get(), made.store_name.c_str(), 0);
  inodes().NameRemoved(made.inode, parent, made.store_name, true);
  inodes().Forget(made.inode->id(), 1);
}

Result<Created> Vfs::Create(const Caller& caller, NodeId parent_id, const char* name, mode_t mode,
                            int flags) {
  const auto parent = ParentForNew(parent_id, name);
  if (!parent) return Fail(parent.error());
  auto made = MakeGzipFile(caller, *parent, name, mode);
  if (!made && ErrnoOf(made.error()) == EEXIST && (flags & O_EXCL) == 0) {
    // Somebody was faster, behind the mount.
    const auto entry = LookupIn(*parent, name);
    if (!entry) return Fail(ErrnoOf(entry.error()) == ENOENT ? EEXIST : ErrnoOf(entry.error()));
    const auto opened = Open(caller, entry->node_id, flags);
    if (opened) return Created{*entry, *opened};
    Forget(entry->node_id, 1);
    return Fail(opened.error());
  }
  if (!made) return Fail(made.error());
  auto file = files_.OpenNew(made->inode, std::move(made->fd), made->base);
  if (!file) {
    UndoMakeFile(*parent, *made);
    return Fail(file.error());
  }
  const Opened opened = MakeHandle(OpenedFile{std::move(*file), true}, flags);
  return Created{{made->inode->id(), ShownAttr(*made->inode, made->base, 0)}, opened};
}

Result<Entry> Vfs::MakeNode(const Caller& caller, NodeId parent_id, const char* name, mode_t mode,
                            dev_t device) {
  if ((mode & S_IFMT) != 0 && !S_ISREG(mode)) {
    return MakeNamed(caller, parent_id, name, mode, [&](int dir_fd, mode_t new_mode) {
      return MakeNodeAt(dir_fd, name, new_mode, device);
    });
  }
  const auto created = Create(caller, parent_id, name, mode, O_RDWR | O_EXCL);
  if (!created) return Fail(created.error());
  const auto flushed = Flush(*created->opened.handle);  // a file of no bytes is gzip, too
  Release(created->opened.handle);
  if (flushed) return created->entry;
  Forget(created->entry.node_id, 1);
  return Fail(flushed.error());
}

Result<Entry> Vfs::MakeDirectory(const Caller& caller, NodeId parent_id, const char* name,
                                 mode_t mode) {
  return MakeNamed(caller, parent_id, name, mode & 07777, [&](int dir_fd, mode_t new_mode) {
    return MakeDirectoryAt(dir_fd, name, new_mode);
  });
}

Result<Entry> Vfs::MakeSymlink(const Caller& caller, NodeId parent_id, const char* name,
                               const char* target) {
  return MakeNamed(caller, parent_id, name, 0, [&](int dir_fd, mode_t) {
    return MakeSymlinkAt(target, dir_fd, name);
  });
}

// Everything that keeps its name in the store. `make` is told the mode to give.
Result<Entry> Vfs::MakeNamed(
    const Caller& caller, NodeId parent_id, const std::string& name, mode_t mode,
    const std::function<Result<void>(int dir_fd, mode_t new_mode)>& make) {
  const auto parent = ParentForNew(parent_id, name);
  if (!parent) return Fail(parent.error());
  const SharedLock lock(names_.lock);
  const auto dir = names_.OpenDir(*parent);
  if (!dir) return Fail(dir.error());
  BaseView view(ops(), inodes(), dir->get());
  GZIPFS_TRY(CheckFree(view, name, name));
  const mode_t new_mode = ModeOfNew(caller, dir->get(), mode);
  {
    const CredentialsGuard guard(caller);
    if (!guard.holds()) return Fail(EPERM);
    GZIPFS_TRY(make(dir->get(), new_mode));
  }
  (*parent)->change_count.fetch_add(1);
  const auto base = ops().StatAt(dir->get(), name.c_str());
  if (!base) return Fail(base.error());
  const auto inode = inodes().EnterNew(*parent, name, *base, Form::kRaw);
  return Entry{inode->id(), ShownAttr(*inode, *base, 0)};
}

}  // namespace gzipfs
