// A set of blocks of a file, kept as ranges: which blocks were zeroed.
//
// A value type, one thread at a time. Memory grows with the number of ranges that do
// not touch; whoever adds to it bounds that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>

namespace gzipfs {

class BlockRanges {
 public:
  // Blocks [begin, end), by their indexes.
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
    bool operator==(const Range&) const = default;
  };

  bool empty() const { return ends_.empty(); }
  size_t count() const { return ends_.size(); }

  // Adds [begin, end); ranges that touch become one.
  void Add(uint64_t begin, uint64_t end) {
    if (begin >= end) return;
    auto next = ends_.upper_bound(begin);
    if (next != ends_.begin() && std::prev(next)->second >= begin) --next;
    while (next != ends_.end() && next->first <= end) {
      begin = std::min(begin, next->first);
      end = std::max(end, next->second);
      next = ends_.erase(next);
    }
    ends_.emplace(begin, end);
  }

  void Add(const BlockRanges& others) {
    for (const auto& [begin, end] : others.ends_) Add(begin, end);
  }

  // Forgets block `begin` and all behind it.
  void CutAt(uint64_t begin) {
    ends_.erase(ends_.lower_bound(begin), ends_.end());
    if (!ends_.empty()) {
      uint64_t& last_end = std::prev(ends_.end())->second;
      last_end = std::min(last_end, begin);
    }
  }

  void Clear() { ends_.clear(); }

  // The first range that ends behind block `index`; nullopt when there is none.
  std::optional<Range> FindFrom(uint64_t index) const {
    auto next = ends_.upper_bound(index);
    if (next != ends_.begin() && std::prev(next)->second > index) --next;
    if (next == ends_.end()) return std::nullopt;
    return Range{next->first, next->second};
  }

  bool Contains(uint64_t index) const {
    const std::optional<Range> range = FindFrom(index);
    return range && range->begin <= index;
  }

  // Calls `take` with every range, in order.
  template <typename Take>
  void ForEach(Take take) const {
    for (const auto& [begin, end] : ends_) take(Range{begin, end});
  }

 private:
  std::map<uint64_t, uint64_t> ends_;  // by where they begin
};

}  // namespace gzipfs
