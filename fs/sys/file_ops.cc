// The kernel's file calls behind FileOps.
//
// Linux transfers at most 2 GiB - 4 KiB in one call and may stop earlier at
// any byte (a signal, a full disk); the loops here go on from where it stopped,
// so that the error of the second attempt, not a short count, reaches callers.
#include "fs/sys/file_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "codec/base/units.h"
#include "fs/sys/directory.h"
#include "fs/sys/retry.h"
#include "fs/sys/xattr.h"

namespace gzipfs {
namespace {

constexpr size_t kCopyBufferBytes = 256 * kKiB;
constexpr uint64_t kReflinkUnitBytes = 4 * kKiB;  // of btrfs and xfs, as they are made

// How much of a copy to ask the kernel for at once. It reflinks whole blocks only, and
// none of them if there is anything else in the request; what is before and behind them is
// asked for by itself.
uint64_t NextCopyBytes(uint64_t from_offset, uint64_t to_offset, uint64_t byte_count) {
  const uint64_t skip = from_offset % kReflinkUnitBytes;
  if (skip == to_offset % kReflinkUnitBytes && byte_count > 2 * kReflinkUnitBytes) {
    byte_count = skip > 0 ? kReflinkUnitBytes - skip : RoundDown(byte_count, kReflinkUnitBytes);
  }
  return std::min(byte_count, kGiB);
}

// Drops what was written from the front of `parts`; returns what is left.
std::span<iovec> SkipBytes(std::span<iovec> parts, size_t byte_count) {
  while (!parts.empty() && byte_count >= parts[0].iov_len) {
    byte_count -= parts[0].iov_len;
    parts = parts.subspan(1);
  }
  if (byte_count > 0) {
    parts[0].iov_base = static_cast<std::byte*>(parts[0].iov_base) + byte_count;
    parts[0].iov_len -= byte_count;
  }
  return parts;
}

// Errors that say "not with these two files" rather than "the copy failed".
bool CannotCopyInKernel(int error) {
  return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS ||
         error == EPERM || error == ETXTBSY;
}

class KernelFileOps final : public FileOps {
 public:
  Result<UniqueFd> OpenAt(int dir_fd, const char* path, int flags, mode_t mode) override;
  Result<UniqueFd> Duplicate(int fd) override;
  Result<size_t> ReadAt(int fd, uint64_t offset, std::span<std::byte> out) override;
  Result<void> WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes) override;
  Result<void> WriteVectorAt(int fd, uint64_t offset, std::span<iovec> parts) override;
  Result<void> CopyRange(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                         uint64_t byte_count) override;
  Result<void> Truncate(int fd, uint64_t byte_count) override {
    return CheckCall([&] { return ::ftruncate(fd, static_cast<off_t>(byte_count)); });
  }
  Result<void> SyncData(int fd) override {
    return CheckCall([&] { return ::fdatasync(fd); });
  }
  Result<void> SyncAll(int fd) override {
    return CheckCall([&] { return ::fsync(fd); });
  }
  Result<struct stat> Stat(int fd) override;
  Result<struct stat> StatAt(int dir_fd, const char* path) override;
  Result<void> SetTimes(int fd, const timespec times[2]) override {
    return CheckCall([&] { return ::futimens(fd, times); });
  }
  Result<void> SetOwner(int fd, uid_t uid, gid_t gid) override {
    return CheckCall([&] { return ::fchown(fd, uid, gid); });
  }
  Result<void> SetMode(int fd, mode_t mode) override {
    return CheckCall([&] { return ::fchmod(fd, mode); });
  }
  Result<void> RenameAt(int from_dir_fd, const char* from, int to_dir_fd, const char* to,
                        unsigned flags) override {
    return CheckCall([&] { return ::renameat2(from_dir_fd, from, to_dir_fd, to, flags); });
  }
  Result<void> UnlinkAt(int dir_fd, const char* path, int flags) override {
    return CheckCall([&] { return ::unlinkat(dir_fd, path, flags); });
  }
  Result<std::vector<DirectoryItem>> List(int dir_fd) override;
  Result<void> CopyAttributes(int from_fd, int to_fd) override {
    return CopyXattrs(from_fd, to_fd);
  }

 private:
  // The rest of CopyRange through a buffer.
  Result<void> CopyThroughBuffer(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                                 uint64_t byte_count);
};

Result<UniqueFd> KernelFileOps::OpenAt(int dir_fd, const char* path, int flags, mode_t mode) {
  const int fd = RetryInterrupted([&] { return ::openat(dir_fd, path, flags | O_CLOEXEC, mode); });
  if (fd < 0) return Fail(errno);
  return UniqueFd(fd);
}

Result<UniqueFd> KernelFileOps::Duplicate(int fd) {
  const int copy = RetryInterrupted([&] { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); });
  if (copy < 0) return Fail(errno);
  return UniqueFd(copy);
}

