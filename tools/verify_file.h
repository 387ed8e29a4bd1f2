// Verifies one gzip file as a whole: every member, the tail, the index.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "codec/codec_pool.h"

namespace gzipfs {

struct FileVerdict {
  // kNoted: nothing is wrong, but `reason` is worth knowing.
  enum class Kind : uint8_t { kGood, kNoted, kDamaged, kUnreadable };
  Kind kind = Kind::kGood;
  std::string reason;         // what is wrong, and where
  uint64_t plain_bytes = 0;   // of complete members
  uint64_t file_bytes = 0;
};

// Decodes all of `path` with the workers of `pool`, or on this thread when
// that is null, and compares tail and index with what was found. Adds the file
// bytes it has done to `done_bytes` as it goes. Thread-safe.
FileVerdict VerifyFile(const std::string& path, CodecPool* pool,
                       std::atomic<uint64_t>& done_bytes);

}  // namespace gzipfs
