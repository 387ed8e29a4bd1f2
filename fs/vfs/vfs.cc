// Operations on the whole mount.
#include "fs/vfs/vfs.h"

#include "fs/sys/at.h"
#include "fs/sys/xattr.h"

namespace gzipfs {
namespace {

// The descriptor is open, so this does not fail; if it did, nothing would be
// found and every operation answer ESTALE.
struct stat RootAttr(Store& store) {
  return store.ops().Stat(store.root_fd()).value_or((struct stat){});
}

}  // namespace

Vfs::Vfs(Store& store)
    : store_(store),
      has_acls_(HasAcls(store.root_fd())),
      names_(store, RootAttr(store)),
      files_(names_) {}

Result<struct statvfs> Vfs::StatFilesystem() {
  auto filesystem = gzipfs::StatFilesystem(store_.root_fd());
  if (filesystem) filesystem->f_namemax -= kGzSuffix.size();
  return filesystem;
}

Result<void> Vfs::SettleAll() {
  const auto settled = files_.SettleAll();
  if (store_.is_hurried()) return settled;
  const auto synced = store_.read_only() ? Result<void>() : SyncFilesystem(store_.root_fd());
  return settled ? synced : settled;
}

VfsCounts Vfs::Counts() const {
  return {.dirty_bytes = store_.budget().used_bytes(),
          .open_files = files_.open_count(),
          .known_inodes = names_.inodes().inode_count(),
          .unsettled_files = files_.unsettled_count()};
}

}  // namespace gzipfs
