// One walk over the records serves both functions.
#include "fs/store/log_reader.h"

#include <algorithm>

#include "codec/base/units.h"
#include "fs/store/redo_log.h"

namespace gzipfs {
namespace {

// A window on the log, large enough for any record.
class Window {
 public:
  Window(FileOps& ops, int fd, uint64_t log_bytes) : ops_(ops), fd_(fd), log_bytes_(log_bytes) {}

  // The bytes from `offset` on: at least `byte_count` unless the log ends before.
  Result<std::span<const std::byte>> At(uint64_t offset, size_t byte_count) {
    if (offset >= log_bytes_) return std::span<const std::byte>();
    const uint64_t wanted = std::min<uint64_t>(byte_count, log_bytes_ - offset);
    if (offset < begin_ || offset + wanted > begin_ + bytes_.size()) {
      bytes_.resize(std::min<uint64_t>(std::max<uint64_t>(wanted, kReadBytes),
                                       log_bytes_ - offset));
      const Result<size_t> count = ops_.ReadAt(fd_, offset, bytes_);
      if (!count) return Fail(count.error());
      bytes_.resize(*count);
      begin_ = offset;
    }
    return std::span<const std::byte>(bytes_).subspan(offset - begin_);
  }

 private:
  static constexpr uint64_t kReadBytes = kMiB;

  FileOps& ops_;
  const int fd_;
  const uint64_t log_bytes_;
  uint64_t begin_ = 0;
  std::vector<std::byte> bytes_;
};

// The record at `offset`; kTruncated, kBadHeader or kBadChecksum for none.
Result<LogRecord> RecordAt(Window& window, uint64_t offset, uint64_t salt) {
  auto bytes = window.At(offset, kLogRecordHeaderBytes);
  if (!bytes) return Fail(bytes.error());
  Result<LogRecord> record = DecodeLogRecord(*bytes, salt);
  if (record || record.error() != DataError::kTruncated) return record;
  bytes = window.At(offset, kLogRecordHeaderBytes + kMaxLogPayloadBytes);
  if (!bytes) return Fail(bytes.error());
  return DecodeLogRecord(*bytes, salt);
}

bool IsDataError(std::error_code error) { return error.category() == DataErrorCategory(); }

// Whether some record behind `offset` proves that record `sequence`, which
// cannot be read, had been synced.
Result<bool> WasDurable(Window& window, uint64_t offset, uint64_t salt, uint64_t sequence) {
  for (;;) {
    const auto bytes = window.At(offset, kLogRecordHeaderBytes);
    if (!bytes) return Fail(bytes.error());
    if (bytes->size() < kLogRecordHeaderBytes) return false;
    const std::optional<size_t> found = FindLogRecord(*bytes, 0);
    if (!found) {
      offset += bytes->size() - (kLogRecordHeaderBytes - 1);
      continue;
    }
    const Result<LogRecord> record = RecordAt(window, offset + *found, salt);
    if (!record && !IsDataError(record.error())) return Fail(record.error());
    if (record && record->durable_sequence >= sequence) return true;
    offset += *found + 1;
  }
}

Result<void> Note(const LogRecord& record, uint64_t end, LogSummary& summary) {
  if (record.type == LogRecordType::kCommit) {
    auto mtime = DecodeLogTime(record.payload);
    if (!mtime) return Fail(mtime.error());
    summary.has_commit = true;
    summary.plain_bytes = record.plain_offset;
    summary.mtime = *mtime;
    summary.image.reset();
  } else if (record.type == LogRecordType::kImage) {
    auto image = DecodeLogImage(record.payload);
    if (!image) return Fail(image.error());
    summary.image = std::move(*image);
  } else if (record.type == LogRecordType::kPrefix) {
    auto prefix = DecodeLogIdentity(record.payload);
    if (!prefix) return Fail(prefix.error());
    summary.prefix = *prefix;
  } else {
    return {};
  }
  summary.committed_bytes = end;
  summary.last_sequence = record.sequence;
  return {};
}

}  // namespace

Result<LogSummary> ReadLogSummary(FileOps& ops, int fd) {
  const Result<struct stat> attributes = ops.Stat(fd);
  if (!attributes) return Fail(attributes.error());
  Window window(ops, fd, static_cast<uint64_t>(attributes->st_size));
  const auto header_bytes = window.At(0, kLogHeaderBytes);
  if (!header_bytes) return Fail(header_bytes.error());
  const Result<LogHeader> header = DecodeLogHeader(*header_bytes);
  // The file's end got to the disk, its first write did not: as if it were empty.
  const auto begin = header_bytes->first(std::min(header_bytes->size(), kLogHeaderBytes));
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  if (!header && std::all_of(begin.begin(), begin.end(), is_zero)) {
    return Fail(DataError::kTruncated);
  }
  if (!header) return Fail(header.error());
  LogSummary summary;
  summary.header = *header;
  uint64_t offset = kLogHeaderBytes;
  for (uint64_t sequence = 1;; ++sequence) {
    const Result<LogRecord> record = RecordAt(window, offset, header->salt);
    if (!record && !IsDataError(record.error())) return Fail(record.error());
    if (!record || record->sequence != sequence) {
      const auto was_durable = WasDurable(window, offset + 1, header->salt, sequence);
      if (!was_durable) return Fail(was_durable.error());
      summary.is_damaged = *was_durable;
      return summary;
    }
    offset += kLogRecordHeaderBytes + record->payload.size();
    GZIPFS_TRY(Note(*record, offset, summary));
  }
}

Result<bool> IsBaseOf(FileOps& ops, int fd, const LogSummary& summary) {
  const Result<BaseIdentity> identity = IdentityOf(ops, fd);
  if (!identity) return Fail(identity.error());
  if (*identity == summary.header.base) return true;
  if (!summary.prefix || identity->stored_bytes < summary.prefix->stored_bytes) return false;
  // It was cut and appended to, and the log has all that is behind the cut.
  const auto prefix = IdentityOfPrefix(ops, fd, summary.prefix->stored_bytes);
  if (!prefix) return Fail(prefix.error());
  return *prefix == *summary.prefix;
}

Result<void> ReplayLog(FileOps& ops, int fd, const LogSummary& summary,
                       const std::function<Result<void>(const LogRecord& record)>& apply) {
  Window window(ops, fd, summary.committed_bytes);
  for (uint64_t offset = kLogHeaderBytes; offset < summary.committed_bytes;) {
    const Result<LogRecord> record = RecordAt(window, offset, summary.header.salt);
    if (!record) return Fail(record.error());
    offset += kLogRecordHeaderBytes + record->payload.size();
    const bool is_change =
        record->type != LogRecordType::kImage && record->type != LogRecordType::kPrefix;
    if (is_change) GZIPFS_TRY(apply(*record));
  }
  return {};
}

}  // namespace gzipfs
