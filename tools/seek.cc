// The scanner would decode a foreign member to find its end; the stream that
// follows has to decode it anyway, so the walk stops in front of it.
#include "tools/seek.h"

#include <array>

namespace gzipfs {
namespace {

// True when the member at `file_offset` says how long it is. REQUIRES: looking
// at a header of our shape is enough to see that; any other is left to the stream.
bool HasLength(const ByteSource& source, uint64_t file_offset) {
  std::array<std::byte, 64> bytes;
  const Result<size_t> count = source.ReadAt(file_offset, bytes);
  if (!count) return false;
  const Result<MemberHeader> header = ParseMemberHeader(std::span(bytes).first(*count));
  return header && header->profile;
}

Result<PlainStream::Start> GroupStart(const ByteSource& source, uint64_t plain_offset) {
  const Result<std::optional<TailSummary>> tail = ReadTailSummary(source, source.Size());
  if (!tail) return Fail(tail.error());
  if (!*tail) return PlainStream::Start{};
  const Result<FileLayout> layout = ReadLayout(source);
  if (!layout) return Fail(layout.error());
  const std::optional<MemberGroup> group = layout->index.Find(plain_offset);
  // Behind the size it tells: only the members know whether that is the end.
  if (!group) return PlainStream::Start{};
  // A tail that lies costs time, never data: then the walk begins at the front.
  const Result<std::vector<MemberInfo>> members = WalkGroup(source, *group);
  if (!members && members.error().category() == std::system_category())
    return Fail(members.error());
  if (!members) return PlainStream::Start{};
  return PlainStream::Start{group->file_offset, group->plain_offset};
}

// The group that holds `plain_offset`, or the end of all members.
PlainStream::Start KeptStart(const FileLayout& kept, uint64_t plain_offset) {
  const std::optional<MemberGroup> group = kept.index.Find(plain_offset);
  if (!group) return PlainStream::Start{kept.valid_bytes, kept.index.plain_bytes()};
  return PlainStream::Start{group->file_offset, group->plain_offset};
}

}  // namespace

Result<PlainStream::Start> FindStart(const ByteSource& source, uint64_t plain_offset,
                                     const FileLayout* kept) {
  Result<PlainStream::Start> start =
      kept != nullptr ? KeptStart(*kept, plain_offset) : GroupStart(source, plain_offset);
  if (!start) return start;
  MemberScanner scanner(source, start->file_offset, start->plain_offset, source.Size());
  while (HasLength(source, scanner.position())) {
    const Result<std::optional<MemberInfo>> member = scanner.Next();
    // What is wrong with the member is for the stream to say.
    if (!member || !*member || (*member)->plain_end() > plain_offset) break;
    start = PlainStream::Start{scanner.position(), scanner.plain_position()};
  }
  return start;
}

}  // namespace gzipfs
