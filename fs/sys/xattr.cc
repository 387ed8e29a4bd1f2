// Extended attributes; of an O_PATH descriptor by way of /proc/self/fd.
//
// Sizes may change between asking for them and reading the value, so reads
// start with a buffer that nearly always does and grow it on ERANGE, up to the
// limit of the VFS (XATTR_SIZE_MAX, XATTR_LIST_MAX: 64 KiB).
#include "fs/sys/xattr.h"

#include <linux/limits.h>
#include <sys/xattr.h>

#include <string_view>

#include "fs/sys/proc_path.h"
#include "fs/sys/retry.h"

namespace gzipfs {
namespace {

constexpr size_t kFirstBufferBytes = 256;

// Calls `read(data, size)` with a growing `buffer` until the answer fits.
template <typename Buffer, typename Read>
Result<Buffer> ReadGrowing(size_t limit_bytes, Read read) {
  Buffer buffer;
  buffer.resize(kFirstBufferBytes);
  while (true) {
    const ssize_t count = RetryInterrupted([&] { return read(buffer.data(), buffer.size()); });
    if (count >= 0) {
      buffer.resize(static_cast<size_t>(count));
      return buffer;
    }
    if (errno != ERANGE || buffer.size() >= limit_bytes) return Fail(errno);
    buffer.resize(limit_bytes);
  }
}

// Calls `visit` with each name of a list as ListXattrs gives it.
template <typename Visit>
Result<void> ForEachName(const std::string& list, Visit visit) {
  for (size_t begin = 0; begin < list.size();) {
    const char* name = list.c_str() + begin;
    GZIPFS_TRY(visit(name));
    begin += std::string_view(name).size() + 1;
  }
  return {};
}

bool HasName(const std::string& list, const char* name) {
  bool found = false;
  (void)ForEachName(list, [&](const char* each) -> Result<void> {
    found = found || std::string_view(each) == name;
    return {};
  });
  return found;
}

// A filesystem without extended attributes has none.
Result<std::string> ListOrNone(int fd) {
  auto list = ListXattrs(fd);
  if (!list && ErrnoOf(list.error()) == EOPNOTSUPP) return std::string();
  return list;
}

Result<void> CopyOne(int from_fd, int to_fd, const char* name) {
  const auto value = GetXattr(from_fd, name);
  if (!value) return {};  // not for us to read, or gone
  const auto set = SetXattr(to_fd, name, *value, 0);
  if (set) return {};
  // A label that the system gives and nobody may set can still be the same.
  const auto present = GetXattr(to_fd, name);
  if (present && *present == *value) return {};
  return set;
}

}  // namespace

Result<void> SetXattr(int fd, const char* name, std::span<const std::byte> value, int flags) {
  const ProcPath path(fd);
  return CheckCall(
      [&] { return ::setxattr(path.c_str(), name, value.data(), value.size(), flags); });
}

Result<std::vector<std::byte>> GetXattr(int fd, const char* name) {
  auto value =
      ReadGrowing<std::vector<std::byte>>(XATTR_SIZE_MAX, [&](std::byte* data, size_t size) {
        return ::fgetxattr(fd, name, data, size);
      });
  if (value || ErrnoOf(value.error()) != EBADF) return value;
  const ProcPath path(fd);
  return ReadGrowing<std::vector<std::byte>>(XATTR_SIZE_MAX, [&](std::byte* data, size_t size) {
    return ::getxattr(path.c_str(), name, data, size);
  });
}

Result<std::string> ListXattrs(int fd) {
  const ProcPath path(fd);
  return ReadGrowing<std::string>(XATTR_LIST_MAX, [&](char* data, size_t size) {
    return ::listxattr(path.c_str(), data, size);
  });
}

Result<void> RemoveXattr(int fd, const char* name) {
  const ProcPath path(fd);
  return CheckCall([&] { return ::removexattr(path.c_str(), name); });
}

bool HasAcls(int fd) {
  const auto acl = GetXattr(fd, kAccessAclName);
  return acl || ErrnoOf(acl.error()) != EOPNOTSUPP;
}

Result<void> CopyXattrs(int from_fd, int to_fd) {
  const auto wanted = ListOrNone(from_fd);
  if (!wanted) return Fail(wanted.error());
  const auto present = ListOrNone(to_fd);
  if (!present) return Fail(present.error());
  GZIPFS_TRY(ForEachName(*present, [&](const char* name) -> Result<void> {
    if (!HasName(*wanted, name)) (void)RemoveXattr(to_fd, name);
    return {};
  }));
  return ForEachName(*wanted, [&](const char* name) { return CopyOne(from_fd, to_fd, name); });
}

}  // namespace gzipfs
