// Between libfuse and Vfs: a request in, one reply out.
//
// The only place where requests of libfuse are known and where an error
// becomes an errno. Each callback unpacks its request, makes one call of Vfs,
// and replies with no lock held; what an operation means is in fs/vfs.
#pragma once

#include <functional>
#include <string>

#include "codec/base/mutex.h"
#include "fs/fuse/init_patch.h"
#include "fs/fuse/request_worker.h"
#include "fs/vfs/vfs.h"

struct fuse_conn_info;
struct fuse_lowlevel_ops;
struct fuse_session;

namespace gzipfs {

struct AdapterOptions {
  std::string mount_point;
  bool writeback = true;           // let the kernel gather small writes
  std::function<void()> on_ready;  // the kernel's first request was answered by init
};

// The user data of a session made with Ops(). Thread-safe; `vfs` must outlive it.
class FuseAdapter {
 public:
  FuseAdapter(Vfs& vfs, AdapterOptions options);

  // Every operation of libfuse's low-level interface by name; those that are
  // absent are null on purpose. The user data must be a FuseAdapter*.
  static const fuse_lowlevel_ops& Ops();

  // Takes the messages of `session`, which was mounted, through this adapter.
  // Called before the session's loop; 0 or a negative errno value.
  int AttachTo(fuse_session* session);

  Vfs& vfs() { return vfs_; }
  InitPatch& init_patch() { return init_patch_; }
  // Agrees with the kernel on what the connection can do.
  void Init(fuse_conn_info& connection);

  // Has the kernel hand over what it has gathered of every open file, while others
  // serve; returns when that is in the Vfs. Not from a thread that serves requests.
  void Collect() EXCLUDES(collect_mutex_);
  // The same, once more, before nobody serves any longer: then Collect does nothing.
  void CollectLast() EXCLUDES(collect_mutex_);
  // The same for what one file, whose handle is in use meanwhile, has from `begin` on, so
  // that the Vfs knows all that was written there before. False where the kernel does not
  // wait for what it is handing over already (before FUSE 7.44, Linux 6.16).
  bool Collect(NodeId node, uint64_t begin = 0);
  // Whether FillWithZeros may be used, and is worth it, for a file that ends at `begin` and
  // that fallocate(2) extends to `end`.
  bool FillsCache(uint64_t begin, uint64_t end) const;
  // Puts zeros into the kernel's cache for [begin, end) of a file, whole pages of it, so that
  // it need not ask for each page that a program writes a part of: one at a time, with the
  // inode locked. REQUIRES: that is behind the file's end; the request that moves the end
  // there was done, but has no reply yet, which keeps all but mapped memory from writing
  // there; EndIfUnmapped said that there is none; and the file is_filling(), so that there
  // will be none. Ends early when somebody opens it.
  void FillWithZeros(NodeId node, const FileHandle& handle, uint64_t begin, uint64_t end);
  // For `gzipfs sync`; and for requests that need Collect for a file.
  RequestWorker& settle_worker() { return settle_worker_; }
  RequestWorker& collect_worker() { return collect_worker_; }

 private:
  void CollectNow() REQUIRES(collect_mutex_);

  Vfs& vfs_;
  const AdapterOptions options_;
  InitPatch init_patch_;
  Mutex collect_mutex_;  // held while the kernel is waited for
  bool may_collect_ GUARDED_BY(collect_mutex_) = true;
  fuse_session* session_ = nullptr;  // set before the session's loop
  // Set by Init.
  bool waits_for_pages_ = false;
  bool gathers_ = false;
  RequestWorker settle_worker_;
  RequestWorker collect_worker_;
};

}  // namespace gzipfs
