// Extended attributes of the object behind a descriptor of any kind.
//
// fsetxattr(2) and its kin refuse O_PATH descriptors; these functions go
// through /proc/self/fd, which takes those too and follows no symlink: of an
// O_PATH descriptor of a symlink the attributes are the symlink's own.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "codec/base/result.h"

namespace gzipfs {

// The names of POSIX ACLs (acl(5)); a default ACL is a directory's alone.
inline constexpr char kAccessAclName[] = "system.posix_acl_access";
inline constexpr char kDefaultAclName[] = "system.posix_acl_default";

// Stores `value` under `name`; `flags` are those of setxattr(2).
Result<void> SetXattr(int fd, const char* name, std::span<const std::byte> value, int flags);

// The value of `name`; ENODATA when there is none.
Result<std::vector<std::byte>> GetXattr(int fd, const char* name);

// Every name, each with its final NUL, one after the other.
Result<std::string> ListXattrs(int fd);

Result<void> RemoveXattr(int fd, const char* name);

// Whether the filesystem that `fd` is on has POSIX ACLs. True where it cannot be told.
bool HasAcls(int fd);

// Gives `to_fd` the attributes of `from_fd` that may be read, POSIX ACLs among
// them, and takes away others that it has (an ACL inherited from its directory).
// The first attribute that `to_fd` lacks and cannot be given is the error.
Result<void> CopyXattrs(int from_fd, int to_fd);

}  // namespace gzipfs
