// What every callback of the operations table does the same way.
#pragma once

#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include <new>
#include <span>

#include "fs/fuse/adapter.h"

namespace gzipfs {

// How long the kernel may trust an entry or attributes: the time after which a
// change made in the store, behind the mount, is seen at the latest.
inline constexpr double kTrustSeconds = 1.0;

inline FuseAdapter& AdapterOf(fuse_req_t request) {
  return *static_cast<FuseAdapter*>(fuse_req_userdata(request));
}

inline Vfs& VfsOf(fuse_req_t request) { return AdapterOf(request).vfs(); }

inline Caller CallerOf(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  return {.uid = context->uid,
          .gid = context->gid,
          .pid = context->pid,
          .umask = context->umask};
}

inline void ReplyError(fuse_req_t request, const std::error_code& error) {
  (void)fuse_reply_err(request, ErrnoOf(error));
}

// For operations that answer nothing but success.
inline void ReplyDone(fuse_req_t request, const Result<void>& result) {
  (void)fuse_reply_err(request, result ? 0 : ErrnoOf(result.error()));
}

// Runs a callback's work, which replies exactly once, at its end. Being out of
// memory is caught here and nowhere else.
template <typename Work>
void Serve(fuse_req_t request, Work work) {
  try {
    work(VfsOf(request));
  } catch (const std::bad_alloc&) {
    (void)fuse_reply_err(request, ENOMEM);
  }
}

inline FileHandle* FileOf(const fuse_file_info* info) {
  return info == nullptr ? nullptr : reinterpret_cast<FileHandle*>(info->fh);
}
inline DirHandle* DirOf(const fuse_file_info* info) {
  return reinterpret_cast<DirHandle*>(info->fh);
}

inline fuse_entry_param EntryParam(const Entry& entry) {
  fuse_entry_param param{};
  param.ino = entry.node_id;
  param.attr = entry.attr;
  param.attr_timeout = kTrustSeconds;
  param.entry_timeout = kTrustSeconds;
  return param;
}

// The request was interrupted and its reply dropped: the kernel has not taken
// notice of what it was to learn.
inline bool WasDropped(int reply_result) { return reply_result == -ENOENT; }

inline void ReplyEntry(fuse_req_t request, const Result<Entry>& entry) {
  if (!entry) return ReplyError(request, entry.error());
  Vfs& vfs = VfsOf(request);
  const fuse_entry_param param = EntryParam(*entry);
  if (WasDropped(fuse_reply_entry(request, &param))) vfs.Forget(entry->node_id, 1);
}

inline void ReplyAttr(fuse_req_t request, const Result<struct stat>& attr) {
  if (!attr) return ReplyError(request, attr.error());
  (void)fuse_reply_attr(request, &*attr, kTrustSeconds);
}

}  // namespace gzipfs
