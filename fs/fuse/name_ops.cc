// Callbacks on names and attributes: unpack, call, reply.
#include "fs/fuse/name_ops.h"

#include "fs/fuse/request.h"

namespace gzipfs {
namespace {

AttrChanges ChangesOf(const struct stat& attr, int to_set) {
  const auto has = [&](int bit) { return (to_set & bit) != 0; };
  constexpr timespec kNow{.tv_sec = 0, .tv_nsec = UTIME_NOW};
  AttrChanges changes;
  if (has(FUSE_SET_ATTR_MODE)) changes.mode = attr.st_mode;
  if (has(FUSE_SET_ATTR_UID)) changes.uid = attr.st_uid;
  if (has(FUSE_SET_ATTR_GID)) changes.gid = attr.st_gid;
  if (has(FUSE_SET_ATTR_SIZE)) changes.plain_bytes = static_cast<uint64_t>(attr.st_size);
  if (has(FUSE_SET_ATTR_ATIME)) changes.atime = attr.st_atim;
  if (has(FUSE_SET_ATTR_MTIME)) changes.mtime = attr.st_mtim;
  if (has(FUSE_SET_ATTR_ATIME_NOW)) changes.atime = kNow;
  if (has(FUSE_SET_ATTR_MTIME_NOW)) changes.mtime = kNow;
  // The change time is the store's to set; alone it is a chown(2) with nothing
  // to change. (The kernel sends it where it keeps the times itself.)
  if (to_set == FUSE_SET_ATTR_CTIME) changes.uid = kSameUid;
  return changes;
}

// Answers `bytes`, or only how many there are when the caller asks for none.
void ReplySized(fuse_req_t request, const void* bytes, size_t byte_count, size_t room_bytes) {
  if (room_bytes == 0) {
    (void)fuse_reply_xattr(request, byte_count);
  } else if (byte_count > room_bytes) {
    (void)fuse_reply_err(request, ERANGE);
  } else {
    (void)fuse_reply_buf(request, static_cast<const char*>(bytes), byte_count);
  }
}

}  // namespace

void LookupOp(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Serve(request, [&](Vfs& vfs) { ReplyEntry(request, vfs.Lookup(parent, name)); });
}

void ForgetOp(fuse_req_t request, fuse_ino_t node, uint64_t count) {
  VfsOf(request).Forget(node, count);
  fuse_reply_none(request);
}

void ForgetMultiOp(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  Vfs& vfs = VfsOf(request);
  for (const fuse_forget_data& each : std::span(forgets, count)) {
    vfs.Forget(each.ino, each.nlookup);
  }
  fuse_reply_none(request);
}

void GetAttrOp(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
  Serve(request, [&](Vfs& vfs) { ReplyAttr(request, vfs.GetAttr(node)); });
}

void SetAttrOp(fuse_req_t request, fuse_ino_t node, struct stat* attr, int to_set,
               fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    const AttrChanges changes = ChangesOf(*attr, to_set);
    ReplyAttr(request, vfs.SetAttr(CallerOf(request), node, changes, FileOf(info)));
  });
}

void ReadLinkOp(fuse_req_t request, fuse_ino_t node) {
  Serve(request, [&](Vfs& vfs) {
    const auto target = vfs.ReadLink(node);
    if (!target) return ReplyError(request, target.error());
    (void)fuse_reply_readlink(request, target->c_str());
  });
}

void MakeNodeOp(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
                dev_t device) {
  Serve(request, [&](Vfs& vfs) {
    ReplyEntry(request, vfs.MakeNode(CallerOf(request), parent, name, mode, device));
  });
}

void MakeDirectoryOp(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  Serve(request, [&](Vfs& vfs) {
    ReplyEntry(request, vfs.MakeDirectory(CallerOf(request), parent, name, mode));
  });
}

void UnlinkOp(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Serve(request, [&](Vfs& vfs) { ReplyDone(request, vfs.Unlink(parent, name)); });
}

void RemoveDirectoryOp(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Serve(request, [&](Vfs& vfs) { ReplyDone(request, vfs.RemoveDirectory(parent, name)); });
}

void SymlinkOp(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  Serve(request, [&](Vfs& vfs) {
    ReplyEntry(request, vfs.MakeSymlink(CallerOf(request), parent, name, target));
  });
}

void RenameOp(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
              const char* new_name, unsigned flags) {
  Serve(request, [&](Vfs& vfs) {
    ReplyDone(request, vfs.Rename(parent, name, new_parent, new_name, flags));
  });
}

void LinkOp(fuse_req_t request, fuse_ino_t node, fuse_ino_t new_parent, const char* new_name) {
  Serve(request, [&](Vfs& vfs) { ReplyEntry(request, vfs.Link(node, new_parent, new_name)); });
}

void StatFilesystemOp(fuse_req_t request, fuse_ino_t) {
  Serve(request, [&](Vfs& vfs) {
    const auto filesystem = vfs.StatFilesystem();
    if (!filesystem) return ReplyError(request, filesystem.error());
    (void)fuse_reply_statfs(request, &*filesystem);
  });
}

void SetXattrOp(fuse_req_t request, fuse_ino_t node, const char* name, const char* value,
                size_t byte_count, int flags) {
  Serve(request, [&](Vfs& vfs) {
    const auto bytes = std::as_bytes(std::span(value, byte_count));
    ReplyDone(request, vfs.SetXattr(CallerOf(request), node, name, bytes, flags));
  });
}

void GetXattrOp(fuse_req_t request, fuse_ino_t node, const char* name, size_t byte_count) {
  Serve(request, [&](Vfs& vfs) {
    const auto value = vfs.GetXattr(node, name);
    if (!value) return ReplyError(request, value.error());
    ReplySized(request, value->data(), value->size(), byte_count);
  });
}

void ListXattrOp(fuse_req_t request, fuse_ino_t node, size_t byte_count) {
  Serve(request, [&](Vfs& vfs) {
    const auto names = vfs.ListXattrs(node);
    if (!names) return ReplyError(request, names.error());
    ReplySized(request, names->data(), names->size(), byte_count);
  });
}

void RemoveXattrOp(fuse_req_t request, fuse_ino_t node, const char* name) {
  Serve(request, [&](Vfs& vfs) { ReplyDone(request, vfs.RemoveXattr(node, name)); });
}

}  // namespace gzipfs
