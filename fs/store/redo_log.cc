// Records gather in a buffer, which is written at the latest by Commit.
#include "fs/store/redo_log.h"

#include <fcntl.h>

#include <charconv>
#include <random>

#include "codec/base/units.h"
#include "codec/codec.h"

namespace gzipfs {
namespace {

constexpr size_t kBufferBytes = kMiB;
constexpr uint64_t kMaxZeroBytes = kMiB;     // at once, ahead of the records
constexpr uint64_t kZeroStepBytes = 4 * kKiB;
constexpr char kLogSuffix[] = ".log";
constexpr char kNextSuffix[] = ".next";

uint64_t NewSalt() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

}  // namespace

std::string LogName(uint64_t ino) { return std::to_string(ino) + kLogSuffix; }
std::string NextLogName(uint64_t ino) { return std::to_string(ino) + kNextSuffix; }

std::optional<uint64_t> InoOfLogName(const std::string& name) {
  uint64_t ino = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, ino);
  const std::string_view suffix(stop, static_cast<size_t>(end - stop));
  if (error != std::errc() || (suffix != kLogSuffix && suffix != kNextSuffix)) return std::nullopt;
  return ino;
}

Result<BaseIdentity> IdentityOf(FileOps& ops, int fd) {
  const Result<struct stat> attributes = ops.Stat(fd);
  if (!attributes) return Fail(attributes.error());
  return IdentityOfPrefix(ops, fd, static_cast<uint64_t>(attributes->st_size));
}

Result<BaseIdentity> IdentityOfPrefix(FileOps& ops, int fd, uint64_t byte_count) {
  const Result<struct stat> attributes = ops.Stat(fd);
  if (!attributes) return Fail(attributes.error());
  BaseIdentity identity;
  identity.ino = attributes->st_ino;
  identity.stored_bytes = byte_count;
  std::vector<std::byte> end(std::min(identity.stored_bytes, kIdentityBytes));
  const Result<size_t> count = ops.ReadAt(fd, identity.stored_bytes - end.size(), end);
  if (!count) return Fail(count.error());
  if (*count != end.size()) return Fail(ESTALE);
  identity.end_crc = Crc32(0, end);
  return identity;
}

Result<std::unique_ptr<RedoLog>> RedoLog::Create(FileOps& ops, int log_dir_fd, std::string name,
                                                 const BaseIdentity& base) {
  Result<UniqueFd> fd =
      ops.OpenAt(log_dir_fd, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0600);
  if (!fd) return Fail(fd.error());
  const LogHeader header{NewSalt(), base};
  std::unique_ptr<RedoLog> log(
      new RedoLog(ops, log_dir_fd, std::move(name), std::move(*fd), header));
  log->buffer_ = EncodeLogHeader(header);
  return log;
}

Result<std::unique_ptr<RedoLog>> RedoLog::Resume(FileOps& ops, int log_dir_fd, std::string name,
                                                 UniqueFd fd, const LogHeader& header,
                                                 uint64_t committed_bytes,
                                                 uint64_t last_sequence) {
  GZIPFS_TRY(ops.Truncate(fd.get(), committed_bytes));
  std::unique_ptr<RedoLog> log(
      new RedoLog(ops, log_dir_fd, std::move(name), std::move(fd), header));
  log->written_bytes_ = log->committed_bytes_ = committed_bytes;
  log->sequence_ = log->committed_sequence_ = last_sequence;
  log->entry_is_durable_ = true;
  return log;
}

void RedoLog::Add(LogRecordType type, uint64_t plain_offset, std::span<const std::byte> payload) {
  EncodeLogRecord({type, ++sequence_, committed_sequence_, plain_offset, payload}, salt_,
                  &buffer_);
  if (buffer_.size() >= kBufferBytes) WriteBuffer(/*is_last=*/false);
}

// The last write before a sync brings zeros with it now and then: a sync that need
// not make a new size durable is a third cheaper. (On ext4, writes of 4 KiB. Blocks
// that are reserved only would have to be marked as written instead.)
void RedoLog::WriteBuffer(bool is_last) {
  if (!error_) {
    const size_t byte_count = buffer_.size();
    const uint64_t end = written_bytes_ + byte_count;
    if (is_last && end > zeroed_bytes_) {
      const uint64_t zero_count = RoundDown(std::min(end / 2, kMaxZeroBytes), kZeroStepBytes);
      buffer_.resize(byte_count + zero_count);
    }
    Result<void> written = ops_.WriteAt(fd_.get(), written_bytes_, buffer_);
    if (!written && buffer_.size() > byte_count) {
      buffer_.resize(byte_count);  // there may be room for the records alone
      written = ops_.WriteAt(fd_.get(), written_bytes_, buffer_);
    }
    if (!written) error_ = written.error();
    zeroed_bytes_ = std::max(zeroed_bytes_, written_bytes_ + buffer_.size());
    written_bytes_ = end;
  }
  buffer_.clear();
}

// What was written must not stay behind the end: records that are added later
// get the same numbers, and these would be taken for their successors.
void RedoLog::Rewind() {
  buffer_.clear();
  if (!ops_.Truncate(fd_.get(), committed_bytes_)) is_failed_ = true;
  written_bytes_ = zeroed_bytes_ = committed_bytes_;
  sequence_ = committed_sequence_;
}

Result<void> RedoLog::Commit() {
  if (is_failed_) return Fail(EIO);
  WriteBuffer(/*is_last=*/true);
  if (error_) {
    const std::error_code error = std::exchange(error_, {});
    // A log without its header would be none.
    if (committed_bytes_ == 0) is_failed_ = true;
    Rewind();
    return Fail(error);
  }
  Result<void> synced = ops_.SyncData(fd_.get());
  if (synced && !entry_is_durable_) synced = ops_.SyncAll(log_dir_fd_);
  if (!synced) {
    is_failed_ = true;
    return synced;
  }
  entry_is_durable_ = true;
  committed_bytes_ = written_bytes_;
  committed_sequence_ = sequence_;
  return {};
}

Result<void> RedoLog::Remove() { return ops_.UnlinkAt(log_dir_fd_, name_.c_str(), 0); }

Result<void> RedoLog::Rename(std::string name) {
  GZIPFS_TRY(ops_.RenameAt(log_dir_fd_, name_.c_str(), log_dir_fd_, name.c_str(), 0));
  name_ = std::move(name);
  return {};
}

}  // namespace gzipfs
