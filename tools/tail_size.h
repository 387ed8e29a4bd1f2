// The plain size of a stored file by its tail alone, without a scan.
#pragma once

#include <cstdint>
#include <optional>

#include "codec/member_index.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// Of the file `fd`, `file_bytes` long; nullopt where no tail of ours ends it, or it cannot
// be read. An empty file is empty.
inline std::optional<uint64_t> TailPlainBytes(int fd, uint64_t file_bytes) {
  if (file_bytes == 0) return 0;
  const FileSource source(RealFileOps(), fd, file_bytes);
  const Result<std::optional<TailSummary>> tail = ReadTailSummary(source, file_bytes);
  if (!tail || !*tail) return std::nullopt;
  return (*tail)->plain_bytes;
}

}  // namespace gzipfs
