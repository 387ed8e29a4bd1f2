// Stored files made in memory, and what they say when they are read back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "codec/base/byte_source.h"
#include "codec/member.h"
#include "codec/member_index.h"
#include "tests/unit/codec/test_data.h"

namespace gzipfs::test {

// A file that grows like a base does: members and tails at its end, the index
// told of each.
struct StoredFile {
  explicit StoredFile(Profile file_profile = Profile::kBgzf, uint64_t file_block_bytes = 0)
      : profile(file_profile),
        block_bytes(file_block_bytes ? file_block_bytes
                                     : (profile == Profile::kBgzf ? kBgzfBlockBytes
                                                                  : kMinLargeBlockBytes)) {}

  void AddEncoded(const EncodedBlock& block) {
    Append(&bytes, block.bytes);
    for (const EncodedMember& member : block.members) {
      index.Append(member.plain_bytes, member.member_bytes);
    }
  }
  void AddPlain(std::span<const std::byte> data) {
    Append(&plain, data);
    AddEncoded(EncodeBlock(profile, 1, data));
  }
  // Returns where the tail begins.
  size_t AddTail() {
    const size_t tail_offset = bytes.size();
    const Buffer tail = index.EncodeTail(profile, block_bytes);
    Append(&bytes, tail);
    index.AppendTail(tail.size());
    return tail_offset;
  }

  Profile profile;
  uint64_t block_bytes;
  Buffer bytes;
  Buffer plain;
  MemberIndex index;
};

inline Result<FileLayout> Layout(std::span<const std::byte> file) {
  return ReadLayout(SpanSource(file));
}
inline Result<FileLayout> Scan(std::span<const std::byte> file) {
  return ScanLayout(SpanSource(file));
}

// Everything the layout leads to, decoded; the error of the first group or
// member that is not what the layout says, dead tails included.
inline Result<Buffer> DecodeAll(std::span<const std::byte> file, const FileLayout& layout) {
  const SpanSource source(file);
  Buffer plain;
  while (plain.size() < layout.index.plain_bytes()) {
    const auto members = WalkGroup(source, *layout.index.Find(plain.size()));
    if (!members) return Fail(members.error());
    for (const MemberInfo& member : *members) {
      Buffer piece(member.plain_bytes);
      if (member.profile) {
        GZIPFS_TRY(DecodeMember(file.subspan(member.file_offset, member.member_bytes), piece));
      } else {
        MemberStream stream(source, member.file_offset, member.file_end());
        const auto count = stream.Read(piece);
        if (!count) return Fail(count.error());
        if (*count != piece.size()) return Fail(DataError::kBadSize);
      }
      Append(&plain, piece);
    }
  }
  return plain;
}

// Whether a walk of every group that can be found passes.
inline bool IndexFits(std::span<const std::byte> file, const MemberIndex& index) {
  const SpanSource source(file);
  uint64_t plain_bytes = 0;
  while (plain_bytes < index.plain_bytes()) {
    const MemberGroup group = *index.Find(plain_bytes);
    if (!WalkGroup(source, group)) return false;
    plain_bytes += group.plain_bytes;
  }
  return true;
}

// How many tails a reader follows from the end of `file` to its start; 0 when
// the chain is broken.
inline size_t ChainLength(std::span<const std::byte> file) {
  const SpanSource source(file);
  size_t count = 0;
  for (uint64_t end = file.size(); end > 0; ++count) {
    const auto tail = ReadTailSummary(source, end);
    if (!tail || !*tail) return 0;
    if ((*tail)->entry_count == 0) return count + 1;
    const size_t member_bytes = EmptyMemberBytes((*tail)->profile);
    uint64_t covered_bytes = 0;
    for (uint64_t i = 0; i < (*tail)->entry_count; ++i) {
      const uint64_t entry = (*tail)->tail_offset + i * member_bytes + kPayloadOffset;
      covered_bytes += LoadLe24(&file[entry + 3]);
    }
    if (covered_bytes > (*tail)->tail_offset) return 0;
    end = (*tail)->tail_offset - covered_bytes;
  }
  return count;
}

}  // namespace gzipfs::test
