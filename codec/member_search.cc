// One window moves over the bytes; candidates are read anew where they stand.
#include "codec/member_search.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "codec/byte_window.h"
#include "codec/codec.h"
#include "codec/member.h"
#include "codec/member_header.h"
#include "codec/member_scanner.h"

namespace gzipfs {
namespace {

constexpr size_t kSearchWindowBytes = kMiB;
// What candidates that turn out to be none may cost: bytes looked at and
// decoded, for each byte of what is searched, and to begin with.
constexpr uint64_t kCostPerByte = 64;
constexpr uint64_t kFreeCost = 256 * kMiB;
// Members decoded to find the first one behind the damage in a group.
constexpr size_t kMaxSalvageHops = 16 * 1024;

bool IsDevice(std::error_code error) { return error.category() == std::system_category(); }

// Where the next member may begin, from `begin` on; `end` when nowhere.
class HeaderSearch {
 public:
  HeaderSearch(const ByteSource& source, uint64_t end, SearchFor what)
      : source_(source), end_(end), window_(kSearchWindowBytes) {
    signature_[3] = kFlagExtra;
    signature_bytes_ = what == SearchFor::kSubfields ? 4 : 3;
  }

  Result<uint64_t> Next(uint64_t begin) {
    while (begin + signature_bytes_ <= end_) {
      if (begin < offset_ || begin + signature_bytes_ > offset_ + count_)
        GZIPFS_TRY(Fill(begin));
      if (count_ < signature_bytes_) break;
      const auto bytes = std::span(window_).first(count_).subspan(begin - offset_);
      const auto found = std::search(bytes.begin(), bytes.end(), signature_,
                                     signature_ + signature_bytes_);
      if (found != bytes.end()) return begin + static_cast<uint64_t>(found - bytes.begin());
      begin = offset_ + count_ - signature_bytes_ + 1;
    }
    return end_;
  }

 private:
  Result<void> Fill(uint64_t begin) {
    const size_t wanted = std::min<uint64_t>(window_.size(), end_ - begin);
    const Result<size_t> count = source_.ReadAt(begin, std::span(window_).first(wanted));
    if (!count) return Fail(count.error());
    offset_ = begin;
    count_ = *count;
    return {};
  }

