// Walks the members of a byte source, one after the other.
//
// Members with a BC or MZ subfield are hopped over: one small read gives the
// trailer of one member and the header of the next. Members without one are
// decoded to find their end, and so are members longer than any writer makes
// them: they are given out as foreign ones, which nobody reads as a whole. The
// walk is the ground truth of a file; indexes and tails only save it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "codec/base/result.h"
#include "codec/base/byte_source.h"
#include "codec/byte_window.h"
#include "codec/gzip_format.h"
#include "codec/member_header.h"
#include "codec/restart_points.h"

namespace gzipfs {

// One complete member and where its bytes are.
struct MemberInfo {
  uint64_t plain_offset = 0;
  uint64_t file_offset = 0;
  uint64_t plain_bytes = 0;
  uint64_t member_bytes = 0;
  uint32_t header_bytes = 0;
  uint32_t crc32 = 0;                // as the trailer has it; verified only for decoded members
  std::optional<Profile> profile;    // nullopt: a foreign member, its length found by decoding
  Payload payload{};                 // the header's free bytes
  bool is_empty_shape = false;       // byte for byte an empty member of ours (tail, EOF)

  uint64_t plain_end() const { return plain_offset + plain_bytes; }
  uint64_t file_end() const { return file_offset + member_bytes; }
};

// The header at `offset`, however long, fetched with reads of `read_bytes`;
// kBadHeader beyond 1 MiB, kTruncated where nothing more follows.
Result<MemberHeader> PeekMemberHeader(ByteWindow& window, uint64_t offset, size_t read_bytes);
// The trailer at `offset`; kTruncated where nothing more follows.
Result<MemberTrailer> PeekTrailer(ByteWindow& window, uint64_t offset, size_t read_bytes);

// Walks forward from a member boundary. One thread at a time. `source` must
// outlive the scanner.
class MemberScanner {
 public:
  // Starts at `file_offset`, which must be a member boundary, whose plain
  // bytes begin at `plain_offset`; sees nothing at or behind `file_limit`.
  MemberScanner(const ByteSource& source, uint64_t file_offset, uint64_t plain_offset,
                uint64_t file_limit);
  explicit MemberScanner(const ByteSource& source)
      : MemberScanner(source, 0, 0, source.Size()) {}

  // The next member; nullopt at the limit. An error says why what stands at
  // position() is no complete member (kNotGzip, kTruncated, kBadHeader, ...;
  // a device error as it is); the scanner then stays where it is.
  Result<std::optional<MemberInfo>> Next();

  // From here on many members without plain bytes are expected: reads more at
  // once.
  void ExpectEmptyMembers();

  // From here on notes where the decoding of foreign members can begin again.
  void RecordRestarts() { records_restarts_ = true; }
  // Those of the member that Next gave last, or that it failed in; null if it was
  // hopped over, or is no larger than a piece and complete.
  RestartsRef TakeRestarts() { return std::move(restarts_); }

  // Where the next member would begin, and its first plain byte.
  uint64_t position() const { return file_offset_; }
  uint64_t plain_position() const { return plain_offset_; }

 private:
  Result<MemberInfo> Scan();
  Result<MemberInfo> ScanHop(const MemberHeader& header);
  Result<void> CheckEmpty(const MemberHeader& header);
  Result<MemberInfo> ScanByDecoding(const MemberHeader& header);

  const ByteSource& source_;
  const uint64_t file_limit_;
  uint64_t file_offset_;
  uint64_t plain_offset_;
  size_t read_bytes_;
  bool records_restarts_ = false;
  RestartsRef restarts_;
  ByteWindow window_;
  std::unique_ptr<std::byte[]> discard_;  // where decoded bytes go; made at first use
};

// Decodes a foreign member of any size from its start, a piece at a time.
// One thread at a time. `source` must outlive it.
class MemberStream {
 public:
  // `file_offset` is the first byte of the member. `records_restarts`: notes
  // where decoding can begin again, which takes a quarter more time with ISA-L.
  MemberStream(const ByteSource& source, uint64_t file_offset, uint64_t file_limit,
               bool records_restarts = false);
  ~MemberStream();
  MemberStream(MemberStream&&) noexcept;
  MemberStream& operator=(MemberStream&&) noexcept;

  // Fills `out` with the next plain bytes; fewer than asked for only at the
  // end of the member, where CRC32 and ISIZE have been checked. When the last
  // plain byte just fills `out`, the end is seen (and checked) by the next
  // call, which returns 0. Errors: a bad header's, kTruncated, kBadDeflate,
  // kBadChecksum, kBadSize, and the device's; an error stays.
  Result<size_t> Read(std::span<std::byte> out);

  uint64_t plain_position() const;       // plain bytes given out so far
  bool at_end() const;                   // the trailer has been checked
  uint64_t file_position() const;        // after the end: first byte behind the member
  uint32_t crc32() const;                // after the end: of all plain bytes
  // What was recorded, once; nullopt: nothing, or the header was bad. `error`:
  // why the stream has ended early, if it did.
  std::optional<MemberRestarts> TakeRestarts(std::error_code error);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gzipfs
