// The order of the questions matters: what is damaged rather than torn, or may
// be somebody else's, ends the plan before anything is proposed.
#include "fs/store/repair_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "codec/index_check.h"
#include "codec/member_header.h"
#include "codec/member_index.h"
#include "codec/member_search.h"
#include "fs/store/base_rest.h"

namespace gzipfs {
namespace {

// A tail of a TiB is 15 MB.
constexpr uint64_t kMaxBrokenTailBytes = 64 * kMiB;
// So many bytes of an empty member may be others and it is still seen to be one.
constexpr size_t kMaxBrokenBytes = 2;

// A file as it will be when it has been cut.
class EndOfMembers final : public ByteSource {
 public:
  EndOfMembers(const ByteSource& file, uint64_t end) : file_(file), end_(end) {}
  Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= end_) return 0;
    return file_.ReadAt(offset, out.first(std::min<uint64_t>(out.size(), end_ - offset)));
  }
  uint64_t Size() const override { return end_; }

 private:
  const ByteSource& file_;
  const uint64_t end_;
};

// What a walk over the members tells that the layout does not.
struct Walked {
  bool has_tail_members = false;  // ours, dead or not
  bool all_decode = true;
  uint64_t largest_plain_bytes = 0;
};

Result<Walked> WalkMembersUpTo(const ByteSource& file, uint64_t members_end, bool decodes,
                               IndexCheck* index_check) {
  Walked walked;
  MemberScanner scanner(file, 0, 0, members_end);
  for (;;) {
    if (index_check) index_check->PassBoundary(scanner.position(), scanner.plain_position());
    const Result<std::optional<MemberInfo>> member = scanner.Next();
    if (!member) return Fail(member.error());
    if (!*member) return walked;
    const MemberInfo& info = **member;
    if (info.is_empty_shape && info.payload != kEofPayload) walked.has_tail_members = true;
    walked.largest_plain_bytes = std::max(walked.largest_plain_bytes, info.plain_bytes);
    if (!decodes) continue;
    const Result<bool> is_good = Decodes(file, info);
    if (!is_good) return Fail(is_good.error());
    walked.all_decode = walked.all_decode && *is_good;
  }
}

// How many bytes of `slot` are not those of an empty member of ours.
size_t OtherBytes(Profile profile, std::span<const std::byte> slot) {
  Payload payload;
  std::copy_n(&slot[kPayloadOffset], kPayloadBytes, payload.begin());
  std::array<std::byte, EmptyMemberBytes(Profile::kLarge)> ours;
  EncodeEmptyMember(profile, payload, ours);
  size_t other_bytes = 0;
  for (size_t i = 0; i < slot.size(); ++i) other_bytes += slot[i] != ours[i] ? 1 : 0;
  return other_bytes;
}

// Where the first damaged member of the tail at the file's end begins; the
// file's end when none is damaged. Such a member is derived and has no plain
// byte, but gzip stumbles over it.
Result<uint64_t> FindBrokenTail(const ByteSource& file, Profile profile) {
  const size_t slot_bytes = EmptyMemberBytes(profile);
  uint64_t broken = file.Size();
  uint64_t end = file.Size();
  std::array<std::byte, EmptyMemberBytes(Profile::kLarge)> buffer;
  const auto slot = std::span(buffer).first(slot_bytes);
  while (end >= slot_bytes && file.Size() - end < kMaxBrokenTailBytes) {
    const Result<size_t> count = file.ReadAt(end - slot_bytes, slot);
    if (!count) return Fail(count.error());
    const size_t other_bytes = OtherBytes(profile, slot);
    if (*count != slot_bytes || other_bytes > kMaxBrokenBytes) break;
    end -= slot_bytes;
    if (other_bytes > 0) broken = end;
  }
  return broken;
}

// Why the rest must stay; empty when it may be cut off.
Result<std::string> ObstacleInRest(const ByteSource& file, const FileLayout& layout) {
  const uint64_t begin = layout.valid_bytes;
  const Result<BaseRest> kind = ClassifyRest(file, layout);
  if (!kind) return Fail(kind.error());
  const Result<MemberSearch> search =
      FindMembers(file, begin, file.Size(), SearchFor::kAnyGzip);
  if (!search) return Fail(search.error());
  if (search->member_count() > 0) {
    return fmt::format("{} readable member{} behind file offset {}: nothing is cut off",
                       search->member_count(), search->member_count() == 1 ? " is" : "s are",
                       begin);
  }
  if (search->gave_up) return std::string("too much behind its members looks like more of them");
  const Result<bool> is_member = IsMemberWithBadHeader(file, begin);
  if (!is_member) return Fail(is_member.error());
  const bool is_torn = *kind == BaseRest::kTorn || *kind == BaseRest::kGarbage;
  if (*is_member || !is_torn) {
    return fmt::format("a damaged member begins at file offset {}, and damaged members stay",
                       begin);
  }
  return std::string();
}

