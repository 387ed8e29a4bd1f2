// Which bytes of a block have been written: a sorted set of disjoint ranges.
//
// Nearly always one range; a value type, one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gzipfs {

// Bytes [begin, end) of a block.
struct Extent {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool operator==(const Extent&) const = default;
};

class ExtentSet {
 public:
  const std::vector<Extent>& extents() const { return extents_; }
  bool empty() const { return extents_.empty(); }
  uint32_t first_byte() const { return extents_.front().begin; }
  uint32_t end_byte() const { return extents_.back().end; }

  // Adds [begin, end); touching ranges become one.
  void Add(uint32_t begin, uint32_t end) {
    if (begin >= end) return;
    auto first = std::find_if(extents_.begin(), extents_.end(),
                              [begin](const Extent& extent) { return extent.end >= begin; });
    auto last = first;
    for (; last != extents_.end() && last->begin <= end; ++last) {
      begin = std::min(begin, last->begin);
      end = std::max(end, last->end);
    }
    first = extents_.erase(first, last);
    extents_.insert(first, {begin, end});
  }

  // Forgets everything at and behind `begin`.
  void CutAt(uint32_t begin) {
    while (!extents_.empty() && extents_.back().begin >= begin) extents_.pop_back();
    if (!extents_.empty()) extents_.back().end = std::min(extents_.back().end, begin);
  }

  bool Covers(uint32_t begin, uint32_t end) const {
    return std::any_of(extents_.begin(), extents_.end(), [=](const Extent& extent) {
      return extent.begin <= begin && end <= extent.end;
    });
  }

  // [begin, end) cut into pieces that are in the set and pieces that are not.
  struct Piece {
    uint32_t begin;
    uint32_t end;
    bool is_covered;
  };
  std::vector<Piece> Pieces(uint32_t begin, uint32_t end) const {
    std::vector<Piece> pieces;
    for (const Extent& extent : extents_) {
      if (extent.end <= begin) continue;
      if (extent.begin >= end || begin >= end) break;
      if (extent.begin > begin) pieces.push_back({begin, extent.begin, false});
      begin = std::max(begin, extent.begin);
      const uint32_t covered_end = std::min(end, extent.end);
      pieces.push_back({begin, covered_end, true});
      begin = covered_end;
    }
    if (begin < end) pieces.push_back({begin, end, false});
    return pieces;
  }

 private:
  std::vector<Extent> extents_;
};

}  // namespace gzipfs
