// Where another file was appended to a file: the place that its last tail was
// made for the part behind of.
#pragma once

#include <cstdint>
#include <optional>

#include "codec/member_index.h"

namespace gzipfs {

// One thread at a time.
class JoinSearch {
 public:
  // `claim` is what stands at the file's end like a tail.
  explicit JoinSearch(const std::optional<TailClaim>& claim) : claim_(claim) {}

  // A member begins here.
  void PassBoundary(uint64_t file_offset) {
    if (is_found_ || !claim_ || file_offset > claim_->summary.tail_offset) return;
    is_found_ = claim_->IsMadeFor(claim_->summary.tail_offset - file_offset);
    if (is_found_) start_ = file_offset;
  }
  bool is_found() const { return is_found_; }
  // File offset, once found; 0: the tail is the file's own.
  uint64_t start() const { return start_; }

 private:
  const std::optional<TailClaim> claim_;
  bool is_found_ = false;
  uint64_t start_ = 0;
};

}  // namespace gzipfs