// The same of the file as a whole.
Result<std::string> ObstacleToCut(const ByteSource& file, const FileLayout& by_tail,
                                  const FileLayout& scan) {
  if (!scan.rest) return std::string();
  if (scan.rest == DataError::kTooLarge) {
    return std::string("it is too complex to be looked at as a whole");
  }
  if (by_tail.has_tail) return std::string("its index leads past the damage: all else can be read");
  return ObstacleInRest(file, scan);
}

uint64_t BlockBytesFor(Profile profile, const FileLayout& by_tail, uint64_t largest_plain_bytes) {
  if (profile == Profile::kBgzf) return kBgzfBlockBytes;
  if (by_tail.block_bytes >= kMinLargeBlockBytes) return by_tail.block_bytes;
  return std::clamp(std::bit_ceil(largest_plain_bytes), kMinLargeBlockBytes,
                    kMaxLargeBlockBytes);
}

// Adds the tail that the file needs once its rest is gone.
Result<void> PlanTail(const ByteSource& file, const FileLayout& scan, RepairPlan& plan) {
  const EndOfMembers members(file, plan.members_end);
  const Result<FileLayout> by_tail = ReadLayout(members);
  if (!by_tail) return Fail(by_tail.error());
  IndexCheck index_check(by_tail->index);
  const Result<Walked> walked =
      WalkMembersUpTo(file, plan.members_end, /*decodes=*/false, &index_check);
  if (!walked) return Fail(walked.error());
  if (by_tail->has_tail && index_check.Agrees()) return {};
  if (by_tail->has_tail) {
    const Result<Walked> decoded =
        WalkMembersUpTo(file, plan.members_end, /*decodes=*/true, nullptr);
    if (!decoded) return Fail(decoded.error());
    if (!decoded->all_decode) {
      plan.obstacle = "members are damaged, so that its tail may know better than they do";
      return {};
    }
  } else if (!plan.cuts_rest && !walked->has_tail_members) {
    return {};  // another writer's, which needs none
  }
  if (scan.index.plain_bytes() > kMaxPlainBytes) {
    plan.obstacle = "it is larger than a tail can say";
    return {};
  }
  const uint64_t block_bytes =
      BlockBytesFor(*scan.profile, *by_tail, walked->largest_plain_bytes);
  plan.needs_image = plan.plain_bytes == 0 && plan.members_end > 0;
  plan.tail = (plan.plain_bytes == 0 ? MemberIndex() : scan.index)
                  .EncodeTail(*scan.profile, block_bytes);
  return {};
}

}  // namespace

namespace {

// The file's end without the damaged part of a tail that it ends with.
Result<uint64_t> EndBeforeBrokenTail(const ByteSource& file) {
  uint64_t end = file.Size();
  for (const Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    const Result<uint64_t> broken = FindBrokenTail(file, profile);
    if (!broken) return Fail(broken.error());
    end = std::min(end, *broken);
  }
  return end;
}

// Finds the end of the members to be kept. What is there when something was cut
// off may be the broken part of a dead tail, and so on.
Result<FileLayout> PlanCut(const ByteSource& file, RepairPlan& plan) {
  for (plan.members_end = file.Size();;) {
    const Result<uint64_t> intact_end =
        EndBeforeBrokenTail(EndOfMembers(file, plan.members_end));
    if (!intact_end) return Fail(intact_end.error());
    const EndOfMembers intact(file, *intact_end);
    Result<FileLayout> scan = ScanLayout(intact);
    if (!scan) return scan;
    if (!scan->is_conforming || (scan->valid_bytes > 0 && !scan->profile)) {
      plan.is_foreign = true;
      if (scan->rest) plan.obstacle = "it is another writer's file, which is not changed";
      return scan;
    }
    const Result<FileLayout> by_tail = ReadLayout(intact);
    if (!by_tail) return Fail(by_tail.error());
    Result<std::string> obstacle = ObstacleToCut(intact, *by_tail, *scan);
    if (!obstacle) return Fail(obstacle.error());
    plan.obstacle = std::move(*obstacle);
    if (!plan.obstacle.empty() || scan->valid_bytes == plan.members_end) return scan;
    plan.members_end = scan->valid_bytes;
  }
}

}  // namespace

Result<RepairPlan> PlanRepair(const ByteSource& file, Profile empty_profile,
                              uint64_t empty_block_bytes) {
  RepairPlan plan;
  const Result<FileLayout> scan = PlanCut(file, plan);
  if (!scan) return Fail(scan.error());
  if (plan.is_foreign || !plan.obstacle.empty()) return plan;
  plan.cuts_rest = plan.members_end < file.Size();
  plan.plain_bytes = scan->index.plain_bytes();
  if (scan->profile) {
    GZIPFS_TRY(PlanTail(file, *scan, plan));
    if (!plan.obstacle.empty()) plan.cuts_rest = false;
  } else if (plan.cuts_rest) {
    plan.tail = MemberIndex().EncodeTail(empty_profile, empty_block_bytes);
  }
  return plan;
}

}  // namespace gzipfs
