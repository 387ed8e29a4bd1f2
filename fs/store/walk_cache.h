// The members of the groups of one base file that were walked last, so that reading at
// random need not walk a group again for each block of it.
//
// Bounded in members; least recently used ones go first.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "codec/member_index.h"
#include "codec/member_scanner.h"

namespace gzipfs {

using MemberList = std::shared_ptr<const std::vector<MemberInfo>>;

// Thread-compatible: guarded by its owner's lock.
class WalkCache {
 public:
  // What it may take, but for one group that is larger by itself: 500 groups of full
  // blocks, which are a GiB of plain bytes.
  static constexpr size_t kMaxBytes = 1 << 20;

  // The members of `group`, or null. All of it must be the same: another index may have the
  // same bytes of the file at another place.
  MemberList Find(const MemberGroup& group) {
    const auto found = by_offset_.find(group.file_offset);
    if (found == by_offset_.end() || !IsSame(found->second->group, group)) return nullptr;
    recent_.splice(recent_.begin(), recent_, found->second);
    return recent_.front().members;
  }

  // Takes the place of what is there for the group's first byte.
  void Add(const MemberGroup& group, MemberList members) {
    if (const auto found = by_offset_.find(group.file_offset); found != by_offset_.end()) {
      Remove(found->second);
    }
    member_count_ += members->size();
    recent_.push_front({group, std::move(members)});
    by_offset_.emplace(group.file_offset, recent_.begin());
    while (recent_.size() > 1 && member_count_ * sizeof(MemberInfo) > kMaxBytes) {
      Remove(std::prev(recent_.end()));
    }
  }

  void Clear() {
    by_offset_.clear();
    recent_.clear();
    member_count_ = 0;
  }

 private:
  struct Walk {
    MemberGroup group;
    MemberList members;
  };
  using Place = std::list<Walk>::iterator;

  static bool IsSame(const MemberGroup& a, const MemberGroup& b) {
    return a.file_offset == b.file_offset && a.file_bytes == b.file_bytes &&
           a.plain_offset == b.plain_offset && a.plain_bytes == b.plain_bytes;
  }
  void Remove(Place walk) {
    member_count_ -= walk->members->size();
    by_offset_.erase(walk->group.file_offset);
    recent_.erase(walk);
  }

  std::list<Walk> recent_;  // most recently used first
  std::unordered_map<uint64_t, Place> by_offset_;  // by the group's file offset
  size_t member_count_ = 0;                        // of all of them
};

}  // namespace gzipfs
