// Plain offset to file offset, sparse in memory.
//
// The index of a file is a sequence of groups: runs of up to 32 members whose
// plain and stored sizes are known. Sixteen bytes of memory describe 2 MiB of
// plain data. What is inside a group is found by walking it. On disk the same
// groups stand in the file's tails (codec/FORMAT.md); a tail may cover only
// the groups behind an earlier tail, so that appending to a large file does
// not rewrite its whole index.
//
// Thread-compatible: const members may run together, others alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "codec/base/result.h"
#include "codec/base/byte_source.h"
#include "codec/gzip_format.h"
#include "codec/member_scanner.h"

namespace gzipfs {

// A run of members: [file_offset, file_offset + file_bytes) holds the plain
// bytes [plain_offset, plain_offset + plain_bytes).
struct MemberGroup {
  uint64_t plain_offset = 0;
  uint64_t plain_bytes = 0;
  uint64_t file_offset = 0;
  uint64_t file_bytes = 0;
  // File bytes next to it that hold no plain bytes if the index is right: dead
  // tails. A walk of the group looks at them too, because a member that an
  // index hides there is missed by every lookup.
  uint64_t dead_before = 0;
  uint64_t dead_behind = 0;
};

class MemberIndex {
 public:
  // Memory for each group.
  static constexpr size_t kGroupMemoryBytes = 16;

  MemberIndex() = default;

  // Plain bytes of the file; stored bytes described so far, tails included.
  uint64_t plain_bytes() const { return plain_bytes_; }
  uint64_t file_bytes() const { return file_bytes_; }
  size_t group_count() const { return groups_.size(); }

  // The group that holds `plain_offset`, with what is dead beside it; nullopt
  // at or behind the end.
  std::optional<MemberGroup> Find(uint64_t plain_offset) const;
  // Group `group_index`, in file order; some hold no plain bytes (dead tails).
  // Its dead_before and dead_behind are 0.
  MemberGroup GroupAt(size_t group_index) const;

  // Adds a member at the end of the file.
  void Append(uint64_t plain_bytes, uint64_t member_bytes);
  // The same for a member that must be a group of its own (a foreign one).
  void AppendAlone(uint64_t plain_bytes, uint64_t member_bytes);
  // Adds members that somebody else has found to be a group.
  void AppendGroup(uint64_t plain_bytes, uint64_t file_bytes) {
    AppendAlone(plain_bytes, file_bytes);
  }

  // The bytes of a tail that makes the file complete: to be written at
  // file_bytes(), and then told to AppendTail. `block_bytes` is the file's
  // block size, a power of two. REQUIRES: plain_bytes() <= kMaxPlainBytes and
  // !ends_with_tail().
  std::vector<std::byte> EncodeTail(Profile profile, uint64_t block_bytes) const;
  // Accounts for the tail EncodeTail gave, once it is in the file.
  void AppendTail(size_t tail_bytes);
  // True when the last thing in the file is a tail that covers everything.
  bool ends_with_tail() const { return ends_with_tail_; }

  // Forgets every group that reaches behind `file_offset`; afterwards
  // file_bytes() is the start of the first forgotten group or unchanged. The
  // caller walks from there and appends what stays.
  void CutAt(uint64_t file_offset);

  // A group read from a tail is closed, since nobody has counted its members.
  // Whoever has (empty ones included) opens it again for appending.
  // REQUIRES: there is a group, and no tail with an index behind it.
  void ReopenLastGroup(uint64_t member_count) { last_group_members_ = member_count; }
  // True when the whole file is one group that a walk may count.
  bool IsOneClosedGroup() const {
    return groups_.size() == 1 && tails_.empty() && last_group_members_ == kUnknownMembers;
  }

 private:
  friend class TailReader;
  static constexpr uint64_t kUnknownMembers = ~uint64_t{0};
  struct Start {
    uint64_t plain_offset;
    uint64_t file_offset;
  };
  static_assert(sizeof(Start) == kGroupMemoryBytes);
  // A tail in the file that has entries: the groups [first_group, end_group)
  // are its own, group end_group is the tail itself, and what is before them is
  // described by the tail before it.
  struct Coverage {
    size_t first_group;
    size_t end_group;
    size_t GroupCount() const { return end_group - first_group; }
  };
  struct TailPlan {
    size_t first_group = 0;   // the new tail's entries describe [first_group, ...)
    size_t kept_tails = 0;    // tails before it that stay in the chain
    bool has_entries = true;  // false: the file is one group from its start
  };

  void StartGroup();
  TailPlan PlanTail() const;
  size_t NextTail(size_t group_index) const;
  uint64_t FileOffsetOf(size_t group_index) const;
  uint64_t DeadBehind(size_t group_index) const;
  uint64_t DeadBefore(size_t group_index) const;

