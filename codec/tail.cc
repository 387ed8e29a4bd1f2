// Tails as bytes: the empty members that end a file and say how large it is
// and where its groups are. codec/FORMAT.md section 4 has the layout. What a
// tail says is believed as far as it goes with itself; whether it goes with the
// members shows when they are walked (codec/file_walk.cc).
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
uint32_t MarkChecksum(uint64_t tail_offset, std::span<const std::byte> said) {
  std::byte place[8];
  StoreLittle(place, tail_offset, 8);
  return Crc32(Crc32(0, place), said);
}

// What the mark's checksum covers besides the place.
std::span<const std::byte> PutTogether(std::span<const Payload> parts, const Payload& mark,
                                       std::span<std::byte> said) {
  auto end = said.begin();
  for (const Payload& part : parts) end = std::copy(part.begin(), part.end(), end);
  end = std::copy(mark.begin() + 4, mark.end(), end);
  return said.first(static_cast<size_t>(end - said.begin()));
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
    std::byte said[TailClaim{}.said.size()];
    StoreLe32(mark.data(), MarkChecksum(tail_offset, PutTogether(parts, mark, said)));
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

std::optional<TailClaim> ParseTailEnd(Profile profile, std::span<const std::byte> last,
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

  TailClaim claim{.summary = {.plain_bytes = LoadLe48(size->data()),
                              .block_bytes = uint64_t{1} << block_log2,
                              .profile = profile},
                  .check = LoadLe32(mark->data())};
  TailSummary& summary = claim.summary;
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
  claim.said_bytes = PutTogether(parts, *mark, claim.said).size();
  return claim;
}

}  // namespace

bool TailClaim::IsMadeFor(uint64_t tail_offset) const {
  return check == MarkChecksum(tail_offset, std::span(said).first(said_bytes));
}

Result<std::optional<TailClaim>> ReadTailClaim(const ByteSource& source, uint64_t file_end) {
  std::byte buffer[kLongTailMembers * EmptyMemberBytes(Profile::kLarge)];
  const size_t wanted = std::min<uint64_t>(sizeof(buffer), file_end);
  Result<size_t> count = source.ReadAt(file_end - wanted, std::span(buffer, wanted));
  if (!count) return Fail(count.error());
  if (*count != wanted) return std::nullopt;
  for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
    if (auto claim = ParseTailEnd(profile, std::span(buffer, wanted), file_end)) return claim;
  }
  return std::nullopt;
}

Result<std::optional<TailSummary>> ReadTailSummary(const ByteSource& source, uint64_t file_end) {
  const Result<std::optional<TailClaim>> claim = ReadTailClaim(source, file_end);
  if (!claim) return Fail(claim.error());
  if (!*claim || !(*claim)->IsMadeFor((*claim)->summary.tail_offset)) return std::nullopt;
  const TailSummary& summary = (*claim)->summary;
  // Who believed that nothing is in the members before it would cut them off.
  if ((summary.plain_bytes == 0) != (summary.tail_offset == 0)) return std::nullopt;
  return summary;
}

// Reads the chain of tails from the last to the first and turns it into an
// index. nullopt wherever the chain is broken, or needs more memory than
// `limit_bytes`: the caller scans.
class TailReader {
 public:
  TailReader(const ByteSource& source, uint64_t limit_bytes)
      : source_(source), limit_bytes_(limit_bytes) {}

  Result<std::optional<FileLayout>> Read() {
    uint64_t file_end = source_.Size();
    uint64_t plain_end = ~uint64_t{0};
    do {
      if (links_.size() == kMaxTails) return std::nullopt;
      Result<bool> link = ReadLink(file_end, plain_end);
      if (!link) return Fail(link.error());
      if (!*link) return std::nullopt;
    } while (file_end > 0);
    if (plain_end != 0) return std::nullopt;
    return Build();
  }
  // What the last tail, where there is one, says.
  std::optional<uint64_t> told_plain_bytes() const { return told_plain_bytes_; }

 private:
  // A writer's chain is log2 of the number of appends; this is for files that
  // are made of tails.
  static constexpr size_t kMaxTails = 1024;
  // The tail of a file of a TiB is one read.
  static constexpr size_t kReadBytes = 16 * kMiB;
  // What an entry takes while the index is built from it.
  static constexpr uint64_t kEntryMemoryBytes = sizeof(Payload) + sizeof(MemberIndex::Start);

  struct Link {
    TailSummary summary;
    uint64_t tail_bytes = 0;
    std::vector<Payload> entries;  // none in a short tail
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
    if (is_last) told_plain_bytes_ = tail.plain_bytes;
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
    entry_count_ += tail.entry_count;
    if (entry_count_ > limit_bytes_ / kEntryMemoryBytes) return false;
    const uint64_t end = tail.entry_count + 2;  // count and sum stand behind the entries
    std::vector<std::byte> piece(std::min(end, kReadBytes / member_bytes) * member_bytes);
    link.entries.reserve(tail.entry_count);
    plain_bytes = file_bytes = 0;
    uint32_t sum = 0;
    Payload last{};
    for (uint64_t at = 0; at < end;) {
      const size_t count = std::min<uint64_t>(end - at, piece.size() / member_bytes);
      const std::span bytes = std::span(piece).first(count * member_bytes);
      Result<size_t> got = source_.ReadAt(tail.tail_offset + at * member_bytes, bytes);
      if (!got) return Fail(got.error());
      if (*got != bytes.size()) return false;
      for (size_t i = 0; i < count; ++i, ++at) {
        const auto entry =
            ParseEmptyMember(tail.profile, bytes.subspan(i * member_bytes, member_bytes));
        if (!entry) return false;
        last = *entry;
        if (at >= tail.entry_count) continue;
        sum = Crc32(sum, last);
        plain_bytes += LoadLe24(last.data());
        file_bytes += LoadLe24(last.data() + 3);
        link.entries.push_back(last);
      }
    }
    return LoadLe48(last.data()) == sum;
  }

  FileLayout Build() {
    FileLayout layout;
    MemberIndex& index = layout.index;
    index.groups_.reserve(entry_count_ + links_.size() + 2);
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
        for (const Payload& entry : link->entries) {
          index.StartGroup();
          index.plain_bytes_ += LoadLe24(entry.data());
          index.file_bytes_ += LoadLe24(entry.data() + 3);
        }
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
    layout.told_plain_bytes = told_plain_bytes_;
    return layout;
  }

  const ByteSource& source_;
  const uint64_t limit_bytes_;
  std::optional<uint64_t> told_plain_bytes_;
  uint64_t entry_count_ = 0;  // of all tails so far
  std::vector<Link> links_;   // the last tail first
};

Result<TailLayout> ReadTailLayout(const ByteSource& source, uint64_t limit_bytes) {
  TailReader reader(source, limit_bytes);
  auto from_tail = reader.Read();
  if (!from_tail) return Fail(from_tail.error());
  return TailLayout{std::move(*from_tail), reader.told_plain_bytes()};
}

Result<FileLayout> ReadLayout(const ByteSource& source, uint64_t limit_bytes) {
  Result<TailLayout> from_tail = ReadTailLayout(source, limit_bytes);
  if (!from_tail) return Fail(from_tail.error());
  if (from_tail->layout) return std::move(*from_tail->layout);
  Result<FileLayout> layout = ScanLayout(source, limit_bytes);
  if (layout) layout->told_plain_bytes = from_tail->told_plain_bytes;
  return layout;
}

}  // namespace gzipfs
