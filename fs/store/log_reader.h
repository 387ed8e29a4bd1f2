// Reading a redo log after the process that wrote it has gone.
#pragma once

#include <functional>
#include <optional>

#include "fs/store/log_format.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// What a log says, and how far it can be trusted.
struct LogSummary {
  LogHeader header;
  uint64_t committed_bytes = 0;  // end of the last commit (or image) record; 0: there is none
  uint64_t last_sequence = 0;    // of that record
  bool has_commit = false;
  uint64_t plain_bytes = 0;      // of the file, as of the last commit
  std::optional<timespec> mtime;
  std::optional<LogImage> image;  // if nothing was committed after it
  std::optional<BaseIdentity> prefix;  // what is left of the base, if it was to be cut
  // A record that had been synced cannot be read, though later ones can: not a
  // torn end but damage. What is above is the state before that record.
  bool is_damaged = false;
};

// Reads all of the log. kTruncated, kBadHeader or kBadChecksum when the header
// cannot be read: then the log never was complete, or is damaged. The end of a
// torn log is no error. EPROTONOSUPPORT when it has a record of a later version.
Result<LogSummary> ReadLogSummary(FileOps& ops, int fd);

// Whether the file behind `fd` is the base that the log is for.
Result<bool> IsBaseOf(FileOps& ops, int fd, const LogSummary& summary);

// Calls `apply` with every record that counts, in order, images and prefixes left out; ends
// with its first error. REQUIRES: `summary` was read from this log.
Result<void> ReplayLog(FileOps& ops, int fd, const LogSummary& summary,
                       const std::function<Result<void>(const LogRecord& record)>& apply);

}  // namespace gzipfs
