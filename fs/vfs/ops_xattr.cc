// Extended attributes and symlinks: passed through to the base.
#include <fcntl.h>

#include <string_view>

#include "fs/sys/at.h"
#include "fs/sys/privileges.h"
#include "fs/sys/xattr.h"
#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

bool IsAclName(std::string_view name) {
  return name == kAccessAclName || name == kDefaultAclName;
}

// What the kernel does on its own filesystems for whoever lacks CAP_FSETID
// (posix_acl_update_mode in fs/posix_acl.c).
Result<void> DropSetGroupIdAfterAcl(FileOps& ops, int fd, const Caller& caller) {
  if (caller.uid == 0) return {};
  const auto base = ops.Stat(fd);
  if (!base) return Fail(base.error());
  if ((base->st_mode & S_ISGID) == 0 || IsInGroup(caller, base->st_gid)) return {};
  return ChangeMode(fd, base->st_mode & 07777 & ~S_ISGID);
}

}  // namespace

Result<std::string> Vfs::ReadLink(NodeId id) {
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  std::string target;
  GZIPFS_TRY(ReadBase(*inode, [&](int fd) -> Result<void> {
    auto read = ReadLinkOf(fd);
    if (!read) return Fail(read.error());
    target = std::move(*read);
    return {};
  }));
  return target;
}

// Reading does not wait for a checkpoint: base and image have the same
// attributes. An open file without a name is left to its content.
Result<void> Vfs::ReadBase(const InodeRef& inode,
                           const std::function<Result<void>(int fd)>& action) {
  Result<UniqueFd> fd = Fail(ESTALE);
  {
    const SharedLock lock(names_.lock);
    fd = names_.OpenBase(inode, O_PATH);
  }
  if (fd) return action(fd->get());
  const auto file = files_.Find(inode);
  if (!file) return Fail(fd.error());
  if (file->is_gzip()) return file->content()->WithBaseFd(action);
  return action(file->raw_fd()->get());
}

Result<void> Vfs::SetXattr(const Caller& caller, NodeId id, const char* name,
                           std::span<const std::byte> value, int flags) {
  if (store_.read_only()) return Fail(EROFS);
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  const auto set = [&](int fd) -> Result<void> {
    GZIPFS_TRY(gzipfs::SetXattr(fd, name, value, flags));
    return name == std::string_view(kAccessAclName) ? DropSetGroupIdAfterAcl(ops(), fd, caller)
                                                    : Result<void>();
  };
  GZIPFS_TRY(ChangeBase(*inode, set));
  if (const auto file = files_.Find(*inode)) file->NoteXattrChange();
  return {};
}

Result<std::vector<std::byte>> Vfs::GetXattr(NodeId id, const char* name) {
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  // The kernel asks for it before every write(2), to drop it.
  const bool is_capability = name == std::string_view(kCapabilityXattr);
  const auto file = is_capability ? files_.Find(*inode) : OpenFileRef();
  if (file && file->lacks_capability()) return Fail(ENODATA);
  const uint32_t as_of = file ? file->xattr_change_count() : 0;
  auto value = is_capability ? ReadCapability(*inode) : ReadXattr(*inode, name);
  if (value) return value;
  const int error = ErrnoOf(value.error());
  if (file && error == ENODATA) file->SetLacksCapability(as_of);
  // To the kernel, which asks in order to check a permission, it would be an error
  // that a directory of the store is on another filesystem, one without ACLs.
  const bool has_none = has_acls_ && error == EOPNOTSUPP && IsAclName(name);
  return has_none ? Fail(ENODATA) : value;
}

Result<std::vector<std::byte>> Vfs::ReadXattr(const InodeRef& inode, const char* name) {
  std::vector<std::byte> value;
  GZIPFS_TRY(ReadBase(inode, [&](int fd) -> Result<void> {
    auto read = gzipfs::GetXattr(fd, name);
    if (!read) return Fail(read.error());
    value = std::move(*read);
    return {};
  }));
  return value;
}

// A write of ours takes it away for a moment, which only who has the file open knows.
Result<std::vector<std::byte>> Vfs::ReadCapability(const InodeRef& inode) {
  auto file = files_.Find(inode);
  if (!file) {
    auto value = ReadXattr(inode, kCapabilityXattr);
    file = files_.Find(inode);
    if (!file) return value;
  }
  if (const auto content = file->content()) return content->Capability();
  return file->raw_privileges.Capability(file->raw_fd()->get());
}

Result<std::string> Vfs::ListXattrs(NodeId id) {
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  std::string names;
  GZIPFS_TRY(ReadBase(*inode, [&](int fd) -> Result<void> {
    auto list = gzipfs::ListXattrs(fd);
    if (!list) return Fail(list.error());
    names = std::move(*list);
    return {};
  }));
  const std::string_view capability(kCapabilityXattr, sizeof kCapabilityXattr);
  const bool may_lack = names.find(capability) == std::string::npos && files_.Find(*inode);
  if (may_lack && ReadCapability(*inode)) names.append(capability);
  return names;
}

Result<void> Vfs::RemoveXattr(NodeId id, const char* name) {
  if (store_.read_only()) return Fail(EROFS);
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  // Repeated, because the file was opened meanwhile, it finds nothing more.
  bool was_removed = false;
  return ChangeBase(*inode, [&](int fd) -> Result<void> {
    const auto removed = gzipfs::RemoveXattr(fd, name);
    if (!removed && was_removed && ErrnoOf(removed.error()) == ENODATA) return {};
    was_removed = was_removed || removed.has_value();
    return removed;
  });
}

}  // namespace gzipfs