  std::vector<Start> groups_;
  std::vector<Coverage> tails_;
  uint64_t plain_bytes_ = 0;
  uint64_t file_bytes_ = 0;
  uint64_t last_group_members_ = 0;
  bool ends_with_tail_ = false;
};

// What a tail at the end of a file says, without its index: one read of the
// last bytes answers it.
struct TailSummary {
  uint64_t plain_bytes = 0;
  uint64_t tail_offset = 0;   // where the tail begins
  uint64_t block_bytes = 0;
  uint64_t entry_count = 0;
  Profile profile = Profile::kBgzf;
};

// Bytes of the shape of a tail's end, before anybody believes them.
struct TailClaim {
  TailSummary summary;              // tail_offset: where it stands
  uint32_t check = 0;               // the checksum in its mark
  std::array<std::byte, 20> said{};  // what that covers besides the tail's offset
  size_t said_bytes = 0;

  // Whether the tail was written for a file in which it began at `tail_offset`.
  bool IsMadeFor(uint64_t tail_offset) const;
};

// What stands at `file_end` like a tail; nullopt: nothing of that shape.
// Errors are the device's.
Result<std::optional<TailClaim>> ReadTailClaim(const ByteSource& source, uint64_t file_end);

// The tail that ends at `file_end`, or nullopt when none of ours stands there,
// its checksum is wrong, or it says what cannot be: plain bytes without
// members before it, or none behind something. Errors are the device's.
Result<std::optional<TailSummary>> ReadTailSummary(const ByteSource& source, uint64_t file_end);

// A stored file, looked at as a whole.
struct FileLayout {
  MemberIndex index;
  std::optional<Profile> profile;   // of the first member; nullopt: empty or foreign
  uint64_t block_bytes = 0;         // from the tail; 0 when there is none
  uint64_t valid_bytes = 0;         // file bytes that are complete members
  bool has_tail = false;            // the index came from a tail of ours
  // What ReadTailSummary says of the file: also where the tail is of no use
  // otherwise, and then perhaps not what the index has. ScanLayout does not ask.
  std::optional<uint64_t> told_plain_bytes;
  bool is_conforming = true;        // every member known to carry a subfield, none too large
  // Members that are not, each a group of its own: those that fit the limit.
  // Further ones share groups and are found by a walk.
  std::vector<MemberInfo> foreign;
  // Of those of them that are larger than a piece, as far as they fit the limit, too; none
  // where the scan keeps none.
  std::vector<RestartsRef> restarts;
  // Why the last member, a foreign one, cannot be decoded to its end. It then
  // counts as one of one plain byte more than can be decoded, or of as many as
  // can if its CRC32 or ISIZE is wrong: the file must not look like a shorter good one.
  std::error_code damage;
  std::error_code rest;             // why what follows valid_bytes is no member; empty: nothing
};

// How much memory the layout of a file may take, in bytes: what a file says of
// itself must not be able to use up the memory. A file that was not made for
// that needs less: 16 bytes for each group of at least 32 members, or 1/210 of
// a file of zeros, and for one of many tiny appends it costs a scan.
inline constexpr uint64_t kMinLayoutLimitBytes = 64 * kMiB;
inline constexpr uint64_t kLayoutShareOfFile = 16;
inline constexpr uint64_t LayoutLimitBytes(uint64_t file_bytes) {
  return std::max(kMinLayoutLimitBytes, file_bytes / kLayoutShareOfFile);
}

// Reads the layout from the tail, or by scanning every member where there is
// no usable tail. What the tail says of members nobody has looked at yet: the
// walk of a group shows whether it is so. Uses a small multiple of
// `limit_bytes` of memory. Errors are the device's; bad data is reported in
// `rest`, as is a file too complex for the limit (kTooLarge).
Result<FileLayout> ReadLayout(const ByteSource& source, uint64_t limit_bytes);
inline Result<FileLayout> ReadLayout(const ByteSource& source) {
  return ReadLayout(source, LayoutLimitBytes(source.Size()));
}
// What ReadLayout finds of the tail alone.
struct TailLayout {
  std::optional<FileLayout> layout;  // nullopt: no tail is of use
  std::optional<uint64_t> told_plain_bytes;
};
Result<TailLayout> ReadTailLayout(const ByteSource& source, uint64_t limit_bytes);

enum class ScanKeep : uint8_t {
  kMembers,
  kRestarts,  // and where foreign members can be decoded from, and damaged ones
};
// The same as ReadLayout, never trusting a tail.
Result<FileLayout> ScanLayout(const ByteSource& source, uint64_t limit_bytes,
                              ScanKeep keep = ScanKeep::kMembers);
inline Result<FileLayout> ScanLayout(const ByteSource& source) {
  return ScanLayout(source, LayoutLimitBytes(source.Size()));
}

// A writer's group has 32 members and a few dead short tails; one of more than
// this was made to use up memory.
inline constexpr size_t kMaxWalkedMembers = 4096;

// The members of `group`, in order. kBadTail when they do not add up to it,
// are more than kMaxWalkedMembers, or plain bytes are where the group says
// that something dead is. When all groups that Find gives pass, from the first
// to the last, the index is as the members are.
Result<std::vector<MemberInfo>> WalkGroup(const ByteSource& source, const MemberGroup& group);

}  // namespace gzipfs
