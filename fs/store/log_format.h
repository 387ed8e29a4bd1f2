// A redo log on disk: changes of one base file, in order.
//
// A header names the base and carries a salt; records follow without gaps. A
// record counts only up to the last kCommit behind it, so that what one commit
// closes is applied whole or not at all. All integers are little-endian; the
// layout is told in fs/DESIGN.md, "The redo log".
//
// Pure functions on spans; thread-safe.
#pragma once

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "codec/member.h"

namespace gzipfs {

inline constexpr size_t kLogHeaderBytes = 64;
inline constexpr size_t kLogRecordHeaderBytes = 40;
// No record's payload is longer: a block, what it may grow to as members, and
// their sizes.
inline constexpr uint32_t kMaxLogPayloadBytes = 8 * 1024 * 1024;

// Which file a log is for, as it was when the log was made. A base does not
// change while it has a log.
struct BaseIdentity {
  uint64_t ino = 0;
  uint64_t stored_bytes = 0;
  uint32_t end_crc = 0;  // CRC32 of its last kIdentityBytes, or of all of it
  bool operator==(const BaseIdentity&) const = default;
};
inline constexpr uint64_t kIdentityBytes = 4096;

// Version 1 has no kZero records. Who knows only that takes a log of version 2 for none
// of his and keeps it, rather than applying what he knows of it.
inline constexpr int kOldLogVersion = 1;
inline constexpr int kLogVersion = 2;

struct LogHeader {
  uint64_t salt = 0;  // goes into every record's CRC: no other log's record fits
  BaseIdentity base;
  int version = kLogVersion;
};

enum class LogRecordType : uint8_t {
  kData = 1,    // payload: plain bytes at plain_offset
  kMember = 2,  // payload: sizes and bytes of the members of the block at plain_offset
  kCut = 3,     // the file is cut to plain_offset; what is behind reads as zeros
  kCommit = 4,  // the file is plain_offset bytes long; payload: its mtime, if known
  kImage = 5,   // an image is about to take the base's place; payload: LogImage
  kPrefix = 6,  // the base is about to be cut; payload: the identity of what stays
  kZero = 7,    // blocks from plain_offset on read as zeros; payload: their plain bytes
};

struct LogRecord {
  LogRecordType type;
  uint64_t sequence;          // one more than the record before, from 1 on
  uint64_t durable_sequence;  // every record up to this one was synced before this was written
  uint64_t plain_offset;
  std::span<const std::byte> payload;
};

// What a kImage record says.
struct LogImage {
  BaseIdentity image;        // the image's own
  bool overwrites = false;   // it is copied over the base; else renamed over it
  bool has_next_log = false; // overwrites: a log for the time after lies beside this one
  std::string name;          // in the image directory
};

std::vector<std::byte> EncodeLogHeader(const LogHeader& header);
// kNotGzip never; kTruncated, kBadHeader, kBadChecksum.
Result<LogHeader> DecodeLogHeader(std::span<const std::byte> bytes);

// Appends a record to `out`, payload included.
void EncodeLogRecord(const LogRecord& record, uint64_t salt, std::vector<std::byte>* out);
// The record that `bytes` begin with; its payload points into them. kTruncated
// when they end too early, kBadHeader or kBadChecksum when it is none. EPROTONOSUPPORT
// (of the system category) when it is one of a type that only later versions know: a
// log with such a record must not be applied in part.
Result<LogRecord> DecodeLogRecord(std::span<const std::byte> bytes, uint64_t salt);
// Where the next place is that looks like the begin of a record, from `begin` on.
std::optional<size_t> FindLogRecord(std::span<const std::byte> bytes, size_t begin);

std::vector<std::byte> EncodeLogMembers(const EncodedBlock& block);
Result<EncodedBlock> DecodeLogMembers(std::span<const std::byte> payload);
std::vector<std::byte> EncodeLogLength(uint64_t byte_count);
Result<uint64_t> DecodeLogLength(std::span<const std::byte> payload);
std::vector<std::byte> EncodeLogTime(const std::optional<timespec>& mtime);
Result<std::optional<timespec>> DecodeLogTime(std::span<const std::byte> payload);
std::vector<std::byte> EncodeLogIdentity(const BaseIdentity& identity);
Result<BaseIdentity> DecodeLogIdentity(std::span<const std::byte> payload);
std::vector<std::byte> EncodeLogImage(const LogImage& image);
Result<LogImage> DecodeLogImage(std::span<const std::byte> payload);

}  // namespace gzipfs
