// Finding inodes, and their attributes.
//
// The size of a file in gzip form is asked of its content when it is open, of
// the inode table when the base is as it was, and of the base itself else,
// which may take a scan: none of that happens with the name space locked.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;

}  // namespace

Result<Entry> Vfs::Lookup(NodeId parent_id, const char* name) {
  const auto parent = inodes().Get(parent_id);
  if (!parent) return Fail(parent.error());
  return LookupIn(*parent, name);
}

Result<Entry> Vfs::LookupIn(const InodeRef& parent, const std::string& name) {
  if (IsHidden(parent, name)) return Fail(ENOENT);
  Result<Entry> entry = LookupOnce(parent, name);
  if (!entry || !S_ISREG(entry->attr.st_mode)) return entry;
  const auto inode = inodes().Get(entry->node_id);
  if (!inode || !inodes().IsOpen(*inode) || !DisplaceIfStale(*inode)) return entry;
  inodes().Forget(entry->node_id, 1);
  return LookupOnce(parent, name);
}

Result<Entry> Vfs::LookupOnce(const InodeRef& parent, const std::string& name) {
  InodeRef inode;
  std::optional<BaseName> found;
  UniqueFd fd;
  {
    const SharedLock lock(names_.lock);
    const auto dir = names_.OpenDir(parent);
    if (!dir) return Fail(dir.error());
    BaseView view(ops(), inodes(), dir->get());
    auto resolved = ResolveMountName(view, name);
    if (!resolved) return Fail(resolved.error());
    found = std::move(*resolved);
    if (!found) return Fail(name.size() > kMaxMountNameBytes ? ENAMETOOLONG : ENOENT);
    inode = EnterFound(parent, view, *found);
    fd = view.TakeFd(found->stat);
  }
  return EntryOf(inode, found->stat, std::move(fd));
}

// Enters what was found, whose attributes are brought up to date. A file that
// was changed behind the mount becomes a new inode.
InodeRef Vfs::EnterFound(const InodeRef& parent, DirectoryView& directory, BaseName& found) {
  const auto doubt = inodes().DoubtOf(found.stat, found.form);
  if (doubt) {
    const auto again = directory.Stat(found.store_name);
    if (again && *again) found.stat = **again;
    if (inodes().ResolveDoubt(*doubt, found.stat)) {
      spdlog::info("{}: changed behind the mount", names_.DescribePlace(doubt->inode));
    }
  }
  return inodes().Enter(parent, found.store_name, found.stat, found.form);
}

// Whoever has the file open sees an error, or, of a raw one, what the kernel has of it;
// who opens it from now on sees the file as it is.
bool Vfs::DisplaceIfStale(const InodeRef& inode) {
  const auto file = files_.Find(inode);
  const bool is_stale = file && files_.WasChangedOutside(*file);
  if (is_stale) inodes().Displace(inode);
  return is_stale;
}

// The reply for an inode whose lookup count went up already.
Result<Entry> Vfs::EntryOf(const InodeRef& inode, const struct stat& base, UniqueFd fd) {
  const auto attr = AttrFrom(inode, base, std::move(fd));
  if (attr) return Entry{inode->id(), *attr};
  inodes().Forget(inode->id(), 1);
  return Fail(attr.error());
}

Result<struct stat> Vfs::GetAttr(NodeId id) {
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  return AttrOf(*inode);
}

Result<struct stat> Vfs::AttrOf(const InodeRef& inode) {
  if (const auto file = files_.Find(inode)) return AttrOfOpen(*file);
  Result<struct stat> base = Fail(ESTALE);
  {
    const SharedLock lock(names_.lock);
    base = names_.StatBase(inode);
  }
  if (!base) return base;
  return AttrFrom(inode, *base, UniqueFd());
}

// What a write of ours takes away for a moment is there all the time.
Result<struct stat> Vfs::StatOpenBase(const OpenFile& file) {
  if (const auto content = file.content()) return content->StatBase();
  return file.raw_privileges.Stat(ops(), file.raw_fd()->get());
}

