// Tails as bytes: the empty members that end a file and say how large it is
// and where its groups are. codec/FORMAT.md section 4 has the layout.
#include <algorithm>
#include <bit>
#include <cassert>

#include "codec/base/endian.h"
#include "codec/codec.h"
#include "codec/member_header.h"
#include "codec/member_index.h"

namespace gzipfs {
namespace {

constexpr std::byte kMarkId{0x47};          // 'G', byte 4 of the mark
constexpr unsigned kMarkBlockMask = 0x1f;   // byte 5: log2 of the block size,
constexpr unsigned kMarkHasEntries = 0x20;  // whether entries, count and sum are there,
constexpr unsigned kMarkVersionMask = 0xc0;  // and a version, 0 so far
constexpr size_t kShortTailMembers = 3;      // size, mark, end-of-file
constexpr size_t kLongTailMembers = 5;       // count, sum, size, mark, end-of-file

Payload Number48(uint64_t value) {
  Payload payload{};
  StoreLe48(payload.data(), value);
  return payload;
}

// The checksum in the mark: everything the last five members say, and where
// the tail begins, so that a tail which came along in a concatenation of files
// does not count.
uint32_t MarkChecksum(uint64_t tail_offset, std::span<const Payload> parts, const Payload& mark) {
  std::byte place[8];
  StoreLittle(place, tail_offset, 8);
  uint32_t crc = Crc32(0, place);
  for (const Payload& part : parts) crc = Crc32(crc, part);
  return Crc32(crc, std::span(mark).subspan(4));
}

class TailWriter {
 public:
  explicit TailWriter(Profile profile) : profile_(profile) {}

  void Add(const Payload& payload) {
    const size_t member_bytes = EmptyMemberBytes(profile_);
    bytes_.resize(bytes_.size() + member_bytes);
    EncodeEmptyMember(profile_, payload, std::span(bytes_).last(member_bytes));
  }
  void AddEntry(uint64_t plain_bytes, uint64_t file_bytes) {
    Payload entry{};
    StoreLe24(entry.data(), plain_bytes);
    StoreLe24(entry.data() + 3, file_bytes);
    sum_ = Crc32(sum_, entry);
    ++entry_count_;
    Add(entry);
  }

  std::vector<std::byte> Finish(uint64_t tail_offset, uint64_t plain_bytes, uint64_t block_bytes,
                                bool has_entries) {
    std::vector<Payload> parts;
    if (has_entries) {
      parts.push_back(Number48(entry_count_));
      parts.push_back(Number48(sum_));
    }
    parts.push_back(Number48(plain_bytes));
    Payload mark{};
    mark[4] = kMarkId;
    mark[5] = static_cast<std::byte>(std::countr_zero(block_bytes) |
                                     (has_entries ? kMarkHasEntries : 0));
    StoreLe32(mark.data(), MarkChecksum(tail_offset, parts, mark));
    for (const Payload& part : parts) Add(part);
    Add(mark);
    Add(kEofPayload);
    return std::move(bytes_);
  }

