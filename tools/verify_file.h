// Verifies one gzip file as a whole: every member, the tail, the index.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codec/codec_pool.h"

namespace gzipfs {

struct FileVerdict {
  enum class Kind : uint8_t {
    kGood,
    kNoted,       // nothing is wrong, but `reason` is worth knowing
    kDamaged,
    kUnreadable,  // `reason` is why it cannot be looked at
    kGone,        // it was removed meanwhile
    kInterrupted,
  };
  Kind kind = Kind::kGood;
  std::string reason;                 // what is wrong, and where
  std::vector<std::string> further;   // more of it, each a line of its own
  uint64_t plain_bytes = 0;           // of complete members
  uint64_t file_bytes = 0;
  bool is_torn_end = false;           // kDamaged, by a write that did not get to its end
  bool may_need_repair = false;       // fs/store/repair.h has something to decide
};

struct VerifyOptions {
  // Decodes everything once more with zlib, and looks for members behind damage.
  bool is_deep = false;
  // Whether a mount may be writing the file; asked when there is damage, which is
  // then believed when it is seen twice, and a torn end when the file has not
  // changed for a minute. May be null.
  std::function<bool()> is_in_use = nullptr;
  // Ends the work with kInterrupted as soon as it returns true; may be null.
  bool (*is_interrupted)() = nullptr;
};

// Decodes all of `path` with the workers of `pool`, or on this thread when
// that is null, and compares tail and index with what was found. A file that
// changes meanwhile is looked at again, and noted when it does not stop. Adds
// the file's bytes, as many as there were at first, to `done_bytes` as it goes.
// Thread-safe.
FileVerdict VerifyFile(const std::string& path, CodecPool* pool,
                       std::atomic<uint64_t>& done_bytes, const VerifyOptions& options = {});

}  // namespace gzipfs
