// Files by their members: the layout without a tail, and what a tail said held
// against the members.
#include "codec/member_index.h"

namespace gzipfs {
namespace {

// Of the limit, what the list of foreign members may take; the groups they are
// alone in take a sixth of that.
constexpr uint64_t kForeignShareOfLimit = 4;

// Adds `member` at the end of the layout.
void AddMember(const MemberInfo& member, uint64_t limit_bytes, FileLayout& layout) {
  const uint64_t foreign_bytes = (layout.foreign.size() + 1) * sizeof(MemberInfo);
  if (member.profile) {
    layout.index.Append(member.plain_bytes, member.member_bytes);
  } else if (foreign_bytes <= limit_bytes / kForeignShareOfLimit) {
    layout.index.AppendAlone(member.plain_bytes, member.member_bytes);
    layout.foreign.push_back(member);
  } else {
    layout.index.Append(member.plain_bytes, member.member_bytes);
  }
  if (member.profile != layout.profile || !member.profile) layout.is_conforming = false;
}

// Adds the foreign member at the end of what was scanned, which ends early.
void AddDamaged(const ByteSource& source, const RestartsRef& restarts, FileLayout& layout) {
  const std::error_code error = restarts->error;
  const bool is_wrong_inside =
      error == DataError::kBadChecksum || error == DataError::kBadSize;
  const uint64_t file_offset = layout.index.file_bytes();
  const MemberInfo member{
      .plain_offset = layout.index.plain_bytes(),
      .file_offset = file_offset,
      .plain_bytes = restarts->plain_bytes + (is_wrong_inside ? 0 : 1),
      .member_bytes = source.Size() - file_offset,
      .header_bytes = static_cast<uint32_t>(restarts->deflate_offset - file_offset),
      .crc32 = 0,
      .profile = std::nullopt};
  layout.index.AppendAlone(member.plain_bytes, member.member_bytes);
  layout.foreign.push_back(member);
  layout.restarts.push_back(restarts);
  layout.damage = error;
  layout.is_conforming = false;
}

// Passes members up to `file_end`. kBadTail when none ends there, or their
// plain bytes do not end at `plain_end`; the device's error as it is.
Result<void> PassUpTo(MemberScanner& scanner, uint64_t file_end, uint64_t plain_end) {
  while (scanner.position() < file_end) {
    Result<std::optional<MemberInfo>> next = scanner.Next();
    if (!next) return Fail(next.error());
    if (!*next) break;
  }
  const bool fits = scanner.position() == file_end && scanner.plain_position() == plain_end;
  return fits ? Result<void>() : Fail(DataError::kBadTail);
}

}  // namespace

Result<FileLayout> ScanLayout(const ByteSource& source, uint64_t limit_bytes, ScanKeep keep) {
  FileLayout layout;
  uint64_t restarts_bytes = 0;
  MemberScanner scanner(source);
  if (keep == ScanKeep::kRestarts) scanner.RecordRestarts();
  for (bool is_first = true;; is_first = false) {
    Result<std::optional<MemberInfo>> next = scanner.Next();
    if (!next) {
      if (next.error().category() == std::system_category()) return Fail(next.error());
      const RestartsRef restarts = scanner.TakeRestarts();
      if (restarts && restarts->plain_bytes > 0) {
        AddDamaged(source, restarts, layout);
      } else {
        layout.rest = next.error();
      }
      break;
    }
    if (!*next) break;
    if (is_first) layout.profile = (*next)->profile;
    if (layout.index.group_count() >= limit_bytes / MemberIndex::kGroupMemoryBytes) {
      layout.rest = DataError::kTooLarge;
      break;
    }
    AddMember(**next, limit_bytes, layout);
    // Members behind so many are decoded from their start.
    RestartsRef restarts = scanner.TakeRestarts();
    if (restarts) restarts_bytes += restarts->MemoryBytes() + sizeof(RestartsRef);
    if (restarts && restarts_bytes <= limit_bytes) layout.restarts.push_back(std::move(restarts));
  }
  layout.valid_bytes = layout.index.file_bytes();
  return layout;
}

Result<std::vector<MemberInfo>> WalkGroup(const ByteSource& source, const MemberGroup& group) {
  if (group.dead_before > 0) {
    MemberScanner before(source, group.file_offset - group.dead_before, group.plain_offset,
                         group.file_offset);
    before.ExpectEmptyMembers();
    GZIPFS_TRY(PassUpTo(before, group.file_offset, group.plain_offset));
  }
  // One scanner for the group and what is dead behind it: a small tail comes
  // with the read for the last trailer.
  const uint64_t file_end = group.file_offset + group.file_bytes;
  const uint64_t plain_end = group.plain_offset + group.plain_bytes;
  std::vector<MemberInfo> members;
  MemberScanner scanner(source, group.file_offset, group.plain_offset,
                        file_end + group.dead_behind);
  while (scanner.position() < file_end) {
    Result<std::optional<MemberInfo>> next = scanner.Next();
    if (!next) return Fail(next.error());
    if (!*next) break;
    if (members.size() == kMaxWalkedMembers) return Fail(DataError::kBadTail);
    members.push_back(**next);
  }
  GZIPFS_TRY(PassUpTo(scanner, file_end, plain_end));
  scanner.ExpectEmptyMembers();
  GZIPFS_TRY(PassUpTo(scanner, file_end + group.dead_behind, plain_end));
  return members;
}

}  // namespace gzipfs
