// Which members of a base are zeros, for lseek(2) and those who copy sparse files.
//
// Members of zeros are some of the smallest there are, and nearly all in a store are the
// same bytes: one of them is decoded, the others are compared with it.
#include <algorithm>

#include "fs/store/base_file.h"

namespace gzipfs {
namespace {

// Groups with more stored bytes are not looked into: it would cost reading the file.
constexpr uint64_t kMaxStoredShare = 16;        // of their plain bytes
constexpr uint64_t kAlwaysReadBytes = 64 * kKiB;
// Deflate makes 1,032 bytes of one at most; a member of zeros is about that.
constexpr uint64_t kLeastRatio = 512;
constexpr uint64_t kMemberOverheadBytes = 64;

}  // namespace

bool BaseFile::IsZeros(std::span<const std::byte> member, uint64_t plain_bytes) {
  if (member.size() > kMemberOverheadBytes + plain_bytes / kLeastRatio) return false;
  {
    MutexLock lock(mutex_);
    if (std::equal(member.begin(), member.end(), zero_member_.begin(), zero_member_.end())) {
      return true;
    }
  }
  std::vector<std::byte> plain(plain_bytes);
  if (!DecodeMember(member, plain)) return false;
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  if (!std::all_of(plain.begin(), plain.end(), is_zero)) return false;
  MutexLock lock(mutex_);
  zero_member_.assign(member.begin(), member.end());
  return true;
}

BaseFile::Stretch BaseFile::StretchAt(uint64_t plain_offset) {
  const std::optional<MemberGroup> group = Lookup(plain_offset);
  if (!group) return {~uint64_t{0}, false};
  const Stretch unknown{group->plain_offset + group->plain_bytes, false};
  if (group->file_bytes > std::max(kAlwaysReadBytes, group->plain_bytes / kMaxStoredShare)) {
    return unknown;
  }
  const Result<MemberList> members = WalkMembers(*group);
  if (!members) return unknown;
  std::vector<std::byte> stored(group->file_bytes);
  const Result<size_t> count = store_.ops().ReadAt(fd_->get(), group->file_offset, stored);
  if (!count || *count != stored.size()) return unknown;
  Stretch found{plain_offset, false};
  for (const MemberInfo& member : **members) {
    if (member.plain_bytes == 0 || member.plain_end() <= plain_offset) continue;
    const auto bytes = std::span<const std::byte>(stored).subspan(
        member.file_offset - group->file_offset, member.member_bytes);
    const bool is_hole = member.profile && IsZeros(bytes, member.plain_bytes);
    if (found.plain_end > plain_offset && is_hole != found.is_hole) break;
    found = {member.plain_end(), is_hole};
  }
  return found.plain_end > plain_offset ? found : unknown;
}

}  // namespace gzipfs
