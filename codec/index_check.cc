// Groups without plain bytes (dead tails) are never looked up and may begin
// anywhere: a long one takes several entries.
#include "codec/index_check.h"

namespace gzipfs {

// The next place where a boundary must be; false when there is none left.
bool IndexCheck::NextMark(uint64_t& file_offset, uint64_t& plain_offset) {
  for (; group_index_ < index_.group_count(); ++group_index_, is_end_mark_ = false) {
    const MemberGroup group = index_.GroupAt(group_index_);
    if (group.plain_bytes == 0) continue;
    file_offset = group.file_offset + (is_end_mark_ ? group.file_bytes : 0);
    plain_offset = group.plain_offset + (is_end_mark_ ? group.plain_bytes : 0);
    return true;
  }
  return false;
}

void IndexCheck::PassBoundary(uint64_t file_offset, uint64_t plain_offset) {
  file_end_ = file_offset;
  plain_end_ = plain_offset;
  uint64_t mark_file_offset = 0;
  uint64_t mark_plain_offset = 0;
  while (NextMark(mark_file_offset, mark_plain_offset) && mark_file_offset <= file_offset) {
    if (mark_file_offset != file_offset || mark_plain_offset != plain_offset) {
      is_wrong_ = true;
      if (!first_wrong_) first_wrong_ = group_index_;
    }
    if (is_end_mark_) ++group_index_;
    is_end_mark_ = !is_end_mark_;
  }
}

bool IndexCheck::Agrees() const {
  return !is_wrong_ && file_end_ == index_.file_bytes() && plain_end_ == index_.plain_bytes();
}

std::optional<size_t> IndexCheck::FirstUnproven() const {
  if (first_wrong_) return first_wrong_;
  for (size_t i = group_index_; i < index_.group_count(); ++i) {
    if (index_.GroupAt(i).plain_bytes > 0) return i;
  }
  return std::nullopt;
}

void IndexCheck::ResumeAt(size_t group_index) {
  group_index_ = group_index;
  is_end_mark_ = is_wrong_ = false;
  first_wrong_.reset();
}

}  // namespace gzipfs
