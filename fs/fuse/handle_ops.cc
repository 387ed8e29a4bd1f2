// Callbacks on open files.
//
// A read fills a buffer of its thread, which grows to the largest request and
// stays: no allocation for each request, no copy but the one to the kernel.
#include "fs/fuse/handle_ops.h"

#include <unistd.h>

#include <memory>
#include <optional>

#include "fs/fuse/control.h"
#include "fs/fuse/request.h"

namespace gzipfs {
namespace {

// The calling thread's buffer, at least `byte_count` long.
std::span<std::byte> ThreadBuffer(size_t byte_count) {
  thread_local std::unique_ptr<std::byte[]> buffer;
  thread_local size_t buffer_bytes = 0;
  if (buffer_bytes < byte_count) {
    buffer_bytes = 0;
    buffer = std::make_unique_for_overwrite<std::byte[]>(byte_count);
    buffer_bytes = byte_count;
  }
  return {buffer.get(), byte_count};
}

void Settle(fuse_req_t request, FuseAdapter& adapter) {
  adapter.Collect();
  const Result<void> settled = adapter.vfs().SettleAll();
  if (!settled) return ReplyError(request, settled.error());
  (void)fuse_reply_ioctl(request, 0, nullptr, 0);
}

void PutHandle(const Opened& opened, fuse_file_info* info) {
  info->fh = reinterpret_cast<uint64_t>(opened.handle);
  info->keep_cache = opened.keeps_pages ? 1 : 0;
}

// While the kernel's cache of a file is filled; see ReplyOpened.
class FillingScope {
 public:
  explicit FillingScope(OpenFile& file) : file_(file) { file_.SetFilling(true); }
  ~FillingScope() { file_.SetFilling(false); }
  FillingScope(const FillingScope&) = delete;
  FillingScope& operator=(const FillingScope&) = delete;

 private:
  OpenFile& file_;
};

// Calls `reply`, which tells the kernel of an open file: at once, or behind the filling of
// its cache, which a new writer ends. Either the filling has seen him, or he sees it.
template <typename Reply>
void ReplyOpened(fuse_req_t request, const FileHandle& handle, Reply reply) {
  if (!handle.file->is_filling()) return reply();
  AdapterOf(request).collect_worker().Add(request, reply);
}

}  // namespace

void OpenOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    const auto opened = vfs.Open(CallerOf(request), node, info->flags);
    if (!opened) return ReplyError(request, opened.error());
    PutHandle(*opened, info);
    ReplyOpened(request, *opened->handle, [request, handle = opened->handle, file = *info] {
      if (WasDropped(fuse_reply_open(request, &file))) VfsOf(request).Release(handle);
    });
  });
}

void CreateOp(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
              fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    const auto created = vfs.Create(CallerOf(request), parent, name, mode, info->flags);
    if (!created) return ReplyError(request, created.error());
    PutHandle(created->opened, info);
    const fuse_entry_param param = EntryParam(created->entry);
    if (!WasDropped(fuse_reply_create(request, &param, info))) return;
    vfs.Release(created->opened.handle);
    vfs.Forget(created->entry.node_id, 1);
  });
}

void ReadOp(fuse_req_t request, fuse_ino_t, size_t byte_count, off_t offset,
            fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    const auto buffer = ThreadBuffer(byte_count);
    const auto count = vfs.Read(*FileOf(info), static_cast<uint64_t>(offset), buffer);
    if (!count) return ReplyError(request, count.error());
    (void)fuse_reply_buf(request, reinterpret_cast<const char*>(buffer.data()), *count);
  });
}

void WriteOp(fuse_req_t request, fuse_ino_t, const char* bytes, size_t byte_count, off_t offset,
             fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    const Caller caller = CallerOf(request);
    const auto done = vfs.Write(info->writepage != 0 ? nullptr : &caller, *FileOf(info),
                                static_cast<uint64_t>(offset),
                                std::as_bytes(std::span(bytes, byte_count)));
    if (!done) return ReplyError(request, done.error());
    (void)fuse_reply_write(request, byte_count);
  });
}

void FlushOp(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) { ReplyDone(request, vfs.Flush(*FileOf(info))); });
}

void ReleaseOp(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    vfs.Release(FileOf(info));
    ReplyDone(request, {});
  });
}