Result<struct stat> Vfs::AttrOfOpen(OpenFile& file) {
  const InodeRef& inode = file.inode();
  const auto content = file.content();
  if (!content) {
    // With the writeback cache the kernel keeps the size that it knows.
    if (!writeback_ && files_.AdoptRawChange(file)) tell_pages_changed_(inode->id());
    const auto base = StatOpenBase(file);
    if (!base) return Fail(base.error());
    return ShownAttr(*inode, *base, 0);
  }
  auto attr = ShownAttrOfOpen(*inode, *content, file.change_time_ns());
  if (!attr || attr->st_nlink > 0 || !inodes().PlaceOf(inode)) return attr;
  // The base was replaced but the content does not know yet: a checkpoint is
  // about to tell it, and holds the place until it has.
  { const MutexLock place_lock(inode->place_mutex); }
  return ShownAttrOfOpen(*inode, *content, file.change_time_ns());
}

// `base` was read just now; `fd` is open on it or empty.
Result<struct stat> Vfs::AttrFrom(const InodeRef& inode, const struct stat& base, UniqueFd fd) {
  if (inode->is_gzip()) {
    if (const auto file = files_.Find(inode)) return AttrOfOpen(*file);
    const auto plain_bytes = PlainBytesOf(inode, base, std::move(fd));
    if (!plain_bytes) return Fail(plain_bytes.error());
    // Opened meanwhile: what was read may be the middle of a change.
    if (const auto file = files_.Find(inode)) return AttrOfOpen(*file);
    return ShownAttr(*inode, base, *plain_bytes);
  }
  if (inode->is_regular()) {
    inodes().Remember(inode, base, static_cast<uint64_t>(base.st_size));
  }
  return ShownAttr(*inode, base, 0);
}

Result<uint64_t> Vfs::PlainBytesOf(const InodeRef& inode, const struct stat& base, UniqueFd fd) {
  if (const auto known = inodes().KnownPlainBytes(inode, base)) return *known;
  if (!fd) {
    const SharedLock lock(names_.lock);
    auto opened = names_.OpenBase(inode, kReadFlags);
    if (!opened) {
      const int error = ErrnoOf(opened.error());
      // Its size is in the file, which is not ours to read: so nobody can.
      if (error == EACCES || error == EPERM) return 0;
      return Fail(opened.error());
    }
    fd = std::move(*opened);
  }
  return ReadPlainBytes(inode, fd.get(), base);
}

// `base` was read by name, and may be another file than the one that was opened.
Result<uint64_t> Vfs::ReadPlainBytes(const InodeRef& inode, int fd, struct stat base) {
  Result<uint64_t> size = 0;
  bool is_same = false;
  for (int attempt = 0; attempt < 2 && !is_same; ++attempt) {
    size = base.st_size > 0 ? ReadPlainSize(store_, fd, base) : 0;
    const auto after = ops().Stat(fd);
    if (!after) return Fail(after.error());
    is_same = KeyOf(*after, Form::kGzip) == KeyOf(base, Form::kGzip) &&
              StampOf(*after) == StampOf(base);
    base = *after;
  }
  if (!size) {
    if (size.error().category() == std::system_category()) return size;
    // Damaged: it can be listed, renamed and removed, but open answers EIO.
    spdlog::warn("{}: {}; shown as empty", names_.DescribePlace(inode), size.error().message());
  }
  const uint64_t plain_bytes = size.value_or(0);
  if (is_same) inodes().Remember(inode, base, plain_bytes);
  return plain_bytes;
}

Result<Vfs::FoundEntry> Vfs::FindEntry(const InodeRef& parent, const std::string& name) {
  const auto dir = names_.OpenDir(parent);
  if (!dir) return Fail(dir.error());
  BaseView view(ops(), inodes(), dir->get());
  auto found = ResolveMountName(view, name);
  if (!found) return Fail(found.error());
  if (!*found) return Fail(name.size() > kMaxMountNameBytes ? ENAMETOOLONG : ENOENT);
  InodeRef inode = inodes().Find(parent, (*found)->store_name, (*found)->stat, (*found)->form);
  return FoundEntry{std::move(**found), std::move(inode)};
}

}  // namespace gzipfs
