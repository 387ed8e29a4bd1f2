// Callbacks on directories: entries are packed into the buffer of a reply.
#include <vector>

#include "fs/fuse/name_ops.h"
#include "fs/fuse/request.h"

namespace gzipfs {
namespace {

// A reply to readdir or readdirplus while it is filled.
class EntryBuffer {
 public:
  EntryBuffer(fuse_req_t request, size_t byte_count, bool with_attr)
      : request_(request), bytes_(byte_count), with_attr_(with_attr) {}

  // False when the entry does not fit.
  bool Add(const ListedEntry& entry) {
    char* const to = bytes_.data() + used_;
    const size_t room = bytes_.size() - used_;
    size_t needed;
    if (with_attr_) {
      const fuse_entry_param param = EntryParam({entry.node_id, entry.attr});
      needed = fuse_add_direntry_plus(request_, to, room, entry.name.c_str(), &param,
                                      entry.next_position);
    } else {
      needed = fuse_add_direntry(request_, to, room, entry.name.c_str(), &entry.attr,
                                 entry.next_position);
    }
    if (needed > room) return false;
    used_ += needed;
    if (entry.node_id != 0) looked_up_.push_back(entry.node_id);
    return true;
  }

  void Reply(Vfs& vfs) {
    if (!WasDropped(fuse_reply_buf(request_, bytes_.data(), used_))) return;
    for (const NodeId id : looked_up_) vfs.Forget(id, 1);
  }

 private:
  fuse_req_t request_;
  std::vector<char> bytes_;
  const bool with_attr_;
  size_t used_ = 0;
  std::vector<NodeId> looked_up_;
};

void ReadEntries(fuse_req_t request, size_t byte_count, off_t position, fuse_file_info* info,
                 bool with_attr) {
  Serve(request, [&](Vfs& vfs) {
    EntryBuffer buffer(request, byte_count, with_attr);
    const EntrySink sink = [&](const ListedEntry& entry) { return buffer.Add(entry); };
    DirHandle& dir = *DirOf(info);
    const auto done = with_attr ? vfs.ReadDirectoryPlus(dir, position, sink)
                                : vfs.ReadDirectory(dir, position, sink);
    if (!done) return ReplyError(request, done.error());
    buffer.Reply(vfs);
  });
}

}  // namespace

void OpenDirectoryOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    const auto handle = vfs.OpenDirectory(node);
    if (!handle) return ReplyError(request, handle.error());
    info->fh = reinterpret_cast<uint64_t>(*handle);
    if (WasDropped(fuse_reply_open(request, info))) vfs.ReleaseDirectory(*handle);
  });
}

void ReadDirectoryOp(fuse_req_t request, fuse_ino_t, size_t byte_count, off_t position,
                     fuse_file_info* info) {
  ReadEntries(request, byte_count, position, info, false);
}

void ReadDirectoryPlusOp(fuse_req_t request, fuse_ino_t, size_t byte_count, off_t position,
                         fuse_file_info* info) {
  ReadEntries(request, byte_count, position, info, true);
}

void ReleaseDirectoryOp(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) {
    vfs.ReleaseDirectory(DirOf(info));
    ReplyDone(request, {});
  });
}

void SyncDirectoryOp(fuse_req_t request, fuse_ino_t, int, fuse_file_info* info) {
  Serve(request, [&](Vfs& vfs) { ReplyDone(request, vfs.SyncDirectory(*DirOf(info))); });
}

}  // namespace gzipfs
