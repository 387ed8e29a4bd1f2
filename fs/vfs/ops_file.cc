// Operations on open files.
#include <fcntl.h>
#include <unistd.h>

#include "fs/sys/at.h"
#include "fs/sys/privileges.h"
#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

bool WantsWrite(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
}

}  // namespace

Result<Opened> Vfs::Open(const Caller& caller, NodeId id, int flags) {
  const auto inode = inodes().Get(id);
  if (!inode) return Fail(inode.error());
  if (!(*inode)->is_regular()) return Fail((*inode)->is_directory() ? EISDIR : EINVAL);
  auto opened = files_.Open(*inode, WantsWrite(flags));
  if (!opened) return Fail(opened.error());
  // The kernel keeps the size and, for those who have it open, the pages of an
  // inode: what is another file by now needs another one. It looks it up again.
  if (DisplaceIfStale(*inode)) return Fail(ESTALE);
  if (!HasItsPlace(*inode)) return Fail(ESTALE);
  if ((flags & O_TRUNC) != 0) {
    GZIPFS_TRY(Truncate(*opened->file, 0));
    GZIPFS_TRY(DropSetIds(caller, *opened->file));
  }
  if (!opened->keeps_pages && !writeback_) tell_attr_changed_(id);
  return MakeHandle(std::move(*opened), flags);
}

// False when the name by which the file was opened leads to another one by now,
// as far as is known: the kernel trusts a name for a while.
bool Vfs::HasItsPlace(const InodeRef& inode) {
  if (!inodes().PlaceOf(inode)) return true;
  const SharedLock lock(names_.lock);
  const auto base = names_.StatBase(inode);
  return base || !names_.IsGone(base.error());
}

Opened Vfs::MakeHandle(OpenedFile opened, int flags) {
  std::unique_ptr<FileHandle> handle(
      new FileHandle{.file = std::move(opened.file),
                     .may_write = WantsWrite(flags),
                     .may_be_mapped = (flags & O_ACCMODE) != O_WRONLY,
                     .appends = (flags & O_APPEND) != 0 && !writeback_,
                     .writes_synced = (flags & (O_SYNC | O_DSYNC)) != 0});
  if (handle->may_write) {
    handle->file->AddWriter();
    handle->file->AddUnflushedWriter();
  }
  return {file_handles_.Add(std::move(handle)), opened.keeps_pages};
}

void Vfs::Release(FileHandle* handle) {
  if (handle->may_write) {
    handle->file->RemoveWriter();
    if (!handle->has_flushed) handle->file->RemoveUnflushedWriter();
  }
  (void)file_handles_.Remove(handle);
}

Result<size_t> Vfs::Read(FileHandle& handle, uint64_t plain_offset, std::span<std::byte> out) {
  if (const auto content = handle.file->content()) return content->Read(plain_offset, out);
  return ops().ReadAt(handle.file->raw_fd()->get(), plain_offset, out);
}

Result<void> Vfs::Write(const Caller* caller, FileHandle& handle, uint64_t plain_offset,
                        std::span<const std::byte> bytes) {
  const bool appends = handle.appends && caller != nullptr;
  if (caller != nullptr) GZIPFS_TRY(DropSetIds(*caller, *handle.file));
  if (!handle.file->is_gzip()) handle.file->NoteChange();  // before: WasChangedOutside
  if (const auto content = handle.file->content()) {
    if (appends) {
      const auto written = content->WriteAtEnd(bytes);
      if (!written) return Fail(written.error());
    } else {
      GZIPFS_TRY(content->Write(plain_offset, bytes, caller == nullptr ? WriteSource::kKernel
                                                                       : WriteSource::kProgram));
    }
  } else if (caller == nullptr) {
    const int fd = handle.file->raw_fd()->get();
    const MutexLock lock(handle.file->raw_attr_mutex);
    const KeptPrivileges kept(fd, &handle.file->raw_privileges);
    GZIPFS_TRY(ops().WriteAt(fd, plain_offset, bytes));
  } else {
    GZIPFS_TRY(WriteRaw(handle.file->raw_fd()->get(), plain_offset, bytes, appends));
  }
  handle.file->NoteChange();
  return handle.writes_synced && caller != nullptr ? Sync(handle, true) : Result<void>();
}

Result<void> Vfs::WriteRaw(int fd, uint64_t plain_offset, std::span<const std::byte> bytes,
                           bool appends) {
  if (!appends) return ops().WriteAt(fd, plain_offset, bytes);
  const auto base = ops().Stat(fd);
  if (!base) return Fail(base.error());
  return ops().WriteAt(fd, static_cast<uint64_t>(base->st_size), bytes);
}

