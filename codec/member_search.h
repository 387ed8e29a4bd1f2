// Members that no walk leads to: those behind damage.
//
// A walk hops from length to length and ends where a header is damaged. What
// is behind it is found by looking for headers byte by byte, and counts only if
// it decodes: CRC32 and ISIZE are the witnesses. What a file can cost here is
// bounded: whoever made it may have made every few bytes look like a member.
//
// Thread-safe: no state.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/base/byte_source.h"
#include "codec/base/result.h"
#include "codec/member_index.h"

namespace gzipfs {

// Members that stand side by side, each of which decodes.
struct MemberRun {
  uint64_t file_offset = 0;
  uint64_t file_bytes = 0;
  uint64_t member_count = 0;  // with plain bytes
  uint64_t plain_bytes = 0;
};

struct MemberSearch {
  std::vector<MemberRun> runs;   // those that hold plain bytes, in file order
  bool gave_up = false;          // there may be more: looking took too long
  uint64_t member_count() const;
  uint64_t plain_bytes() const;
};

enum class SearchFor : uint8_t {
  kSubfields,  // members that carry their length (BC, MZ)
  kAnyGzip,    // gzip's own as well, which must be decoded to see that they are some
};

// Looks through [file_begin, file_end). Errors are the device's.
Result<MemberSearch> FindMembers(const ByteSource& source, uint64_t file_begin,
                                 uint64_t file_end, SearchFor what);

// True when `member` decodes. Errors are the device's.
Result<bool> Decodes(const ByteSource& source, const MemberInfo& member);

// What can be read of a group with damage in it, in file order: the members
// from its front up to the first that does not decode, and those behind, which
// are placed by where the group ends. The plain bytes between two of them that
// do not meet are lost. Empty when nothing in the group is damaged: then the
// index lies, and nothing is known of where its members belong. Errors are the
// device's.
Result<std::vector<MemberInfo>> SalvageGroup(const ByteSource& source, const MemberGroup& group);

// True when a walk passes a member of `group` that does not decode. Its ISIZE may
// be damaged as well as the rest of it: where the group does not fit its members,
// it is then they that cannot be believed, not the index. Errors are the device's.
Result<bool> HasDamagedMember(const ByteSource& source, const MemberGroup& group);

// True when a whole deflate stream with the right trailer stands behind what
// would be the header of a member of ours at `file_offset`: then only that
// header is damaged. Errors are the device's.
Result<bool> IsMemberWithBadHeader(const ByteSource& source, uint64_t file_offset);

}  // namespace gzipfs
