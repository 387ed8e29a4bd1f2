// Copying from one open file to another without the kernel in between.
#include <algorithm>

#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

// Of one request. The kernel's reply has 32 bits for the count, and whoever waits for it
// cannot be interrupted.
constexpr uint64_t kMaxCopyBytes = kGiB;
constexpr uint64_t kMaxRecompressedBytes = 16 * kMiB;
constexpr uint64_t kStepBytes = kMiB;

}  // namespace

Result<uint64_t> Vfs::CopyRaw(int source_fd, uint64_t source_offset, int target_fd,
                              uint64_t target_offset, uint64_t byte_count) {
  const auto base = ops().Stat(source_fd);
  if (!base) return Fail(base.error());
  const auto source_bytes = static_cast<uint64_t>(base->st_size);
  if (source_offset >= source_bytes) return 0;
  byte_count = std::min(byte_count, source_bytes - source_offset);
  GZIPFS_TRY(ops().CopyRange(source_fd, source_offset, target_fd, target_offset, byte_count));
  return byte_count;
}

// By reading and writing. What was done before an error is told first.
Result<uint64_t> Vfs::CopyBytes(FileHandle& source, uint64_t source_offset, FileHandle& target,
                                uint64_t target_offset, uint64_t byte_count) {
  std::vector<std::byte> buffer(std::min(byte_count, kStepBytes));
  uint64_t done = 0;
  while (done < byte_count) {
    const std::span part(buffer.data(), std::min<uint64_t>(buffer.size(), byte_count - done));
    const auto count = Read(source, source_offset + done, part);
    if (!count && done == 0) return Fail(count.error());
    if (!count || *count == 0) return done;
    const auto written = Write(nullptr, target, target_offset + done, part.first(*count));
    if (!written && done == 0) return Fail(written.error());
    if (!written) return done;
    done += *count;
  }
  return done;
}

Result<uint64_t> Vfs::CopyRange(const Caller& caller, FileHandle& source, uint64_t source_offset,
                                FileHandle& target, uint64_t target_offset,
                                uint64_t byte_count) {
  byte_count = std::min(byte_count, kMaxCopyBytes);
  GZIPFS_TRY(DropSetIds(caller, *target.file));
  const auto from = source.file->content();
  const auto to = target.file->content();
  Result<uint64_t> copied = 0;
  if (from && to) {
    copied = to->CopyMembers(*from, source_offset, target_offset, byte_count);
  } else if (!from && !to) {
    copied = CopyRaw(source.file->raw_fd()->get(), source_offset, target.file->raw_fd()->get(),
                     target_offset, byte_count);
  }
  if (copied && *copied == 0 && (from || to)) {
    copied = CopyBytes(source, source_offset, target, target_offset,
                       std::min(byte_count, kMaxRecompressedBytes));
  }
  if (!copied || *copied == 0) return copied;
  target.file->NoteChange();
  if (target.writes_synced) GZIPFS_TRY(Sync(target, true));
  return copied;
}

}  // namespace gzipfs
