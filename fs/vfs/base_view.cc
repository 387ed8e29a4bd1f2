// Two bytes tell a gzip file (RFC 1952, section 2.3.1: ID1, ID2).
#include "fs/vfs/base_view.h"

#include <fcntl.h>

#include <array>

#include "codec/gzip_format.h"

namespace gzipfs {

Result<bool> BeginsAsGzip(FileOps& ops, int fd) {
  std::array<std::byte, 2> magic;
  const auto count = ops.ReadAt(fd, 0, magic);
  if (!count) return Fail(count.error());
  if (*count == 0) return true;
  return *count == magic.size() && magic[0] == kGzipId1 && magic[1] == kGzipId2;
}

Result<std::optional<struct stat>> BaseView::Stat(const std::string& store_name) {
  const auto found = ops_.StatAt(dir_fd_, store_name.c_str());
  if (found) return *found;
  const int error = ErrnoOf(found.error());
  if (error == ENOENT || error == ENAMETOOLONG) return std::nullopt;
  return Fail(found.error());
}

Result<bool> BaseView::IsGzip(const std::string& store_name, const struct stat& base) {
  if (inodes_.IsKnownGzip(base)) return true;
  // O_NONBLOCK: the file may have become a fifo behind our back.
  auto fd = ops_.OpenAt(dir_fd_, store_name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (!fd) {
    const int error = ErrnoOf(fd.error());
    if (error == EACCES || error == EPERM) return true;
    return Fail(fd.error());
  }
  last_fd_ = std::move(*fd);
  last_key_ = KeyOf(base, Form::kGzip);
  return BeginsAsGzip(ops_, last_fd_.get());
}

UniqueFd BaseView::TakeFd(const struct stat& base) {
  if (last_fd_ && last_key_ == KeyOf(base, Form::kGzip)) return std::move(last_fd_);
  return {};
}

}  // namespace gzipfs