 private:
  Profile profile_;
  std::vector<std::byte> bytes_;
  uint64_t entry_count_ = 0;
  uint32_t sum_ = 0;
};

}  // namespace

std::vector<std::byte> MemberIndex::EncodeTail(Profile profile, uint64_t block_bytes) const {
  assert(plain_bytes_ <= kMaxPlainBytes && std::has_single_bit(block_bytes));
  const TailPlan plan = PlanTail();
  TailWriter writer(profile);
  if (plan.has_entries) {
    for (size_t i = plan.first_group; i < groups_.size(); ++i) {
      const MemberGroup group = GroupAt(i);
      // Only a dead tail, which holds no plain bytes, can be longer than an
      // entry may say; it takes several.
      uint64_t rest = group.file_bytes;
      for (; rest > kGroupMaxBytes; rest -= kGroupMaxBytes) writer.AddEntry(0, kGroupMaxBytes);
      writer.AddEntry(group.plain_bytes, rest);
    }
  }
  return writer.Finish(file_bytes_, plain_bytes_, block_bytes, plan.has_entries);
}

namespace {

std::optional<TailSummary> ParseTailEnd(Profile profile, std::span<const std::byte> last,
                                        uint64_t file_end) {
  const size_t member_bytes = EmptyMemberBytes(profile);
  const auto member = [&](size_t from_end) -> std::optional<Payload> {
    if (last.size() < from_end * member_bytes) return std::nullopt;
    return ParseEmptyMember(profile,
                            last.last(from_end * member_bytes).first(member_bytes));
  };
  const std::optional<Payload> eof = member(1), mark = member(2), size = member(3);
  if (!eof || *eof != kEofPayload || !mark || !size || (*mark)[4] != kMarkId) return std::nullopt;
  const unsigned flags = static_cast<unsigned>((*mark)[5]);
  const unsigned block_log2 = flags & kMarkBlockMask;
  if ((flags & kMarkVersionMask) != 0 || block_log2 < 16 || block_log2 > 22) return std::nullopt;

  TailSummary summary{.plain_bytes = LoadLe48(size->data()),
                      .block_bytes = uint64_t{1} << block_log2,
                      .profile = profile};
  std::vector<Payload> parts;
  uint64_t member_count = kShortTailMembers;
  if (flags & kMarkHasEntries) {
    const std::optional<Payload> sum = member(4), count = member(5);
    if (!sum || !count) return std::nullopt;
    summary.entry_count = LoadLe48(count->data());
    if (summary.entry_count == 0 || summary.entry_count > file_end / member_bytes) {
      return std::nullopt;
    }
    member_count = kLongTailMembers + summary.entry_count;
    parts = {*count, *sum};
  }
  parts.push_back(*size);
  if (member_count > file_end / member_bytes) return std::nullopt;
  summary.tail_offset = file_end - member_count * member_bytes;
  if (LoadLe32(mark->data()) != MarkChecksum(summary.tail_offset, parts, *mark)) {
    return std::nullopt;
  }
  return summary;
}

}  // namespace

Result<std::optional<TailSummary>> ReadTailSummary(const ByteSource& source, uint64_t file_end) {
  std::byte buffer[kLongTailMembers * EmptyMemberBytes(Profile::kLarge)];
  const size_t wanted = std::min<uint64_t>(sizeof(buffer), file_end);
  Result<size_t> count = source.ReadAt(file_end - wanted, std::span(buffer, wanted));
  if (!count) return Fail(count.error());
  if (*count != wanted) return std::nullopt;
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    if (auto summary = ParseTailEnd(profile, std::span(buffer, wanted), file_end)) return summary;
  }
  return std::nullopt;
}

// Reads the chain of tails from the last to the first and turns it into an
// index. nullopt wherever the chain is broken: the caller scans.
class TailReader {
 public:
  explicit TailReader(const ByteSource& source) : source_(source) {}

  Result<std::optional<FileLayout>> Read() {
    uint64_t file_end = source_.Size();
    uint64_t plain_end = ~uint64_t{0};
    do {
      Result<bool> link = ReadLink(file_end, plain_end);
      if (!link) return Fail(link.error());
      if (!*link) return std::nullopt;
    } while (file_end > 0);
    if (plain_end != 0) return std::nullopt;
    return Build();
  }

 private:
  struct Link {
    TailSummary summary;
    uint64_t tail_bytes = 0;
    std::vector<std::byte> entries;  // raw members; empty for a short tail
  };

  // Reads the tail that ends at `file_end` and moves both ends to where its
  // coverage begins. False when there is no such tail or it contradicts the
  // one after it.
  Result<bool> ReadLink(uint64_t& file_end, uint64_t& plain_end) {
    auto summary = ReadTailSummary(source_, file_end);
    if (!summary) return Fail(summary.error());
    if (!*summary) return false;
    Link link{.summary = **summary, .tail_bytes = 0, .entries = {}};
    const TailSummary& tail = link.summary;
    const bool is_last = links_.empty();
    if (!is_last && (tail.plain_bytes != plain_end || tail.entry_count == 0)) return false;
    link.tail_bytes = file_end - tail.tail_offset;
    uint64_t plain_bytes = tail.plain_bytes;
    uint64_t file_bytes = tail.tail_offset;
    if (tail.entry_count > 0) {
      Result<bool> read = ReadEntries(link, plain_bytes, file_bytes);
      if (!read || !*read) return read;
      if (plain_bytes > tail.plain_bytes || file_bytes > tail.tail_offset) return false;
    } else if (file_bytes > kGroupMaxBytes || plain_bytes > kGroupMaxBytes) {
      return false;
    }
    file_end = tail.tail_offset - file_bytes;
    plain_end = tail.plain_bytes - plain_bytes;
    links_.push_back(std::move(link));
    return true;
  }

