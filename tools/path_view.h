// A directory outside of any mount, as the naming rule of stores looks at it.
#pragma once

#include <fcntl.h>

#include <string>
#include <utility>

#include "fs/sys/file_ops.h"
#include "fs/vfs/base_view.h"
#include "fs/vfs/name_codec.h"

namespace gzipfs {

// Owns its descriptor. One thread at a time.
class PathView final : public DirectoryView {
 public:
  explicit PathView(UniqueFd dir) : dir_(std::move(dir)) {}
  Result<std::optional<struct stat>> Stat(const std::string& store_name) override {
    const auto found = RealFileOps().StatAt(dir_.get(), store_name.c_str());
    if (found) return *found;
    if (found.error().value() == ENOENT) return std::nullopt;
    return Fail(found.error());
  }
  Result<bool> IsGzip(const std::string& store_name, const struct stat&) override {
    const auto fd = RealFileOps().OpenAt(dir_.get(), store_name.c_str(),
                                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (!fd) return Fail(fd.error());
    return BeginsAsGzip(RealFileOps(), fd->get());
  }

 private:
  UniqueFd dir_;
};

}  // namespace gzipfs