Result<size_t> KernelFileOps::ReadAt(int fd, uint64_t offset, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = RetryInterrupted([&] {
      return ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    });
    if (count < 0) return Fail(errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

Result<void> KernelFileOps::WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = RetryInterrupted([&] {
      return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    });
    if (count < 0) return Fail(errno);
    if (count == 0) return Fail(EIO);
    offset += static_cast<uint64_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

Result<void> KernelFileOps::WriteVectorAt(int fd, uint64_t offset, std::span<iovec> parts) {
  parts = SkipBytes(parts, 0);
  while (!parts.empty()) {
    const int part_count = static_cast<int>(std::min<size_t>(parts.size(), IOV_MAX));
    const ssize_t count = RetryInterrupted([&] {
      return ::pwritev(fd, parts.data(), part_count, static_cast<off_t>(offset));
    });
    if (count < 0) return Fail(errno);
    if (count == 0) return Fail(EIO);
    offset += static_cast<uint64_t>(count);
    parts = SkipBytes(parts, static_cast<size_t>(count));
  }
  return {};
}

Result<void> KernelFileOps::CopyRange(int from_fd, uint64_t from_offset, int to_fd,
                                      uint64_t to_offset, uint64_t byte_count) {
  while (byte_count > 0) {
    off_t from = static_cast<off_t>(from_offset);
    off_t to = static_cast<off_t>(to_offset);
    const size_t wanted = NextCopyBytes(from_offset, to_offset, byte_count);
    const ssize_t count = RetryInterrupted(
        [&] { return ::copy_file_range(from_fd, &from, to_fd, &to, wanted, 0); });
    if (count < 0 && !CannotCopyInKernel(errno)) return Fail(errno);
    // Zero is the end of the source, or a filesystem that does not really copy.
    if (count <= 0) {
      return CopyThroughBuffer(from_fd, from_offset, to_fd, to_offset, byte_count);
    }
    from_offset += static_cast<uint64_t>(count);
    to_offset += static_cast<uint64_t>(count);
    byte_count -= static_cast<uint64_t>(count);
  }
  return {};
}

Result<void> KernelFileOps::CopyThroughBuffer(int from_fd, uint64_t from_offset, int to_fd,
                                              uint64_t to_offset, uint64_t byte_count) {
  const auto buffer_bytes = std::min<uint64_t>(byte_count, kCopyBufferBytes);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  while (byte_count > 0) {
    const std::span<std::byte> part(buffer.get(), std::min<uint64_t>(byte_count, buffer_bytes));
    const auto count = ReadAt(from_fd, from_offset, part);
    if (!count) return Fail(count.error());
    if (*count < part.size()) return Fail(EIO);  // the source is shorter than the caller knows
    GZIPFS_TRY(WriteAt(to_fd, to_offset, part));
    from_offset += part.size();
    to_offset += part.size();
    byte_count -= part.size();
  }
  return {};
}

Result<struct stat> KernelFileOps::Stat(int fd) {
  struct stat result;
  GZIPFS_TRY(CheckCall([&] { return ::fstat(fd, &result); }));
  return result;
}

Result<struct stat> KernelFileOps::StatAt(int dir_fd, const char* path) {
  struct stat result;
  GZIPFS_TRY(CheckCall([&] { return ::fstatat(dir_fd, path, &result, AT_SYMLINK_NOFOLLOW); }));
  return result;
}

Result<std::vector<DirectoryItem>> KernelFileOps::List(int dir_fd) {
  // A descriptor of its own: the position of a duplicate would be shared.
  Result<UniqueFd> fd = OpenAt(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
  if (!fd) return Fail(fd.error());
  Result<DirectoryStream> stream = DirectoryStream::Open(std::move(*fd));
  if (!stream) return Fail(stream.error());
  std::vector<DirectoryItem> items;
  for (;;) {
    auto entry = stream->Next();
    if (!entry) return Fail(entry.error());
    if (!*entry) return items;
    DirectoryItem item{std::move((*entry)->name), (*entry)->ino, (*entry)->type};
    if (item.name == "." || item.name == "..") continue;
    if (item.type == DT_UNKNOWN) {
      const Result<struct stat> attributes = StatAt(dir_fd, item.name.c_str());
      if (!attributes) continue;  // gone since
      item.type = IFTODT(attributes->st_mode);
    }
    items.push_back(std::move(item));
  }
}

}  // namespace

FileOps& RealFileOps() {
  static KernelFileOps ops;
  return ops;
}

}  // namespace gzipfs