  Result<bool> ReadEntries(Link& link, uint64_t& plain_bytes, uint64_t& file_bytes) {
    const TailSummary& tail = link.summary;
    const size_t member_bytes = EmptyMemberBytes(tail.profile);
    const size_t entry_bytes = tail.entry_count * member_bytes;
    link.entries.resize(entry_bytes + 2 * member_bytes);
    Result<size_t> count = source_.ReadAt(tail.tail_offset, link.entries);
    if (!count) return Fail(count.error());
    if (*count != link.entries.size()) return false;
    plain_bytes = file_bytes = 0;
    uint32_t sum = 0;
    for (size_t at = 0; at < entry_bytes; at += member_bytes) {
      auto entry = ParseEmptyMember(tail.profile,
                                    std::span(link.entries).subspan(at, member_bytes));
      if (!entry) return false;
      sum = Crc32(sum, *entry);
      plain_bytes += LoadLe24(entry->data());
      file_bytes += LoadLe24(entry->data() + 3);
    }
    auto stated = ParseEmptyMember(tail.profile, std::span(link.entries).last(member_bytes));
    return stated && LoadLe48(stated->data()) == sum;
  }

  FileLayout Build() {
    FileLayout layout;
    MemberIndex& index = layout.index;
    for (auto link = links_.rbegin(); link != links_.rend(); ++link) {
      const TailSummary& tail = link->summary;
      if (tail.entry_count == 0) {
        index.StartGroup();
        index.plain_bytes_ = tail.plain_bytes;
        index.file_bytes_ = tail.tail_offset;
        if (source_.Size() > kGroupMaxBytes) index.StartGroup();
        index.file_bytes_ = source_.Size();
      } else {
        const size_t first_group = index.groups_.size();
        AddEntries(*link, index);
        index.tails_.push_back({first_group, index.groups_.size()});
        index.StartGroup();
        index.file_bytes_ += link->tail_bytes;
      }
    }
    index.last_group_members_ = MemberIndex::kUnknownMembers;
    index.ends_with_tail_ = true;
    layout.profile = links_.front().summary.profile;
    layout.block_bytes = links_.front().summary.block_bytes;
    layout.valid_bytes = source_.Size();
    layout.has_tail = true;
    return layout;
  }

  void AddEntries(const Link& link, MemberIndex& index) {
    const size_t member_bytes = EmptyMemberBytes(link.summary.profile);
    index.groups_.reserve(index.groups_.size() + link.summary.entry_count + 1);
    for (uint64_t i = 0; i < link.summary.entry_count; ++i) {
      const std::byte* payload = link.entries.data() + i * member_bytes + kPayloadOffset;
      index.StartGroup();
      index.plain_bytes_ += LoadLe24(payload);
      index.file_bytes_ += LoadLe24(payload + 3);
    }
  }

  const ByteSource& source_;
  std::vector<Link> links_;  // the last tail first
};

Result<FileLayout> ReadLayout(const ByteSource& source) {
  auto from_tail = TailReader(source).Read();
  if (!from_tail) return Fail(from_tail.error());
  if (*from_tail) return std::move(**from_tail);
  return ScanLayout(source);
}

Result<FileLayout> ScanLayout(const ByteSource& source) {
  FileLayout layout;
  MemberScanner scanner(source);
  for (bool is_first = true;; is_first = false) {
    Result<std::optional<MemberInfo>> next = scanner.Next();
    if (!next) {
      if (next.error().category() == std::system_category()) return Fail(next.error());
      layout.rest = next.error();
      break;
    }
    if (!*next) break;
    const MemberInfo& member = **next;
    if (is_first) layout.profile = member.profile;
    if (member.profile) {
      layout.index.Append(member.plain_bytes, member.member_bytes);
    } else {
      layout.is_conforming = false;
      layout.index.AppendAlone(member.plain_bytes, member.member_bytes);
      layout.foreign.push_back(member);
    }
    if (member.profile != layout.profile) layout.is_conforming = false;
  }
  layout.valid_bytes = scanner.position();
  return layout;
}

// A group of a writer has 32 members and a few dead short tails, unless it is a
// dead long tail; one of more than this is made to use up memory.
constexpr size_t kMaxWalkedMembers = 4096;

Result<std::vector<MemberInfo>> WalkGroup(const ByteSource& source, const MemberGroup& group) {
  std::vector<MemberInfo> members;
  MemberScanner scanner(source, group.file_offset, group.plain_offset,
                        group.file_offset + group.file_bytes);
  for (;;) {
    Result<std::optional<MemberInfo>> next = scanner.Next();
    if (!next) return Fail(next.error());
    if (!*next) break;
    if (group.plain_bytes > 0 && members.size() == kMaxWalkedMembers) {
      return Fail(DataError::kBadTail);
    }
    members.push_back(**next);
  }
  if (scanner.plain_position() != group.plain_offset + group.plain_bytes) {
    return Fail(DataError::kBadTail);
  }
  return members;
}

}  // namespace gzipfs
