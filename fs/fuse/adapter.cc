// What the mount agrees on with the kernel.
//
// Not claimed, on purpose:
//   POSIX and flock locks: the kernel's own are right on one host.
//   The first version of killing set-id bits: see init_patch.h for the second.
//   POSIX ACLs where the store has none: the kernel would take their absence for
//   an error whenever it checks a permission.
//   Splicing: data goes through the compressor anyway.
//   Truncation as a part of OPEN: after such an OPEN the kernel (seen in 6.18)
//   lets go of the inode, then locks it again and sets its own idea of the size
//   to 0 once more (fuse_setattr, ATTR_OPEN). What another process has written
//   in between is lost to it. A SETATTR of its own has no such gap.
#include "fs/fuse/adapter.h"

#include <fuse_lowlevel.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "codec/base/units.h"
#include "fs/sys/device_io.h"
#include "fs/sys/mount_calls.h"
#include "fs/sys/process.h"

namespace gzipfs {
namespace {

// Since that minor version a page is under writeback until the WRITE was answered.
constexpr unsigned kMinorThatWaitsForPages = 44;
constexpr unsigned kMaxTransferBytes = kMiB;  // the kernel's limit: 256 pages
constexpr unsigned kMaxReadAheadBytes = 4 * kMiB;
// Requests that the kernel sends ahead: enough to keep every worker busy.
constexpr unsigned kMaxBackground = 128;
// Less is hardly preallocated for a download; what is more than the memory's part would be
// gone from the cache before it is used.
constexpr uint64_t kMinFilledBytes = kMiB;
constexpr uint64_t kFilledPartOfMemory = 8;

constexpr unsigned kWanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_IOCTL_DIR | FUSE_CAP_READDIRPLUS |
                             FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO |
                             FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_DONT_MASK;
constexpr unsigned kUnwanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_LOCKS |
                               FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_HANDLE_KILLPRIV |
                               FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                               FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA |
                               FUSE_CAP_WRITEBACK_CACHE;

ssize_t ReadRequest(int fd, void* buffer, size_t byte_count, void* adapter) {
  const ssize_t count = ReadMessage(fd, buffer, byte_count);
  if (count > 0) {
    static_cast<FuseAdapter*>(adapter)->init_patch().SeeRequest(
        {static_cast<const std::byte*>(buffer), static_cast<size_t>(count)});
  }
  return count;
}

ssize_t WriteReply(int fd, iovec* parts, int part_count, void* adapter) {
  std::byte patched[InitPatch::kReplyRoomBytes];
  size_t patched_bytes = 0;
  if (static_cast<FuseAdapter*>(adapter)->init_patch().PatchReply(
          {parts, static_cast<size_t>(part_count)}, patched, patched_bytes)) {
    const iovec whole{.iov_base = patched, .iov_len = patched_bytes};
    return WriteMessage(fd, &whole, 1);
  }
  return WriteMessage(fd, parts, part_count);
}

}  // namespace

FuseAdapter::FuseAdapter(Vfs& vfs, AdapterOptions options)
    : vfs_(vfs), options_(std::move(options)) {}

// Invalidating pages writes dirty ones first, and takes no lock of the inode's that
// whoever made the request might hold.
bool FuseAdapter::Collect(NodeId node, uint64_t begin) {
  if (!waits_for_pages_) return false;
  (void)::fuse_lowlevel_notify_inval_inode(session_, node, static_cast<off_t>(begin), 0);
  return true;
}

bool FuseAdapter::FillsCache(uint64_t begin, uint64_t end) const {
  return gathers_ && waits_for_pages_ && begin < end && end - begin >= kMinFilledBytes &&
         end - begin <= MachineMemoryBytes() / kFilledPartOfMemory;
}

void FuseAdapter::FillWithZeros(NodeId node, const FileHandle& handle, uint64_t begin,
                                uint64_t end) {
  // The request was done: without memory for this it must not fail.
  const std::unique_ptr<std::byte[]> zeros(new (std::nothrow) std::byte[kMaxTransferBytes]());
  if (!zeros) return;
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  for (uint64_t at = RoundUp(begin, page_bytes); at < end; at += kMaxTransferBytes) {
    if (!vfs_.EndIfUnmapped(handle)) return;
    fuse_bufvec buffer = FUSE_BUFVEC_INIT(std::min<uint64_t>(kMaxTransferBytes, end - at));
    buffer.buf[0].mem = zeros.get();
    // What fails, if the kernel has no memory, it asks for later.
    if (::fuse_lowlevel_notify_store(session_, node, static_cast<off_t>(at), &buffer,
                                     fuse_buf_copy_flags{}) != 0) {
      return;
    }
  }
}

// syncfs(2) alone only makes the kernel begin: since 6.18 it does not wait for
// filesystems in user space. Who invalidates a file's pages does, and by then most of
// them are written. The pages are gone from the cache afterwards, which costs time only.
void FuseAdapter::CollectNow() {
  if (const Result<void> synced = SyncMount(options_.mount_point); !synced) {
    spdlog::warn("{}: cannot collect unwritten data: {}", options_.mount_point,
                 synced.error().message());
  }
  for (const NodeId id : vfs_.OpenFileIds()) {
    (void)::fuse_lowlevel_notify_inval_inode(session_, id, 0, 0);
  }
}

void FuseAdapter::Collect() {
  MutexLock lock(collect_mutex_);
  if (may_collect_) CollectNow();
}

void FuseAdapter::CollectLast() {
  MutexLock lock(collect_mutex_);
  if (std::exchange(may_collect_, false)) CollectNow();
}

int FuseAdapter::AttachTo(fuse_session* session) {
  session_ = session;
  // A negative offset: the attributes only, so that no request waits for it.
  vfs_.TellAttrChanged([session](NodeId id) {
    (void)::fuse_lowlevel_notify_inval_inode(session, id, -1, 0);
  });
  // Called where no page of the inode can be locked by whoever waits for the reply.
  vfs_.TellPagesChanged([session](NodeId id) {
    (void)::fuse_lowlevel_notify_inval_inode(session, id, 0, 0);
  });
  const fuse_custom_io io{.writev = WriteReply,
                          .read = ReadRequest,
                          .splice_receive = nullptr,
                          .splice_send = nullptr};
  return ::fuse_session_custom_io(session, &io, ::fuse_session_fd(session));
}

void FuseAdapter::Init(fuse_conn_info& connection) {
  connection.want &= ~kUnwanted;
  connection.want |= kWanted & connection.capable;
  // Files may change behind the mount; the kernel is told so, by a new inode or by an open
  // that keeps no pages (ChangeDoubt). It must not conclude it from size and time: without
  // the writeback cache it would drop a page whose WRITE is under way (fuse_send_write_pages
  // has unlocked it), read it again past that WRITE, and keep what was there before. Where
  // nobody writes it may.
  const bool writeback =
      options_.writeback && (connection.capable & FUSE_CAP_WRITEBACK_CACHE) != 0;
  connection.want |= connection.capable & (vfs_.is_read_only() ? FUSE_CAP_AUTO_INVAL_DATA
                                                               : FUSE_CAP_EXPLICIT_INVAL_DATA);
  if (writeback) connection.want |= FUSE_CAP_WRITEBACK_CACHE;
  if (vfs_.has_acls()) connection.want |= connection.capable & FUSE_CAP_POSIX_ACL;
  connection.max_write = kMaxTransferBytes;
  connection.max_readahead = kMaxReadAheadBytes;
  connection.max_background = kMaxBackground;
  connection.congestion_threshold = kMaxBackground * 3 / 4;
  connection.time_gran = 1;
  gathers_ = writeback;
  waits_for_pages_ = connection.proto_minor >= kMinorThatWaitsForPages;
  vfs_.UseWriteback(writeback);
  if (options_.on_ready) options_.on_ready();
}

}  // namespace gzipfs
