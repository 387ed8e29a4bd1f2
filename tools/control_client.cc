// Only FUSE mounts are asked: on another filesystem the same ioctl numbers
// could mean anything.
#include "tools/control_client.h"

#include <fcntl.h>

#include "fs/sys/file_ops.h"
#include "fs/sys/mount_calls.h"

namespace gzipfs {

Result<ControlClient> ControlClient::Open(const std::string& directory) {
  ControlClient client;
  const Result<bool> is_fuse = IsFuse(directory);
  if (!is_fuse) return Fail(is_fuse.error());
  if (!*is_fuse) return Fail(ENOTTY);
  Result<UniqueFd> fd =
      RealFileOps().OpenAt(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY, 0);
  if (!fd) return Fail(fd.error());
  client.fd_ = std::move(*fd);
  if (::ioctl(client.fd_.get(), kControlStatus, &client.status_) != 0 ||
      client.status_.magic != kControlMagic)
    return Fail(ENOTTY);
  return client;
}

Result<void> ControlClient::Settle() {
  if (::ioctl(fd_.get(), kControlSettle) != 0) return Fail(errno);
  return {};
}

}  // namespace gzipfs
