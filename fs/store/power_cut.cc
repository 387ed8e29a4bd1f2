// Members are read by the megabyte and decoded by all workers.
#include "fs/store/power_cut.h"

#include <algorithm>
#include <vector>

#include "codec/member_index.h"
#include "codec/member_scanner.h"
#include "fs/store/base_rest.h"
#include "fs/store/decode_batch.h"

namespace gzipfs {
namespace {

constexpr uint64_t kSectorBytes = 512;
constexpr uint64_t kScanBytes = 2 * kMiB;
constexpr uint64_t kBatchPlainBytes = 16 * kMiB;
// Fewer zeros than that are found in good members: the size in a trailer has three.
constexpr uint64_t kFewZeros = 4;

struct Place {
  uint64_t file_offset = 0;
  uint64_t plain_offset = 0;
};

// A member boundary from which on there are no more than `search_bytes`, as far
// as the index helps.
Result<Place> FindSearchStart(const ByteSource& base, uint64_t search_bytes) {
  if (base.Size() <= search_bytes) return Place{};
  const Result<FileLayout> layout = ReadLayout(base);
  if (!layout) return Fail(layout.error());
  const uint64_t wanted = base.Size() - search_bytes;
  size_t low = 0;
  for (size_t high = layout->index.group_count(); low < high;) {
    const size_t middle = low + (high - low) / 2;
    if (layout->index.GroupAt(middle).file_offset < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == layout->index.group_count()) return Place{};
  const MemberGroup group = layout->index.GroupAt(low);
  return Place{group.file_offset, group.plain_offset};
}

bool IsZeros(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

// Zeros at the front may be the first page of a file of ours, or of one that is no
// gzip file at all.
Result<std::optional<uint64_t>> JudgeBeginning(const ByteSource& base) {
  const Result<std::optional<TailSummary>> tail = ReadTailSummary(base, base.Size());
  if (!tail) return Fail(tail.error());
  if (*tail) return 0;
  const Result<bool> has_members = HasMembersBehind(base, 0);
  if (!has_members) return Fail(has_members.error());
  return *has_members ? std::optional<uint64_t>(0) : std::nullopt;
}

// Whether the file begins with a member that is not in our form.
Result<bool> BeginsForeign(const ByteSource& base) {
  std::byte bytes[kLargeHeaderBytes];
  const Result<size_t> count = base.ReadAt(0, bytes);
  if (!count) return Fail(count.error());
  const Result<MemberHeader> header = ParseMemberHeader(std::span(bytes).first(*count));
  return header && !header->profile;
}

// What stands at `file_offset` is no member, or cannot be decoded: lost, if it begins
// with zeros, or a sector in it, or the part of one, holds nothing else.
Result<std::optional<uint64_t>> Judge(const ByteSource& base, uint64_t file_offset,
                                      bool is_ours) {
  std::vector<std::byte> bytes(kLargeHeaderBytes);
  Result<size_t> count = base.ReadAt(file_offset, bytes);
  if (!count) return Fail(count.error());
  bytes.resize(*count);
  // An append may have begun less than that before the end of a sector.
  const uint64_t in_sector = kSectorBytes - file_offset % kSectorBytes;
  const uint64_t begin_bytes = std::min(kFewZeros, in_sector);
  const bool begins_lost = *count >= begin_bytes && IsZeros(std::span(bytes).first(begin_bytes));
  if (begins_lost && file_offset == 0 && !is_ours) return JudgeBeginning(base);
  if (begins_lost) return file_offset;
  // Half a header of ours may look like a whole one of somebody else's.
  const Result<MemberHeader> header = ParseMemberHeader(bytes);
  if (header && header->profile) {
    bytes.resize(std::min(header->member_bytes, base.Size() - file_offset));
    count = base.ReadAt(file_offset, bytes);
    if (!count) return Fail(count.error());
  }
  const uint64_t end = file_offset + *count;
  for (uint64_t at = file_offset; at < end;) {
    const uint64_t sector_end = std::min((at / kSectorBytes + 1) * kSectorBytes, end);
    const auto sector = std::span(bytes).subspan(at - file_offset, sector_end - at);
    if (sector.size() >= kFewZeros && IsZeros(sector)) return file_offset;
    at = sector_end;
  }
  return std::nullopt;
}

// The first of `members`, which lie one behind the other, that cannot be decoded.
Result<const MemberInfo*> FindUndecodable(Store& store, const ByteSource& base,
                                          std::span<const MemberInfo> members) {
  if (members.empty()) return nullptr;
  const uint64_t begin = members.front().file_offset;
  std::vector<std::byte> stored(members.back().file_end() - begin);
  const Result<size_t> count = base.ReadAt(begin, stored);
  if (!count) return Fail(count.error());
  if (*count != stored.size()) return Fail(EIO);
  std::vector<std::vector<std::byte>> plain;
  std::vector<DecodePart> parts;
  for (const MemberInfo& member : members) {
    plain.emplace_back(member.plain_bytes);
    parts.push_back({std::span(stored).subspan(member.file_offset - begin, member.member_bytes),
                     plain.back()});
  }
  if (DecodeMembers(store.pool(), parts)) return nullptr;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!DecodeMembers(store.pool(), {parts[i]})) return &members[i];
  }
  return nullptr;
}

}  // namespace

Result<std::optional<uint64_t>> FindLostPages(Store& store, const ByteSource& base, bool is_ours,
                                              uint64_t search_bytes) {
  const Result<bool> is_foreign = BeginsForeign(base);
  if (!is_foreign) return Fail(is_foreign.error());
  if (*is_foreign) return std::nullopt;
  const Result<Place> start = FindSearchStart(base, search_bytes);
  if (!start && start.error().category() == DataErrorCategory()) return std::nullopt;
  if (!start) return Fail(start.error());
  MemberScanner scanner(base, start->file_offset, start->plain_offset, base.Size());
  for (bool at_end = false; !at_end;) {
    std::vector<MemberInfo> batch;
    const uint64_t begin = scanner.position();
    const uint64_t plain_begin = scanner.plain_position();
    std::error_code broken;
    while (scanner.position() - begin < kScanBytes &&
           scanner.plain_position() - plain_begin < kBatchPlainBytes) {
      const Result<std::optional<MemberInfo>> member = scanner.Next();
      if (!member && member.error().category() == std::system_category()) {
        return Fail(member.error());
      }
      if (!member) broken = member.error();
      at_end = !member || !*member;
      if (at_end) break;
      if (!(*member)->profile) return std::nullopt;
      batch.push_back(**member);
    }
    const auto bad = FindUndecodable(store, base, batch);
    if (!bad) return Fail(bad.error());
    if (*bad) return Judge(base, (*bad)->file_offset, is_ours);
    if (!broken) continue;
    const Result<BaseRest> rest = ClassifyRest(base, scanner.position(), broken, true);
    if (!rest) return Fail(rest.error());
    if (*rest == BaseRest::kTorn) {
      // A plain torn end, unless its tail got to the disk.
      const Result<std::optional<TailSummary>> tail = ReadTailSummary(base, base.Size());
      if (!tail) return Fail(tail.error());
      return *tail ? std::optional(scanner.position()) : std::nullopt;
    }
    return Judge(base, scanner.position(), is_ours);
  }
  return std::nullopt;
}

}  // namespace gzipfs
