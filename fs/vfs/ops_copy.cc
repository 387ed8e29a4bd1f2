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
// In one go, which what the kernel writes back to the same file waits for.
constexpr uint64_t kMaxRawStepBytes = 64 * kMiB;
constexpr uint64_t kSmallestStepBytes = 4 * kKiB;  // a page

// Whether a copy that failed with it may succeed in part.
bool MayDoLess(std::error_code error) {
  const int number = ErrnoOf(error);
  return number == ENOSPC || number == EDQUOT || number == EIO;
}

}  // namespace

// Where the disk is full, or a part of the source cannot be read, what comes before that is
// copied and told; if there is nothing, the target is as long as before.
Result<uint64_t> Vfs::CopyRaw(int source_fd, uint64_t source_offset, OpenFile& target,
                              uint64_t target_offset, uint64_t byte_count) {
  const auto base = ops().Stat(source_fd);
  if (!base) return Fail(base.error());
  const auto source_bytes = static_cast<uint64_t>(base->st_size);
  if (source_offset >= source_bytes) return 0;
  byte_count = std::min(byte_count, source_bytes - source_offset);
  // What fails may have been done in part; how far it goes is found out by asking for less.
  uint64_t done = 0;
  for (uint64_t step_bytes = kMaxRawStepBytes; done < byte_count;) {
    const uint64_t now_bytes = std::min(step_bytes, byte_count - done);
    const auto copied =
        CopyRawStep(source_fd, source_offset + done, target, target_offset + done, now_bytes);
    if (!copied) return Fail(copied.error());
    if (!*copied) {
      done += now_bytes;
      continue;
    }
    step_bytes = now_bytes / 2;
    if (MayDoLess(*copied) && step_bytes >= kSmallestStepBytes) continue;
    return done > 0 ? Result<uint64_t>(done) : Fail(*copied);
  }
  return done;
}

// Copies all of it and answers no error, or the one that it failed with; then the target
// is as long as before. Fails where that is not so. The kernel may write pages of the
// target back meanwhile, which make it longer, too, and are not to be cut off: they wait.
Result<std::error_code> Vfs::CopyRawStep(int source_fd, uint64_t source_offset, OpenFile& target,
                                         uint64_t target_offset, uint64_t byte_count) {
  const int target_fd = target.raw_fd()->get();
  const MutexLock lock(target.raw_attr_mutex);
  const auto before = ops().Stat(target_fd);
  if (!before) return Fail(before.error());
  const auto copied =
      ops().CopyRange(source_fd, source_offset, target_fd, target_offset, byte_count);
  if (copied) return std::error_code();
  const auto after = ops().Stat(target_fd);
  if (!after) return Fail(after.error());
  // Whatever is behind the copy's end others wrote.
  const bool is_longer = after->st_size > before->st_size &&
                         static_cast<uint64_t>(after->st_size) <= target_offset + byte_count;
  if (is_longer) GZIPFS_TRY(ops().Truncate(target_fd, static_cast<uint64_t>(before->st_size)));
  return copied.error();
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
    target.file->NoteChange();  // before: WasChangedOutside
    copied = CopyRaw(source.file->raw_fd()->get(), source_offset, *target.file, target_offset,
                     byte_count);
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
