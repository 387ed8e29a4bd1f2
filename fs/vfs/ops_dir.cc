// Listing directories.
//
// Positions are those of the store's directory, so they stay valid while
// entries come and go. What an entry is shown as takes a look at its
// neighbours for names that end in ".gz", and at two bytes of its own where
// the inode table does not know it for a gzip file.
#include <fcntl.h>

#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

bool IsDots(const std::string& name) { return name == "." || name == ".."; }

}  // namespace

Result<DirHandle*> Vfs::OpenDirectory(NodeId id) {
  const auto dir = inodes().Get(id);
  if (!dir) return Fail(dir.error());
  if (!(*dir)->is_directory()) return Fail(ENOTDIR);
  Result<UniqueFd> fd = Fail(ESTALE);
  {
    const SharedLock lock(names_.lock);
    fd = names_.OpenBase(*dir, O_RDONLY | O_DIRECTORY);
  }
  if (!fd) return Fail(fd.error());
  auto stream = DirectoryStream::Open(std::move(*fd));
  if (!stream) return Fail(stream.error());
  return dir_handles_.Add(std::make_unique<DirHandle>(*dir, std::move(*stream)));
}

Result<void> Vfs::ReadDirectory(DirHandle& handle, int64_t position, const EntrySink& sink) {
  return ReadEntries(handle, position, sink, false);
}

Result<void> Vfs::ReadDirectoryPlus(DirHandle& handle, int64_t position, const EntrySink& sink) {
  return ReadEntries(handle, position, sink, true);
}

Result<void> Vfs::ReadEntries(DirHandle& handle, int64_t position, const EntrySink& sink,
                              bool with_attr) {
  const MutexLock lock(handle.mutex);
  if (position != handle.position) {
    handle.stream.Seek(position);
    handle.position = position;
    handle.pending.reset();
  }
  for (bool is_first = true;; is_first = false) {
    if (!handle.pending) {
      auto next = handle.stream.Next();
      if (!next) return is_first ? Result<void>(Fail(next.error())) : Result<void>();
      if (!*next) return {};
      handle.pending = std::move(*next);
    }
    const auto taken = with_attr ? GiveEntryPlus(handle, *handle.pending, sink)
                                 : GiveEntry(handle, *handle.pending, sink);
    // An error is reported once it is the first thing there is to report.
    if (!taken) return is_first ? Result<void>(Fail(taken.error())) : Result<void>();
    if (!*taken) return {};
    handle.position = handle.pending->next_position;
    handle.pending.reset();
  }
}

// True when the entry was taken, or is not to be shown.
Result<bool> Vfs::GiveEntry(DirHandle& handle, const DirectoryEntry& entry,
                            const EntrySink& sink) {
  struct stat attr{};
  attr.st_ino = entry.ino;
  attr.st_mode = DTTOIF(entry.type);
  std::string name = entry.name;
  if (IsHidden(handle.dir, name)) return true;
  if (!IsDots(name) && (HasGzSuffix(name) || entry.type == DT_UNKNOWN)) {
    BaseView view(ops(), inodes(), handle.stream.fd());
    const auto shown = ShowEntry(view, entry);
    if (!shown) return Fail(shown.error());
    if (!*shown) return true;
    name = (*shown)->mount_name;
    attr.st_ino = inodes().ShownInoOf((*shown)->base.stat, (*shown)->base.form);
    attr.st_mode = (*shown)->base.stat.st_mode;
  }
  return sink(ListedEntry{name, 0, attr, entry.next_position});
}

// What the entry is shown as; nullopt when it has gone.
Result<std::optional<Vfs::ShownEntry>> Vfs::ShowEntry(DirectoryView& directory,
                                                      const DirectoryEntry& entry) {
  const auto base = directory.Stat(entry.name);
  if (!base) return Fail(base.error());
  if (!*base) return std::nullopt;
  auto name = ShowStoreName(directory, entry.name, **base);
  if (!name && ErrnoOf(name.error()) == ENOENT) return std::nullopt;
  if (!name) return Fail(name.error());
  return ShownEntry{std::move(name->mount_name), {entry.name, **base, name->form}};
}

Result<bool> Vfs::GiveEntryPlus(DirHandle& handle, const DirectoryEntry& entry,
                                const EntrySink& sink) {
  if (IsDots(entry.name)) return GiveEntry(handle, entry, sink);
  if (IsHidden(handle.dir, entry.name)) return true;
  InodeRef inode;
  std::optional<ShownEntry> shown;
  UniqueFd fd;
  {
    const SharedLock lock(names_.lock);
    BaseView view(ops(), inodes(), handle.stream.fd());
    auto looked_at = ShowEntry(view, entry);
    if (!looked_at) return Fail(looked_at.error());
    shown = std::move(*looked_at);
    if (!shown) return true;
    inode = EnterFound(handle.dir, view, shown->base);
    fd = view.TakeFd(shown->base.stat);
  }
  const auto found = EntryOf(inode, shown->base.stat, std::move(fd));
  // What cannot be looked up is listed without its attributes.
  if (!found) return GiveEntry(handle, entry, sink);
  if (sink(ListedEntry{shown->mount_name, found->node_id, found->attr,
                       entry.next_position})) {
    return true;
  }
  inodes().Forget(found->node_id, 1);
  return false;
}

Result<void> Vfs::SyncDirectory(DirHandle& handle) {
  const MutexLock lock(handle.mutex);
  return ops().SyncAll(handle.stream.fd());
}

}  // namespace gzipfs
