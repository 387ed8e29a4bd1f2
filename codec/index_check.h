// Holds the index that a file's tail states against the members as they are.
//
// The members come by one after the other, from whatever walk is under way;
// every group that holds plain bytes must begin and end where a member does,
// at the same plain offset.
#pragma once

#include <cstdint>
#include <optional>

#include "codec/member_index.h"

namespace gzipfs {

// One thread at a time. `index` must outlive it.
class IndexCheck {
 public:
  explicit IndexCheck(const MemberIndex& index) : index_(index) {}

  // A member begins here. To be told in file order, the end of the last member
  // included.
  void PassBoundary(uint64_t file_offset, uint64_t plain_offset);

  // After the last boundary: true when every group was right and the sizes of
  // the whole file are, too.
  bool Agrees() const;

  // The first group with plain bytes that has not been seen to begin and end as
  // the index says; nullopt when all have.
  std::optional<size_t> FirstUnproven() const;
  // Goes on with group `group_index`; what was wrong before it is forgotten.
  void ResumeAt(size_t group_index);

 private:
  bool NextMark(uint64_t& file_offset, uint64_t& plain_offset);

  const MemberIndex& index_;
  size_t group_index_ = 0;    // of the next mark
  bool is_end_mark_ = false;  // the next mark is that group's end, not its start
  bool is_wrong_ = false;
  std::optional<size_t> first_wrong_;  // group
  uint64_t file_end_ = 0;
  uint64_t plain_end_ = 0;
};

}  // namespace gzipfs
