// Every operation of libfuse's low-level interface, present or absent.
//
// An absent operation is null on purpose: libfuse answers ENOSYS, and the
// kernel does without it as the comment says.
#include <fuse_lowlevel.h>

#include "fs/fuse/adapter.h"
#include "fs/fuse/handle_ops.h"
#include "fs/fuse/name_ops.h"

namespace gzipfs {
namespace {

void InitOp(void* adapter, fuse_conn_info* connection) {
  static_cast<FuseAdapter*>(adapter)->Init(*connection);
}

constexpr fuse_lowlevel_ops kOps = {
    .init = InitOp,
    .destroy = nullptr,  // the session ends what it began
    .lookup = LookupOp,
    .forget = ForgetOp,
    .getattr = GetAttrOp,
    .setattr = SetAttrOp,
    .readlink = ReadLinkOp,
    .mknod = MakeNodeOp,
    .mkdir = MakeDirectoryOp,
    .unlink = UnlinkOp,
    .rmdir = RemoveDirectoryOp,
    .symlink = SymlinkOp,
    .rename = RenameOp,
    .link = LinkOp,
    .open = OpenOp,
    .read = ReadOp,
    .write = WriteOp,
    .flush = FlushOp,
    .release = ReleaseOp,
    .fsync = SyncOp,
    .opendir = OpenDirectoryOp,
    .readdir = ReadDirectoryOp,
    .releasedir = ReleaseDirectoryOp,
    .fsyncdir = SyncDirectoryOp,
    .statfs = StatFilesystemOp,
    .setxattr = SetXattrOp,
    .getxattr = GetXattrOp,
    .listxattr = ListXattrOp,
    .removexattr = RemoveXattrOp,
    .access = nullptr,  // default_permissions: the kernel checks modes itself
    .create = CreateOp,
    .getlk = nullptr,   // locks are the kernel's own
    .setlk = nullptr,   // likewise
    .bmap = nullptr,    // plain bytes have no place on a device
    .ioctl = IoctlOp,
    .poll = nullptr,            // regular files are always ready
    .write_buf = nullptr,       // write is: no splicing
    .retrieve_reply = nullptr,  // nothing is retrieved
    .forget_multi = ForgetMultiOp,
    .flock = nullptr,  // as getlk
    .fallocate = AllocateOp,
    .readdirplus = ReadDirectoryPlusOp,
    .copy_file_range = CopyRangeOp,
    .lseek = SeekOp,
};

}  // namespace

const fuse_lowlevel_ops& FuseAdapter::Ops() { return kOps; }

}  // namespace gzipfs
