// The in-memory half of the index: groups, and which of them a tail describes.
// Tails as bytes are in codec/tail.cc.
#include "codec/member_index.h"

#include <algorithm>
#include <cassert>

namespace gzipfs {

std::optional<MemberGroup> MemberIndex::Find(uint64_t plain_offset) const {
  if (plain_offset >= plain_bytes_) return std::nullopt;
  auto behind = std::upper_bound(
      groups_.begin(), groups_.end(), plain_offset,
      [](uint64_t offset, const Start& start) { return offset < start.plain_offset; });
  assert(behind != groups_.begin());
  const auto group_index = static_cast<size_t>(behind - groups_.begin()) - 1;
  MemberGroup group = GroupAt(group_index);
  group.dead_before = DeadBefore(group_index);
  group.dead_behind = DeadBehind(group_index);
  return group;
}

uint64_t MemberIndex::FileOffsetOf(size_t group_index) const {
  return group_index < groups_.size() ? groups_[group_index].file_offset : file_bytes_;
}

// The first group from `group_index` on that is a tail of the chain, or
// group_count(). Whoever read the index from them has seen each of their
// members; in a large file they are large.
size_t MemberIndex::NextTail(size_t group_index) const {
  const auto tail = std::lower_bound(
      tails_.begin(), tails_.end(), group_index,
      [](const Coverage& coverage, size_t index) { return coverage.end_group < index; });
  return tail == tails_.end() ? groups_.size() : tail->end_group;
}

uint64_t MemberIndex::DeadBehind(size_t group_index) const {
  size_t end = group_index + 1;
  const uint64_t file_end = FileOffsetOf(end);
  while (end < groups_.size() && GroupAt(end).plain_bytes == 0) ++end;
  if (end < groups_.size()) {
    end = std::min(end, NextTail(group_index + 1));
  } else if (ends_with_tail_ && !tails_.empty()) {
    end = tails_.back().end_group;
  }
  return FileOffsetOf(end) - file_end;
}

// Of what is between two groups with plain bytes, the first looks at what is
// before a tail of the chain, and the second at what is behind it.
uint64_t MemberIndex::DeadBefore(size_t group_index) const {
  size_t begin = group_index;
  while (begin > 0 && GroupAt(begin - 1).plain_bytes == 0) --begin;
  if (begin > 0) begin = std::min(NextTail(begin) + 1, group_index);
  return FileOffsetOf(group_index) - FileOffsetOf(begin);
}

MemberGroup MemberIndex::GroupAt(size_t group_index) const {
  const Start start = groups_[group_index];
  const bool is_last = group_index + 1 == groups_.size();
  const Start end = is_last ? Start{plain_bytes_, file_bytes_} : groups_[group_index + 1];
  return {.plain_offset = start.plain_offset,
          .plain_bytes = end.plain_offset - start.plain_offset,
          .file_offset = start.file_offset,
          .file_bytes = end.file_offset - start.file_offset};
}

void MemberIndex::StartGroup() {
  groups_.push_back({plain_bytes_, file_bytes_});
  last_group_members_ = 0;
}

void MemberIndex::Append(uint64_t plain_bytes, uint64_t member_bytes) {
  bool has_room = !groups_.empty() && last_group_members_ != kUnknownMembers &&
                  last_group_members_ < kGroupMaxMembers;
  if (has_room) {
    const Start& start = groups_.back();
    has_room = plain_bytes_ - start.plain_offset + plain_bytes <= kGroupMaxBytes &&
               file_bytes_ - start.file_offset + member_bytes <= kGroupMaxBytes;
  }
  if (!has_room) StartGroup();
  ++last_group_members_;
  plain_bytes_ += plain_bytes;
  file_bytes_ += member_bytes;
  ends_with_tail_ = false;
}

void MemberIndex::AppendAlone(uint64_t plain_bytes, uint64_t member_bytes) {
  StartGroup();
  plain_bytes_ += plain_bytes;
  file_bytes_ += member_bytes;
  last_group_members_ = kUnknownMembers;
  ends_with_tail_ = false;
}

// A new tail takes over the groups of those before it that are no longer than
// itself. So a file that is appended to n times keeps a chain of log2(n) tails
// and rewrites each entry log2(n) times.
MemberIndex::TailPlan MemberIndex::PlanTail() const {
  constexpr size_t kAlwaysMerged = 8;
  if (groups_.empty()) return {.has_entries = false};
  if (groups_.size() == 1 && tails_.empty() && last_group_members_ <= kGroupMaxMembers) {
    return {.has_entries = false};
  }
  TailPlan plan{.kept_tails = tails_.size()};
  if (plan.kept_tails > 0) plan.first_group = tails_.back().end_group + 1;
  while (plan.kept_tails > 0) {
    const Coverage& last = tails_[plan.kept_tails - 1];
    const size_t own_count = groups_.size() - plan.first_group;
    if (last.GroupCount() > std::max(own_count, kAlwaysMerged)) break;
    plan.first_group = last.first_group;
    --plan.kept_tails;
  }
  return plan;
}

void MemberIndex::AppendTail(size_t tail_bytes) {
  constexpr uint64_t kPlainTailMembers = 3;
  const TailPlan plan = PlanTail();
  if (!plan.has_entries) {
    // One that does not fit into the group is a group for the tail after it.
    if (groups_.empty() || file_bytes_ + tail_bytes > kGroupMaxBytes) StartGroup();
    last_group_members_ += kPlainTailMembers;
  } else {
    tails_.resize(plan.kept_tails);
    tails_.push_back({plan.first_group, groups_.size()});
    StartGroup();
    last_group_members_ = kUnknownMembers;
  }
  file_bytes_ += tail_bytes;
  ends_with_tail_ = true;
}

void MemberIndex::CutAt(uint64_t file_offset) {
  if (file_offset >= file_bytes_) return;
  while (!groups_.empty()) {
    const Start start = groups_.back();
    groups_.pop_back();
    plain_bytes_ = start.plain_offset;
    file_bytes_ = start.file_offset;
    if (start.file_offset <= file_offset) break;
  }
  while (!tails_.empty() && tails_.back().end_group >= groups_.size()) tails_.pop_back();
  last_group_members_ = kUnknownMembers;
  // What comes to the end by the cut may be a tail that was dead.
  ends_with_tail_ = !tails_.empty() && tails_.back().end_group + 1 == groups_.size();
}

}  // namespace gzipfs
