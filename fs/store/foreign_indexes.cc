// One scan for all who wait for it.
#include "fs/store/foreign_indexes.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace gzipfs {
namespace {

// They are looked for one after the other.
constexpr size_t kMaxForeignIndexes = 1024;

uint64_t MemoryOf(const FileLayout& layout) {
  uint64_t bytes = layout.index.group_count() * MemberIndex::kGroupMemoryBytes +
                   layout.foreign.size() * sizeof(MemberInfo);
  for (const RestartsRef& restarts : layout.restarts) bytes += restarts->MemoryBytes();
  return bytes;
}

}  // namespace

Result<FileLayout> ForeignIndexes::Read(int fd, const struct stat& attributes) {
  const auto file_bytes = static_cast<uint64_t>(attributes.st_size);
  const FileSource source(ops_, fd, file_bytes);
  const uint64_t limit_bytes = LayoutLimitBytes(file_bytes);
  Result<TailLayout> tail = ReadTailLayout(source, limit_bytes);
  if (!tail) return Fail(tail.error());
  if (tail->layout) return std::move(*tail->layout);
  Result<FileLayout> layout = FileLayout();
  if (file_bytes < kMinSharedFileBytes) {
    layout = ScanLayout(source, limit_bytes, ScanKeep::kRestarts);
  } else {
    const Result<LayoutRef> shared = Share(fd, attributes, source);
    if (!shared) return Fail(shared.error());
    layout = **shared;
  }
  if (layout) layout->told_plain_bytes = tail->told_plain_bytes;
  return layout;
}

Result<ForeignIndexes::LayoutRef> ForeignIndexes::Share(int fd, const struct stat& attributes,
                                                        const ByteSource& source) {
  const IndexedFile file = IndexedFileOf(attributes);
  const auto is_file = [&file](const Entry& entry) { return entry.file == file; };
  MutexLock lock(mutex_);
  for (;;) {
    const auto entry = std::find_if(entries_.begin(), entries_.end(), is_file);
    if (entry == entries_.end()) break;
    if (entry->layout) {
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->layout;
    }
    found_.Wait(mutex_);
  }
  entries_.push_front({file, nullptr});
  lock.Unlock();
  try {
    Result<FileLayout> layout = Find(fd, attributes, source);
    LayoutRef found;
    if (layout) found = std::make_shared<const FileLayout>(std::move(*layout));
    Publish(file, found);
    return found ? Result<LayoutRef>(found) : Fail(layout.error());
  } catch (...) {
    Publish(file, nullptr);  // or those who wait would wait for ever
    throw;
  }
}

// From the store, or by a scan.
Result<FileLayout> ForeignIndexes::Find(int fd, const struct stat& attributes,
                                        const ByteSource& source) {
  if (kept_) {
    Result<std::optional<FileLayout>> kept = kept_->Load(fd, attributes);
    if (!kept) return Fail(kept.error());
    if (*kept) return std::move(**kept);
  }
  Result<FileLayout> layout =
      ScanLayout(source, LayoutLimitBytes(source.Size()), ScanKeep::kRestarts);
  if (!layout || !kept_) return layout;
  // What was changed meanwhile is not what was scanned.
  const Result<struct stat> after = ops_.Stat(fd);
  if (!after || IndexedFileOf(*after) != IndexedFileOf(attributes)) return layout;
  const Result<void> done = kept_->Keep(attributes, *layout);
  if (!done && done.error().value() != ENOTSUP && done.error().value() != EROFS) {
    spdlog::warn("the index of inode {} cannot be kept: {}", attributes.st_ino,
                 done.error().message());
  }
  return layout;
}

// Lets those go on who wait for it. What is no foreign file's, and so took no
// decoding, is not remembered.
void ForeignIndexes::Publish(const IndexedFile& file, const LayoutRef& layout) {
  MutexLock lock(mutex_);
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&file](const Entry& other) {
    return other.file == file && !other.layout;
  });
  const bool is_kept = layout && !layout->foreign.empty();
  if (is_kept) {
    entry->layout = layout;
    entry->memory_bytes = MemoryOf(*layout) + sizeof(Entry) + sizeof(FileLayout);
    memory_bytes_ += entry->memory_bytes;
  } else {
    entries_.erase(entry);
  }
  auto last = entries_.end();
  while (last != entries_.begin() &&
         (memory_bytes_ > kMaxForeignIndexBytes || entries_.size() > kMaxForeignIndexes)) {
    --last;
    if (!last->layout) continue;
    memory_bytes_ -= last->memory_bytes;
    last = entries_.erase(last);
  }
  found_.NotifyAll();
}

void ForeignIndexes::Doubt(const struct stat& attributes) {
  spdlog::warn("inode {}: what was known of it does not fit; it is decoded once more",
               attributes.st_ino);
  const IndexedFile file = IndexedFileOf(attributes);
  {
    MutexLock lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const bool is_it = entry->file == file && entry->layout;
      if (is_it) memory_bytes_ -= entry->memory_bytes;
      entry = is_it ? entries_.erase(entry) : std::next(entry);
    }
  }
  if (kept_) kept_->Forget(attributes);
}

}  // namespace gzipfs