void SyncOp(fuse_req_t request, fuse_ino_t, int data_only, fuse_file_info* info) {
  Serve(request,
        [&](Vfs& vfs) { ReplyDone(request, vfs.Sync(*FileOf(info), data_only != 0)); });
}

// The kernel does not flush a file's dirty pages before this, and keeps the inode locked.
// What it may have behind the end that the Vfs knows is collected before the cache is filled.
void AllocateOp(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t byte_count,
                fuse_file_info* info) {
  const auto begin = static_cast<uint64_t>(offset);
  const auto count = static_cast<uint64_t>(byte_count);
  FileHandle* const handle = FileOf(info);
  Serve(request, [&](Vfs& vfs) {
    FuseAdapter& adapter = AdapterOf(request);
    const auto old_end = vfs.EndIfUnmapped(*handle);
    if (mode != 0 || !old_end || !adapter.FillsCache(*old_end, begin + count)) {
      return ReplyDone(request, vfs.Allocate(CallerOf(request), *handle, mode, begin, count));
    }
    adapter.collect_worker().Add(request, [request, node, begin, count, handle, &adapter] {
      Serve(request, [&](Vfs& same) {
        const FillingScope filling(*handle->file);
        std::optional<uint64_t> end = same.EndIfUnmapped(*handle);
        if (end && adapter.Collect(node, *end)) end = same.EndIfUnmapped(*handle);
        const Result<void> done = same.Allocate(CallerOf(request), *handle, 0, begin, count);
        if (done && end) adapter.FillWithZeros(node, *handle, *end, begin + count);
        ReplyDone(request, done);
      });
    });
  });
}

// The kernel does not flush a file's dirty pages before this, and keeps the inode locked.
void SeekOp(fuse_req_t request, fuse_ino_t node, off_t offset, int whence, fuse_file_info* info) {
  const auto answer = [request, offset, whence, handle = FileOf(info)] {
    Serve(request, [&](Vfs& vfs) {
      const auto found = vfs.Seek(*handle, static_cast<uint64_t>(offset), whence);
      if (!found) return ReplyError(request, found.error());
      (void)fuse_reply_lseek(request, static_cast<off_t>(*found));
    });
  };
  Serve(request, [&](Vfs& vfs) {
    if (!vfs.MayHaveUnwritten(*FileOf(info))) return answer();
    FuseAdapter& adapter = AdapterOf(request);
    adapter.collect_worker().Add(request, [request, node, answer, &adapter] {
      if (adapter.Collect(node)) return answer();
      (void)fuse_reply_err(request, EINVAL);  // as where a filesystem cannot tell
    });
  });
}

void CopyRangeOp(fuse_req_t request, fuse_ino_t, off_t source_offset, fuse_file_info* source,
                 fuse_ino_t, off_t target_offset, fuse_file_info* target, size_t byte_count,
                 int) {
  Serve(request, [&](Vfs& vfs) {
    const auto copied =
        vfs.CopyRange(CallerOf(request), *FileOf(source), static_cast<uint64_t>(source_offset),
                      *FileOf(target), static_cast<uint64_t>(target_offset), byte_count);
    if (!copied) return ReplyError(request, copied.error());
    (void)fuse_reply_write(request, *copied);
  });
}

void IoctlOp(fuse_req_t request, fuse_ino_t, unsigned command, void*, fuse_file_info*,
             unsigned flags, const void*, size_t, size_t out_bytes) {
  Serve(request, [&](Vfs& vfs) {
    const bool is_directory = (flags & FUSE_IOCTL_DIR) != 0;
    if (is_directory && command == static_cast<unsigned>(kControlSettle)) {
      FuseAdapter& adapter = AdapterOf(request);
      const auto settle = [request, &adapter] { Settle(request, adapter); };
      return adapter.settle_worker().Add(request, settle);
    }
    if (is_directory && command == static_cast<unsigned>(kControlStatus) &&
        out_bytes >= sizeof(ControlStatus)) {
      const VfsCounts counts = vfs.Counts();
      const ControlStatus status{.magic = kControlMagic,
                                 .daemon_pid = ::getpid(),
                                 .dirty_bytes = counts.dirty_bytes,
                                 .open_files = counts.open_files,
                                 .known_inodes = counts.known_inodes,
                                 .unsettled_files = counts.unsettled_files};
      (void)fuse_reply_ioctl(request, 0, &status, sizeof status);
      return;
    }
    (void)fuse_reply_err(request, ENOTTY);
  });
}

}  // namespace gzipfs
