// Between libfuse and Vfs: a request in, one reply out.
//
// The only place where requests of libfuse are known and where an error
// becomes an errno. Each callback unpacks its request, makes one call of Vfs,
// and replies with no lock held; what an operation means is in fs/vfs.
#pragma once

#include <functional>

#include "fs/fuse/init_patch.h"
#include "fs/vfs/vfs.h"

struct fuse_conn_info;
struct fuse_lowlevel_ops;
struct fuse_session;

namespace gzipfs {

struct AdapterOptions {
  bool writeback = true;           // let the kernel gather small writes
  std::function<void()> on_ready;  // the kernel's first request was answered by init
};

// The user data of a session made with Ops(). Thread-safe; `vfs` must outlive it.
class FuseAdapter {
 public:
  FuseAdapter(Vfs& vfs, AdapterOptions options) : vfs_(vfs), options_(std::move(options)) {}

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

 private:
  Vfs& vfs_;
  const AdapterOptions options_;
  InitPatch init_patch_;
};

}  // namespace gzipfs