  const ByteSource& source_;
  const uint64_t end_;
  std::byte signature_[4] = {kGzipId1, kGzipId2, kMethodDeflate, std::byte{0}};
  size_t signature_bytes_;
  std::vector<std::byte> window_;
  uint64_t offset_ = 0;
  size_t count_ = 0;
};

// The member at `file_offset` if it decodes. `cost` grows by what it took.
Result<std::optional<MemberInfo>> ReadMemberAt(const ByteSource& source, uint64_t file_offset,
                                               uint64_t file_end, SearchFor what,
                                               uint64_t& cost) {
  std::byte begin[kLargeHeaderBytes];
  const Result<size_t> count = source.ReadAt(file_offset, begin);
  if (!count) return Fail(count.error());
  const Result<MemberHeader> header = ParseMemberHeader(std::span(begin).first(*count));
  const bool may_be_foreign = header ? !header->profile
                                     : header.error() == DataError::kTruncated;
  if (what == SearchFor::kSubfields && (!header || may_be_foreign)) return std::nullopt;
  if (!header && !may_be_foreign) return std::nullopt;
  cost += *count;
  if (!may_be_foreign) {
    MemberScanner scanner(source, file_offset, 0, file_end);
    const Result<std::optional<MemberInfo>> member = scanner.Next();
    if (!member && IsDevice(member.error())) return Fail(member.error());
    if (!member || !*member) return std::nullopt;
    cost += (*member)->member_bytes + (*member)->plain_bytes;
    const Result<bool> decodes = Decodes(source, **member);
    if (!decodes) return Fail(decodes.error());
    return *decodes ? *member : std::nullopt;
  }
  MemberStream stream(source, file_offset, file_end);
  std::vector<std::byte> piece(64 * kKiB);
  while (!stream.at_end()) {
    const Result<size_t> read = stream.Read(piece);
    if (!read && IsDevice(read.error())) return Fail(read.error());
    if (!read) return std::nullopt;
    cost += *read;
  }
  return MemberInfo{.plain_offset = 0,
                    .file_offset = file_offset,
                    .plain_bytes = stream.plain_position(),
                    .member_bytes = stream.file_position() - file_offset,
                    .profile = std::nullopt};
}

void AddToRun(const MemberInfo& member, MemberRun& run) {
  if (run.file_bytes == 0) run.file_offset = member.file_offset;
  run.file_bytes += member.member_bytes;
  run.plain_bytes += member.plain_bytes;
  if (member.plain_bytes > 0) ++run.member_count;
}

}  // namespace

uint64_t MemberSearch::member_count() const {
  return std::accumulate(runs.begin(), runs.end(), uint64_t{0},
                         [](uint64_t sum, const MemberRun& run) { return sum + run.member_count; });
}

uint64_t MemberSearch::plain_bytes() const {
  return std::accumulate(runs.begin(), runs.end(), uint64_t{0},
                         [](uint64_t sum, const MemberRun& run) { return sum + run.plain_bytes; });
}

Result<bool> Decodes(const ByteSource& source, const MemberInfo& member) {
  if (!member.profile) return true;  // the scanner had to decode it
  std::vector<std::byte> stored(member.member_bytes);
  const Result<size_t> count = source.ReadAt(member.file_offset, stored);
  if (!count) return Fail(count.error());
  std::vector<std::byte> plain(member.plain_bytes);
  return *count == stored.size() && DecodeMember(stored, plain).has_value();
}

Result<MemberSearch> FindMembers(const ByteSource& source, uint64_t file_begin,
                                 uint64_t file_end, SearchFor what) {
  MemberSearch result;
  file_end = std::min(file_end, source.Size());
  if (file_begin >= file_end) return result;
  const uint64_t limit = kFreeCost + kCostPerByte * (file_end - file_begin);
  uint64_t wasted = 0;
  HeaderSearch search(source, file_end, what);
  for (uint64_t at = file_begin; at < file_end;) {
    const Result<uint64_t> candidate = search.Next(at);
    if (!candidate) return Fail(candidate.error());
    at = *candidate;
    MemberRun run;
    while (at < file_end) {
      uint64_t cost = 0;
      const auto member = ReadMemberAt(source, at, file_end, what, cost);
      if (!member) return Fail(member.error());
      if (!*member) {
        wasted += cost;
        break;
      }
      AddToRun(**member, run);
      at = (*member)->file_end();
    }
    if (run.plain_bytes > 0) result.runs.push_back(run);
    if (run.file_bytes == 0) ++at;
    result.gave_up = wasted > limit;
    if (result.gave_up) break;
  }
  return result;
}

namespace {

// Members from `file_offset` on that end exactly where the group does, placed
// by that. Empty when they do not. `hops_left` shrinks.
Result<std::vector<MemberInfo>> WalkToEnd(const ByteSource& source, const MemberGroup& group,
                                          uint64_t file_offset, uint64_t plain_begin,
                                          size_t& hops_left) {
  const uint64_t file_end = group.file_offset + group.file_bytes;
  const uint64_t room = group.plain_offset + group.plain_bytes - plain_begin;
  MemberScanner scanner(source, file_offset, 0, file_end);
  std::vector<MemberInfo> members;
  while (scanner.position() < file_end && hops_left > 0) {
    --hops_left;
    const Result<std::optional<MemberInfo>> member = scanner.Next();
    if (!member && IsDevice(member.error())) return Fail(member.error());
    if (!member || !*member || scanner.plain_position() > room) break;
    // One with a wrong ISIZE would move those before it.
    const Result<bool> decodes = Decodes(source, **member);
    if (!decodes) return Fail(decodes.error());
    if (!*decodes) break;
    members.push_back(**member);
  }
  if (members.empty() || scanner.position() != file_end || scanner.plain_position() > room)
    return std::vector<MemberInfo>{};
  const uint64_t shift = plain_begin + room - scanner.plain_position();
  for (MemberInfo& member : members) member.plain_offset += shift;
  return members;
}

}  // namespace

Result<std::vector<MemberInfo>> SalvageGroup(const ByteSource& source, const MemberGroup& group) {
  const uint64_t file_end = group.file_offset + group.file_bytes;
  const uint64_t plain_end = group.plain_offset + group.plain_bytes;
  std::vector<MemberInfo> members;
  MemberScanner scanner(source, group.file_offset, group.plain_offset, file_end);
  uint64_t front_file_end = group.file_offset;
  uint64_t front_plain_end = group.plain_offset;
  for (;;) {
    const Result<std::optional<MemberInfo>> member = scanner.Next();
    if (!member && IsDevice(member.error())) return Fail(member.error());
    if (!member) break;
    if (!*member || members.size() == kMaxWalkedMembers) return std::vector<MemberInfo>{};
    const Result<bool> decodes = Decodes(source, **member);
    if (!decodes) return Fail(decodes.error());
    if (!*decodes) break;
    if ((*member)->plain_end() > plain_end) return std::vector<MemberInfo>{};
    members.push_back(**member);
    front_file_end = scanner.position();
    front_plain_end = scanner.plain_position();
  }
  HeaderSearch search(source, file_end, SearchFor::kSubfields);
  size_t hops_left = kMaxSalvageHops;
  for (uint64_t at = front_file_end + 1; hops_left > 0; ++at) {
    const Result<uint64_t> candidate = search.Next(at);
    if (!candidate) return Fail(candidate.error());
    at = *candidate;
    if (at >= file_end) break;
    const auto behind = WalkToEnd(source, group, at, front_plain_end, hops_left);
    if (!behind) return Fail(behind.error());
    if (behind->empty()) continue;
    members.insert(members.end(), behind->begin(), behind->end());
    break;
  }
  return members;
}

Result<bool> HasDamagedMember(const ByteSource& source, const MemberGroup& group) {
  MemberScanner scanner(source, group.file_offset, group.plain_offset,
                        group.file_offset + group.file_bytes);
  for (size_t i = 0; i < kMaxWalkedMembers; ++i) {
    const Result<std::optional<MemberInfo>> member = scanner.Next();
    if (!member && IsDevice(member.error())) return Fail(member.error());
    // A size that is too large makes the scanner decode.
    const bool was_decoded = !member && (member.error() == DataError::kBadSize ||
                                         member.error() == DataError::kBadChecksum ||
                                         member.error() == DataError::kBadDeflate);
    if (was_decoded) return true;
    if (!member || !*member) break;
    if (scanner.plain_position() - group.plain_offset > 2 * kGroupMaxBytes) break;
    const Result<bool> decodes = Decodes(source, **member);
    if (!decodes || !*decodes) return decodes ? Result<bool>(true) : decodes;
  }
  return false;
}

namespace {

// True when a raw deflate stream begins at `file_offset` and a trailer that
// fits it follows.
Result<bool> IsStreamWithTrailer(const ByteSource& source, uint64_t file_offset) {
  ByteWindow window(source, source.Size());
  const auto decompressor = MakeStreamDecompressor();
  std::vector<std::byte> plain(64 * kKiB);
  uint64_t plain_bytes = 0;
  uint32_t crc = 0;
  while (plain_bytes <= kMaxLargeBlockBytes) {
    const auto input = window.Peek(file_offset, 1, plain.size());
    if (!input) return Fail(input.error());
    const auto step = decompressor->Inflate(*input, plain);
    if (!step) return false;
    if (step->consumed == 0 && step->produced == 0 && !step->at_end) return false;
    crc = Crc32(crc, std::span(plain).first(step->produced));
    plain_bytes += step->produced;
    file_offset += step->consumed;
    if (!step->at_end) continue;
    const auto end = window.Peek(file_offset - step->overrun, kTrailerBytes, kTrailerBytes);
    if (!end) return Fail(end.error());
    if (end->size() < kTrailerBytes) return false;
    const MemberTrailer trailer = ParseTrailer(*end);
    return plain_bytes > 0 && trailer.crc32 == crc && trailer.plain_bytes == plain_bytes;
  }
  return false;
}

}  // namespace

Result<bool> IsMemberWithBadHeader(const ByteSource& source, uint64_t file_offset) {
  for (const Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    const Result<bool> found = IsStreamWithTrailer(source, file_offset + HeaderBytes(profile));
    if (!found || *found) return found;
  }
  return false;
}

}  // namespace gzipfs
