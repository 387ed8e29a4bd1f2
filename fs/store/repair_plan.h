// What a stored file needs, decided by reading alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/base/byte_source.h"
#include "codec/base/result.h"
#include "codec/gzip_format.h"

namespace gzipfs {

struct RepairPlan {
  std::string obstacle;       // why nothing may be done; empty: what follows is to be done
  bool is_foreign = false;    // some member is; then nothing is to be done
  uint64_t members_end = 0;   // file bytes of complete members; what is behind goes
  bool cuts_rest = false;
  std::vector<std::byte> tail;  // to stand at members_end, or alone in an image; empty: none
  bool needs_image = false;   // there are members, but no plain bytes
  uint64_t plain_bytes = 0;

  bool is_needed() const { return cuts_rest || !tail.empty(); }
};

// Reads all of `file`; a tail that contradicts the members makes it decode all
// of them, too. `empty_profile` and `empty_block_bytes` are for a file without
// any member. Errors are the device's.
Result<RepairPlan> PlanRepair(const ByteSource& file, Profile empty_profile,
                              uint64_t empty_block_bytes);

}  // namespace gzipfs
