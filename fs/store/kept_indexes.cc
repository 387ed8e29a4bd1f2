// Reading, writing and throwing out kept indexes.
#include "fs/store/kept_indexes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "fs/sys/at.h"

namespace gzipfs {
namespace {

constexpr char kSuffix[] = ".idx";
constexpr char kTemporaryPrefix[] = "new-";
// Names that a process left which did not come to its end.
constexpr int64_t kAbandonedSeconds = 3600;
// What is left when the oldest have been removed, in eighths of the limit.
constexpr uint64_t kKeptEighths = 7;

std::string NameOf(const struct stat& attributes) {
  return fmt::format("{}{}", attributes.st_ino, kSuffix);
}

}  // namespace

IndexedFile IndexedFileOf(const struct stat& attributes) {
  return {.device = attributes.st_dev,
          .inode = attributes.st_ino,
          .file_bytes = static_cast<uint64_t>(attributes.st_size),
          .modified_seconds = attributes.st_mtim.tv_sec,
          .changed_seconds = attributes.st_ctim.tv_sec,
          .modified_nanoseconds = static_cast<uint32_t>(attributes.st_mtim.tv_nsec),
          .changed_nanoseconds = static_cast<uint32_t>(attributes.st_ctim.tv_nsec)};
}

KeptIndexes::KeptIndexes(FileOps& ops, UniqueFd dir_fd, bool read_only, uint64_t limit_bytes)
    : ops_(ops), dir_fd_(std::move(dir_fd)), read_only_(read_only), limit_bytes_(limit_bytes) {}

Result<UniqueFd> KeptIndexes::Open(const struct stat& attributes) {
  if (!dir_fd_) return Fail(ENOENT);
  const std::string name = NameOf(attributes);
  return ops_.OpenAt(dir_fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

bool KeptIndexes::Has(const struct stat& attributes) {
  const Result<UniqueFd> fd = Open(attributes);
  std::byte header[kIndexHeaderBytes];
  const Result<size_t> count = fd ? ops_.ReadAt(fd->get(), 0, header) : Fail(fd.error());
  if (!count) return false;
  const Result<IndexedFile> about = ParseIndexHeader(std::span(header).first(*count));
  return about && *about == IndexedFileOf(attributes);
}

Result<std::optional<FileLayout>> KeptIndexes::Load(int fd, const struct stat& attributes) {
  const Result<UniqueFd> index = Open(attributes);
  const Result<struct stat> found = index ? ops_.Stat(index->get()) : Fail(index.error());
  const auto file_bytes = static_cast<uint64_t>(attributes.st_size);
  const uint64_t most_bytes = kIndexHeaderBytes + file_bytes / kMaxKeptShareOfFile;
  if (!found || !S_ISREG(found->st_mode) || static_cast<uint64_t>(found->st_size) > most_bytes)
    return std::nullopt;
  std::vector<std::byte> bytes(static_cast<size_t>(found->st_size));
  const Result<size_t> count = ops_.ReadAt(index->get(), 0, bytes);
  if (!count || *count != bytes.size()) return std::nullopt;
  Result<FileLayout> layout = DecodeIndexFile(IndexedFileOf(attributes), bytes);
  if (!layout) return std::nullopt;
  const Result<void> fits = CheckIndexFile(*layout, FileSource(ops_, fd, file_bytes));
  if (fits) return std::move(*layout);
  if (fits.error().category() == std::system_category()) return Fail(fits.error());
  return std::nullopt;
}

Result<void> KeptIndexes::Keep(const struct stat& attributes, const FileLayout& layout) {
  if (!dir_fd_ || read_only_) return Fail(EROFS);
  const auto file_bytes = static_cast<uint64_t>(attributes.st_size);
  if (file_bytes < kMinKeptFileBytes || layout.foreign.empty()) return Fail(ENOTSUP);
  const std::vector<std::byte> bytes = EncodeIndexFile(IndexedFileOf(attributes), layout);
  if (bytes.size() > file_bytes / kMaxKeptShareOfFile) return Fail(ENOTSUP);
  GZIPFS_TRY(Write(NameOf(attributes), bytes));
  Trim(bytes.size());
  return {};
}

Result<void> KeptIndexes::Write(const std::string& name, std::span<const std::byte> bytes) {
  const std::string temporary =
      fmt::format("{}{}-{}-{}", kTemporaryPrefix, ::getpid(), next_name_.fetch_add(1), name);
  Result<UniqueFd> fd = ops_.OpenAt(dir_fd_.get(), temporary.c_str(),
                                    O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW, 0600);
  if (!fd) return Fail(fd.error());
  Result<void> done = ops_.WriteAt(fd->get(), 0, bytes);
  if (done) {
    done = ops_.RenameAt(dir_fd_.get(), temporary.c_str(), dir_fd_.get(), name.c_str(), 0);
  }
  if (!done) (void)ops_.UnlinkAt(dir_fd_.get(), temporary.c_str(), 0);
  return done;
}

void KeptIndexes::Forget(const struct stat& attributes) {
  if (!dir_fd_ || read_only_) return;
  (void)ops_.UnlinkAt(dir_fd_.get(), NameOf(attributes).c_str(), 0);
}

// Counts what is there, once, and again when there seems to be too much.
void KeptIndexes::Trim(uint64_t added_bytes) {
  struct Kept {
    int64_t seconds;
    int64_t nanoseconds;
    uint64_t byte_count;
    std::string name;
  };
  MutexLock lock(mutex_);
  if (total_bytes_ && *total_bytes_ + added_bytes <= limit_bytes_) {
    *total_bytes_ += added_bytes;
    return;
  }
  const Result<std::vector<DirectoryItem>> items = ops_.List(dir_fd_.get());
  if (!items) return;
  std::vector<Kept> all;
  uint64_t total = 0;
  for (const DirectoryItem& item : *items) {
    const Result<struct stat> found = ops_.StatAt(dir_fd_.get(), item.name.c_str());
    if (!found) continue;
    if (item.name.starts_with(kTemporaryPrefix)) {
      if (found->st_mtim.tv_sec + kAbandonedSeconds < FileClockNow().tv_sec)
        (void)ops_.UnlinkAt(dir_fd_.get(), item.name.c_str(), 0);
      continue;
    }
    all.push_back({found->st_mtim.tv_sec, found->st_mtim.tv_nsec,
                   static_cast<uint64_t>(found->st_size), item.name});
    total += all.back().byte_count;
  }
  if (total > limit_bytes_) {
    std::sort(all.begin(), all.end(), [](const Kept& a, const Kept& b) {
      return std::tie(a.seconds, a.nanoseconds) < std::tie(b.seconds, b.nanoseconds);
    });
    for (const Kept& kept : all) {
      if (total <= limit_bytes_ / 8 * kKeptEighths) break;
      if (!ops_.UnlinkAt(dir_fd_.get(), kept.name.c_str(), 0)) continue;
      total -= kept.byte_count;
    }
  }
  total_bytes_ = total;
}

}  // namespace gzipfs
