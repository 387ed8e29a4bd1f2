// Finding and decoding the members of a base file.
#include <algorithm>
#include <cstring>

#include "codec/member_search.h"
#include "fs/store/base_file.h"
#include "fs/store/decode_batch.h"

namespace gzipfs {
namespace {

constexpr size_t kMaxCachedSalvages = 4;
// Members that a read works on at once: a request may be for a million members
// of a byte each.
constexpr size_t kMaxReadMembers = 16 * 1024;
constexpr uint64_t kMaxSpanBytes = 2 * kMiB;      // stored bytes of one pread

// Plain bytes [begin, end) of a request, and the member that has them.
struct Need {
  const MemberInfo* member;
  std::span<std::byte> out;
  uint64_t skip;  // into the member
  bool IsWhole() const { return skip == 0 && out.size() == member->plain_bytes; }
};

Need NeedOf(const MemberInfo& member, uint64_t plain_offset, std::span<std::byte> out) {
  const uint64_t begin = std::max(plain_offset, member.plain_offset);
  const uint64_t end = std::min(plain_offset + out.size(), member.plain_end());
  return {&member, out.subspan(begin - plain_offset, end - begin), begin - member.plain_offset};
}

}  // namespace

std::optional<MemberGroup> BaseFile::Lookup(uint64_t plain_offset) const {
  MutexLock lock(mutex_);
  std::optional<MemberGroup> group = index_.Find(plain_offset);
  if (group && index_state_ != IndexState::kClaimed) group->dead_before = group->dead_behind = 0;
  return group;
}

// The members of `group` if they are known: null if not.
MemberList BaseFile::CachedMembers(const MemberGroup& group) {
  MutexLock lock(mutex_);
  if (MemberList walked = walks_.Find(group)) return walked;
  const auto foreign = std::lower_bound(
      foreign_->begin(), foreign_->end(), group.file_offset,
      [](const MemberInfo& member, uint64_t offset) { return member.file_offset < offset; });
  if (foreign == foreign_->end() || foreign->file_offset != group.file_offset) return nullptr;
  return std::make_shared<const std::vector<MemberInfo>>(1, *foreign);
}

Result<MemberList> BaseFile::WalkMembers(const MemberGroup& group) {
  if (MemberList known = CachedMembers(group)) return known;
  const FileSource source(store_.ops(), fd_->get(),
                          group.file_offset + group.file_bytes + group.dead_behind);
  Result<std::vector<MemberInfo>> members = WalkGroup(source, group);
  if (!members) return Fail(members.error());
  members->shrink_to_fit();
  auto list = std::make_shared<const std::vector<MemberInfo>>(std::move(*members));
  MutexLock lock(mutex_);
  walks_.Add(group, list);
  return MemberList(list);
}

// What is left of a damaged group: its members, with a gap where some are lost.
Result<MemberList> BaseFile::SalvageMembers(uint64_t index_id, const MemberGroup& group) {
  {
    MutexLock lock(mutex_);
    if (index_id_ != index_id || index_state_ != IndexState::kDamaged) {
      return Fail(DataError::kBadTail);
    }
    for (const Salvage& salvage : salvages_) {
      if (salvage.group.file_offset == group.file_offset) return salvage.members;
    }
  }
  const FileSource source(store_.ops(), fd_->get(), group.file_offset + group.file_bytes);
  Result<std::vector<MemberInfo>> members = SalvageGroup(source, group);
  if (!members) return Fail(members.error());
  auto list = std::make_shared<const std::vector<MemberInfo>>(std::move(*members));
  MutexLock lock(mutex_);
  if (index_id_ == index_id) salvages_.push_front({group, list});
  if (salvages_.size() > kMaxCachedSalvages) salvages_.pop_back();
  return MemberList(list);
}

// The members of a group; what can be had of them where it is damaged. Fails
// when the index is another one then.
Result<MemberList> BaseFile::MembersOf(uint64_t index_id, const MemberGroup& group) {
  Result<MemberList> members = WalkMembers(group);
  if (members || members.error().category() != DataErrorCategory()) return members;
  GZIPFS_TRY(Mend(index_id, group));
  return SalvageMembers(index_id, group);
}

// The members that hold plain bytes of [plain_begin, plain_end), about
// `max_members` of them. An index that turns out to be wrong is mended; then,
// too, this fails, and the caller begins again with the new one. `index_id` is
// from before; the result is nothing worth if it has changed afterwards.
Result<std::vector<MemberInfo>> BaseFile::Collect(uint64_t index_id, uint64_t plain_begin,
                                                  uint64_t plain_end, size_t max_members) {
  std::vector<MemberInfo> found;
  uint64_t at = plain_begin;
  while (at < plain_end && found.size() < max_members) {
    std::optional<MemberGroup> group = Lookup(at);
    if (!group) return Fail(DataError::kBadTail);
    const Result<MemberList> members = MembersOf(index_id, *group);
    if (!members) return Fail(members.error());
    auto member = std::partition_point(
        (*members)->begin(), (*members)->end(),
        [at](const MemberInfo& candidate) { return candidate.plain_end() <= at; });
    for (; member != (*members)->end() && member->plain_offset < plain_end; ++member) {
      if (member->plain_bytes == 0) continue;
      if (member->plain_offset > at) return Fail(DataError::kBadTail);  // lost
      found.push_back(*member);
      at = member->plain_end();
    }
    const uint64_t group_end = group->plain_offset + group->plain_bytes;
    if (at < std::min(group_end, plain_end)) return Fail(DataError::kBadTail);
    at = group_end;
  }
  return found;
}

Result<std::vector<MemberInfo>> BaseFile::Members(uint64_t plain_begin, uint64_t plain_end,
                                                  size_t max_members) {
  plain_end = std::min(plain_end, plain_bytes());
  for (;;) {
    const uint64_t before = index_id();
    Result<std::vector<MemberInfo>> members =
        Collect(before, plain_begin, plain_end, max_members);
    if (index_id() != before) continue;
    if (members) GZIPFS_TRY(CheckSize());
    return members;
  }
}

// What lies behind the size that was told is missed by whoever reads up to
// there: that is no end of the file to be shown.
Result<void> BaseFile::CheckEnd(uint64_t plain_end) const {
  MutexLock lock(mutex_);
  const bool goes_on = wrong_plain_bytes_ && index_.plain_bytes() > *wrong_plain_bytes_;
  return goes_on && plain_end >= *wrong_plain_bytes_ ? Fail(ESTALE) : Result<void>();
}

Result<void> BaseFile::Read(uint64_t plain_offset, std::span<std::byte> out) {
  if (out.empty()) return {};
  for (;;) {
    const uint64_t before = index_id();
    Result<void> done = ReadBy(before, plain_offset, out);
    // Bytes of another file at the old places would look like bad members, or good ones.
    if (const Result<void> unchanged = CheckUnchanged(); !unchanged) return unchanged;
    if (done) done = CheckEnd(plain_offset + out.size());
    if (index_id() == before) return done;
  }
}

Result<void> BaseFile::ReadBy(uint64_t index_id, uint64_t plain_offset,
                              std::span<std::byte> out) {
  while (!out.empty()) {
    const uint64_t plain_end = plain_offset + out.size();
    const Result<std::vector<MemberInfo>> members =
        Collect(index_id, plain_offset, plain_end, kMaxReadMembers);
    if (!members) return Fail(members.error());
    const size_t count = std::min(plain_end, members->back().plain_end()) - plain_offset;
    GZIPFS_TRY(ReadRuns(index_id, *members, plain_offset, out.first(count)));
    plain_offset += count;
    out = out.subspan(count);
  }
  return {};
}

// What is known of a foreign member; null when nothing is.
RestartsRef BaseFile::RestartsOf(const MemberInfo& member) const {
  const auto found = std::partition_point(
      restarts_.begin(), restarts_.end(), [&member](const RestartsRef& restarts) {
        return restarts->file_offset < member.file_offset;
      });
  const bool is_it = found != restarts_.end() && (*found)->file_offset == member.file_offset;
  return is_it ? *found : nullptr;
}

// Runs of members whose stored bytes lie together are read by one pread.
Result<void> BaseFile::ReadRuns(uint64_t index_id, std::span<const MemberInfo> members,
                                uint64_t plain_offset, std::span<std::byte> out) {
  size_t begin = 0;
  while (begin < members.size()) {
    const MemberInfo& first = members[begin];
    size_t end = begin + 1;
    if (first.profile) {
      while (end < members.size() && members[end].profile &&
             members[end].file_end() - first.file_offset <= kMaxSpanBytes) {
        ++end;
      }
    }
    const auto run = members.subspan(begin, end - begin);
    const Need head = NeedOf(run.front(), plain_offset, out);
    GZIPFS_TRY(first.profile ? ReadMembers(run, plain_offset, out)
                             : foreign_reader_.Read(first, RestartsOf(first), index_id, head.skip,
                                                    head.out));
    begin = end;
  }
  return {};
}

// Members that are wanted whole are decoded straight into `out`; the others
// (at most the first and the last) into the cache.
Result<void> BaseFile::ReadMembers(std::span<const MemberInfo> members, uint64_t plain_offset,
                                   std::span<std::byte> out) {
  std::vector<Need> needs;
  // Of blocks that others may want parts of at the same time: one decodes them.
  std::vector<std::unique_ptr<BlockCache::Claim>> claims;
  const uint64_t base_id = base_id_;
  BlockCache& cache = store_.cache();
  for (const MemberInfo& member : members) {
    const Need need = NeedOf(member, plain_offset, out);
    std::unique_ptr<BlockCache::Claim> claim;
    const CachedBlock cached = need.IsWhole()
                                   ? cache.Get(base_id, member.file_offset)
                                   : cache.GetOrClaim(base_id, member.file_offset, claim);
    if (claim) claims.push_back(std::move(claim));
    if (cached && cached->size() == member.plain_bytes) {
      std::memcpy(need.out.data(), cached->data() + need.skip, need.out.size());
    } else {
      needs.push_back(need);
    }
  }
  if (needs.empty()) return {};

  const uint64_t file_begin = needs.front().member->file_offset;
  const uint64_t file_end = needs.back().member->file_end();
  thread_local std::vector<std::byte> stored;
  if (stored.size() < file_end - file_begin) stored.resize(file_end - file_begin);
  const std::span bytes(stored.data(), file_end - file_begin);
  Result<size_t> count = store_.ops().ReadAt(fd_->get(), file_begin, bytes);
  if (!count) return Fail(count.error());
  if (*count != bytes.size()) return Fail(DataError::kTruncated);

  std::vector<DecodePart> parts;
  std::vector<std::pair<Need, std::shared_ptr<std::vector<std::byte>>>> partial;
  for (const Need& need : needs) {
    const auto member = bytes.subspan(need.member->file_offset - file_begin,
                                      need.member->member_bytes);
    if (need.IsWhole()) {
      parts.push_back({member, need.out});
    } else {
      partial.emplace_back(need,
                           std::make_shared<std::vector<std::byte>>(need.member->plain_bytes));
      parts.push_back({member, *partial.back().second});
    }
  }
  GZIPFS_TRY(DecodeMembers(store_.pool(), std::move(parts)));
  for (const Need& need : needs) {
    if (!need.IsWhole() || need.out.size() != block_bytes_) continue;
    store_.seen_members().Note(need.out, *need.member->profile, seen_base_,
                               need.member->file_offset,
                               static_cast<uint32_t>(need.member->member_bytes));
  }
  for (auto& [need, block] : partial) {
    std::memcpy(need.out.data(), block->data() + need.skip, need.out.size());
    cache.Put(base_id, need.member->file_offset, std::move(block));
  }
  return {};
}

}  // namespace gzipfs