Result<uint64_t> Vfs::Seek(FileHandle& handle, uint64_t plain_offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return Fail(EINVAL);
  const auto content = handle.file->content();
  if (!content) return SeekSparse(handle.file->raw_fd()->get(), plain_offset, whence);
  return content->Seek(plain_offset, whence == SEEK_DATA ? SeekTo::kData : SeekTo::kHole);
}

// What the kernel does on its own filesystems for whoever lacks CAP_FSETID.
Result<void> Vfs::DropSetIds(const Caller& caller, const OpenFile& file) {
  if (caller.uid == 0) return {};
  const auto base = StatOpenBase(file);
  if (!base) return Fail(base.error());
  if ((base->st_mode & (S_ISUID | S_ISGID)) == 0) return {};
  const mode_t mode = ModeWithoutSetIds(caller, *base);
  if (mode == base->st_mode) return {};
  GZIPFS_TRY(ChangeBase(file.inode(), [&](int fd) { return ChangeMode(fd, mode & 07777); }));
  tell_attr_changed_(file.inode()->id());
  return {};
}

Result<void> Vfs::Flush(FileHandle& handle) {
  if (!handle.may_write) return {};
  if (!handle.has_flushed.exchange(true)) handle.file->RemoveUnflushedWriter();
  const auto content = handle.file->content();
  if (!content) return {};
  return handle.file->has_unflushed_writers() ? content->FlushBesideWriters()
                                              : content->Flush();
}

Result<void> Vfs::Sync(FileHandle& handle, bool data_only) {
  if (const auto content = handle.file->content()) {
    if (store_.read_only()) return {};
    return content->Sync();
  }
  const int fd = handle.file->raw_fd()->get();
  return data_only ? ops().SyncData(fd) : ops().SyncAll(fd);
}

// Of a file in gzip form only what programs can read of it: room cannot be set aside
// for bytes that will be compressed, and holes come for nothing.
Result<void> Vfs::Allocate(const Caller& caller, FileHandle& handle, int mode,
                           uint64_t plain_offset, uint64_t byte_count) {
  const bool may_grow = (mode & FALLOC_FL_KEEP_SIZE) == 0;
  const int kind = mode & ~FALLOC_FL_KEEP_SIZE;
  const bool punches = kind == FALLOC_FL_PUNCH_HOLE && !may_grow;
  const bool zeroes = punches || kind == FALLOC_FL_ZERO_RANGE;
  if (kind != 0 && !zeroes) return Fail(EOPNOTSUPP);
  if (byte_count > kMaxPlainBytes || plain_offset > kMaxPlainBytes - byte_count) {
    return Fail(EFBIG);
  }
  GZIPFS_TRY(DropSetIds(caller, *handle.file));
  OpenFile& file = *handle.file;
  const auto content = file.content();
  file.NoteChange();
  if (!content) return AllocateSpace(file.raw_fd()->get(), mode, plain_offset, byte_count);
  const uint64_t plain_end = plain_offset + byte_count;
  // Whether it is long enough is for the content to say: the kernel may be
  // writing behind the end just now.
  const bool extends = !zeroes && may_grow && plain_end > content->plain_bytes();
  if (zeroes) GZIPFS_TRY(content->Zero(plain_offset, plain_end, may_grow));
  GZIPFS_TRY(extends ? content->Extend(plain_end) : NoteModification(*content));
  return handle.writes_synced ? Sync(handle, true) : Result<void>();
}

std::optional<uint64_t> Vfs::EndIfUnmapped(const FileHandle& handle) const {
  const auto content = handle.file->content();
  if (!content || handle.may_be_mapped || !handle.file->has_one_writer()) return std::nullopt;
  return content->plain_bytes();
}

// It counts as one although the size is what it was. With the writeback cache
// the kernel says so itself, where it wants to.
Result<void> Vfs::NoteModification(Content& content) {
  return writeback_ ? Result<void>() : content.SetTimes(std::nullopt, FileClockNow());
}

Result<void> Vfs::Truncate(OpenFile& file, uint64_t plain_bytes) {
  file.NoteChange();
  const auto content = file.content();
  if (!content) return ops().Truncate(file.raw_fd()->get(), plain_bytes);
  const bool has_that_size = content->plain_bytes() == plain_bytes;
  GZIPFS_TRY(content->Truncate(plain_bytes));
  return has_that_size ? NoteModification(*content) : Result<void>();
}

}  // namespace gzipfs
