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
};

class MemberIndex {
 public:
  MemberIndex() = default;

  // Plain bytes of the file; stored bytes described so far, tails included.
  uint64_t plain_bytes() const { return plain_bytes_; }
  uint64_t file_bytes() const { return file_bytes_; }
  size_t group_count() const { return groups_.size(); }

  // The group that holds `plain_offset`; nullopt at or behind the end.
  std::optional<MemberGroup> Find(uint64_t plain_offset) const;
  // Group `group_index`, in file order; some hold no plain bytes (dead tails).
  MemberGroup GroupAt(size_t group_index) const;

  // Adds a member at the end of the file.
  void Append(uint64_t plain_bytes, uint64_t member_bytes);
  // The same for a member that must be a group of its own (a foreign one).
  void AppendAlone(uint64_t plain_bytes, uint64_t member_bytes);

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

// The tail that ends at `file_end`, or nullopt when none of ours stands there
// or its checksum is wrong. Errors are the device's.
Result<std::optional<TailSummary>> ReadTailSummary(const ByteSource& source, uint64_t file_end);

// A stored file, looked at as a whole.
struct FileLayout {
  MemberIndex index;
  std::optional<Profile> profile;   // of the first member; nullopt: empty or foreign
  uint64_t block_bytes = 0;         // from the tail; 0 when there is none
  uint64_t valid_bytes = 0;         // file bytes that are complete members
  bool has_tail = false;            // the index came from a tail of ours
  bool is_conforming = true;        // every member known to carry a subfield, none too large
  std::vector<MemberInfo> foreign;  // the members that are not; each is a group of its own
  std::error_code rest;             // why what follows valid_bytes is no member; empty: nothing
};

// Reads the layout from the tail, or by scanning every member where there is
// no usable tail. Errors are the device's; bad data is reported in `rest`.
Result<FileLayout> ReadLayout(const ByteSource& source);
// The same, never trusting a tail.
Result<FileLayout> ScanLayout(const ByteSource& source);

// The members of `group`, in order. kBadTail when they do not add up to it.
Result<std::vector<MemberInfo>> WalkGroup(const ByteSource& source, const MemberGroup& group);

}  // namespace gzipfs
