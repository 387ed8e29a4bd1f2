// What goes into a checkpoint's image, front to back: changed blocks, holes,
// and the old base's members as bytes wherever nothing changed.
#include <algorithm>

#include "fs/store/content_impl.h"
#include "fs/store/image_writer.h"

namespace gzipfs {

void ContentImpl::ComposeByEncoding(const Snapshot& snapshot, uint64_t begin, uint64_t end,
                                    ImageWriter& image) {
  while (begin < end) {
    const uint64_t next = std::min(end, RoundDown(begin, block_bytes_) + block_bytes_);
    image.AddPlain(
        [this, &snapshot](uint64_t plain_offset, std::span<std::byte> out) {
          return ReadSnapshot(snapshot, plain_offset, out);
        },
        begin, next - begin);
    begin = next;
  }
}

void ContentImpl::ComposeHole(uint64_t begin, uint64_t end, ImageWriter& image) {
  const std::vector<std::byte> zeros(block_bytes_);
  const auto add = [&](uint64_t plain_bytes, uint64_t count) {
    if (plain_bytes == 0 || count == 0) return;
    image.AddRepeated(EncodeBlock(profile_, store_.level(), std::span(zeros).first(plain_bytes)),
                      count);
  };
  const uint64_t first_end = std::min(RoundUp(begin, block_bytes_), end);
  const uint64_t last_begin = std::max(RoundDown(end, block_bytes_), first_end);
  add(first_end - begin, 1);
  add(block_bytes_, (last_begin - first_end) / block_bytes_);
  add(end - last_begin, 1);
}

// A changed block, up to `end` at most. What was compressed already is taken
// as it is.
Result<void> ContentImpl::ComposeBlock(const Snapshot& snapshot, const BlockPtr& block,
                                       uint64_t end, ImageWriter& image) {
  const uint64_t start = BlockStart(block->index);
  std::shared_ptr<const EncodedBlock> encoded;
  bool is_logged = false;
  {
    MutexLock lock(mutex_);
    const bool has_members =
        block->state == DirtyBlock::State::kLogged || block->state == DirtyBlock::State::kEncoded;
    if (has_members && block->encode_begin == 0 && start + block->encode_end == end) {
      encoded = block->encoded;
      is_logged = block->log != nullptr;
    }
  }
  if (!encoded) {
    ComposeByEncoding(snapshot, start, end, image);
    return {};
  }
  if (is_logged) {
    Result<EncodedBlock> fetched = FetchMembers(*block);
    if (!fetched) return Fail(fetched.error());
    encoded = std::make_shared<EncodedBlock>(std::move(*fetched));
  }
  image.AddEncoded(std::move(encoded));
  return {};
}

// One step of an unchanged range of the base; returns where it ends.
Result<uint64_t> ContentImpl::ComposeFromBase(const Snapshot& snapshot, uint64_t begin,
                                              uint64_t end, ImageWriter& image) {
  BaseFile& base = *snapshot.base;
  const std::optional<MemberGroup> group = base.FindGroup(begin);
  if (!group) return Fail(DataError::kBadTail);
  const uint64_t group_end = group->plain_offset + group->plain_bytes;
  // A group of full blocks moves as it is; others are looked into, so that
  // dead tails stay behind.
  const bool is_dense = group->plain_bytes >= kGroupMaxMembers / 2 * block_bytes_;
  if (base.is_conforming() && group->plain_offset == begin && group_end <= end && is_dense) {
    image.CopyGroup(base.fd(), *group);
    return group_end;
  }
  const uint64_t walk_end = std::min(group_end, end);
  Result<std::vector<MemberInfo>> members = base.Members(begin, walk_end);
  if (!members) return Fail(members.error());
  for (const MemberInfo& member : *members) {
    const bool is_whole = member.plain_offset == begin && member.plain_end() <= walk_end;
    if (is_whole && member.profile == profile_) {
      image.CopyMember(base.fd(), member);
      begin = member.plain_end();
    } else {
      const uint64_t member_end = std::min(member.plain_end(), walk_end);
      ComposeByEncoding(snapshot, begin, member_end, image);
      begin = member_end;
    }
  }
  return begin;
}

Result<void> ContentImpl::ComposeImage(const Snapshot& snapshot, ImageWriter& image) {
  // A tail that lies about what was overwritten would misplace what was not.
  if (snapshot.base_limit > 0) GZIPFS_TRY(snapshot.base->Verify());
  uint64_t at = 0;
  while (at < snapshot.plain_bytes) {
    if (store_.is_hurried()) return Fail(ECANCELED);
    const auto next = snapshot.blocks.lower_bound(at / block_bytes_);
    if (next != snapshot.blocks.end() && BlockStart(next->first) <= at) {
      const uint64_t end =
          std::min(BlockStart(next->first) + block_bytes_, snapshot.plain_bytes);
      GZIPFS_TRY(ComposeBlock(snapshot, next->second, end, image));
      at = end;
      continue;
    }
    uint64_t gap_end = snapshot.plain_bytes;
    if (next != snapshot.blocks.end()) gap_end = std::min(gap_end, BlockStart(next->first));
    const auto zeroed = snapshot.zeros.FindFrom(at / block_bytes_);
    const uint64_t zero_begin = zeroed ? BlockStart(zeroed->begin) : snapshot.base_limit;
    if (zeroed && zero_begin <= at && at < snapshot.base_limit) {
      gap_end = std::min(gap_end, BlockStart(zeroed->end));
    }
    if (at >= snapshot.base_limit || zero_begin <= at) {
      ComposeHole(at, gap_end, image);
      at = gap_end;
      continue;
    }
    Result<uint64_t> reached =
        ComposeFromBase(snapshot, at, std::min({gap_end, snapshot.base_limit, zero_begin}), image);
    if (!reached) return Fail(reached.error());
    if (*reached <= at) return Fail(DataError::kBadTail);
    at = *reached;
  }
  return {};
}

}  // namespace gzipfs
