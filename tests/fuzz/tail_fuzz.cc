// Tails on arbitrary bytes, and tails that lie with all their checksums right.
//
// The first byte chooses: the rest of the input is a file as it is, or it is
// the contents of a chain of tails whose sums and marks are then made right, so
// that the reader gets as far as what the entries say.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/base/endian.h"
#include "codec/codec.h"
#include "codec/member_header.h"
#include "codec/member_index.h"

namespace gzipfs {
namespace {

using Buffer = std::vector<std::byte>;

constexpr size_t kMaxInputBytes = 64 * kKiB;
constexpr size_t kMaxWalkedGroups = 200;

void Require(bool condition) {
  if (!condition) std::abort();
}

// Hands out the input bit by bit; zeros when it is used up.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t Number(size_t byte_count) {
    uint64_t value = 0;
    for (size_t i = 0; i < byte_count; ++i) {
      value = value << 8 | (bytes_.empty() ? 0 : static_cast<uint8_t>(bytes_.front()));
      if (!bytes_.empty()) bytes_ = bytes_.subspan(1);
    }
    return value;
  }
  bool empty() const { return bytes_.empty(); }
  std::span<const std::byte> rest() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

void AddEmpty(Buffer* file, Profile profile, const Payload& payload) {
  file->resize(file->size() + EmptyMemberBytes(profile));
  EncodeEmptyMember(profile, payload, std::span(*file).last(EmptyMemberBytes(profile)));
}

Payload Number48(uint64_t value) {
  Payload payload{};
  StoreLe48(payload.data(), value);
  return payload;
}

// A tail whose entries and size are the input's, and whose checks are right
// (codec/FORMAT.md, section 3).
void AddLyingTail(Buffer* file, Profile profile, Input* input) {
  const uint64_t tail_offset = file->size();
  const uint64_t entry_count = input->Number(1) % 40;
  uint32_t sum = 0;
  uint64_t file_bytes = 0;
  for (uint64_t i = 0; i < entry_count; ++i) {
    Payload entry{};
    StoreLe24(entry.data(), input->Number(2));
    // The last entry often makes the sizes add up, so that the chain goes on.
    uint64_t stored = input->Number(2);
    if (i + 1 == entry_count && tail_offset > file_bytes && stored % 2 == 0) {
      stored = std::min(tail_offset - file_bytes, kGroupMaxBytes);
    }
    file_bytes += stored;
    StoreLe24(entry.data() + 3, stored);
    sum = Crc32(sum, entry);
    AddEmpty(file, profile, entry);
  }
  std::vector<Payload> parts;
  if (entry_count > 0) parts = {Number48(entry_count), Number48(sum)};
  parts.push_back(Number48(input->Number(3)));
  Payload mark{};
  mark[4] = std::byte{0x47};
  mark[5] = static_cast<std::byte>(16 | (entry_count > 0 ? 0x20 : 0));
  std::byte place[8];
  StoreLittle(place, tail_offset, 8);
  uint32_t check = Crc32(0, place);
  for (const Payload& part : parts) check = Crc32(check, part);
  check = Crc32(check, std::span(mark).subspan(4));
  StoreLe32(mark.data(), check);
  for (const Payload& part : parts) AddEmpty(file, profile, part);
  AddEmpty(file, profile, mark);
  AddEmpty(file, profile, kEofPayload);
}

// What a walk of a group finds is within it and adds up to it.
void CheckWalk(const SpanSource& source, const MemberGroup& group, const FileLayout& layout) {
  const auto members = WalkGroup(source, group);
  // A tail may lie; then the walk says so. A scan never does, but a member that
  // was decoded may say that it is longer than its group.
  Require(members.has_value() || layout.has_tail || !layout.is_conforming);
  if (!members) return;
  Require(members->size() <= kMaxWalkedMembers);
  uint64_t end = group.plain_offset;
  for (const MemberInfo& member : *members) {
    Require(member.plain_offset == end && member.file_end() <= source.Size());
    end = member.plain_end();
  }
  Require(end == group.plain_offset + group.plain_bytes);
}

void CheckGroups(const SpanSource& source, const FileLayout& layout) {
  uint64_t plain_offset = 0;
  uint64_t file_offset = 0;
  for (size_t i = 0; i < layout.index.group_count(); ++i) {
    const MemberGroup group = layout.index.GroupAt(i);
    Require(group.plain_offset == plain_offset && group.file_offset == file_offset);
    plain_offset += group.plain_bytes;
    file_offset += group.file_bytes;
    if (group.plain_bytes == 0) continue;
    const auto found = layout.index.Find(group.plain_offset);
    Require(found && found->file_offset == group.file_offset);
    Require(found->dead_before <= group.file_offset &&
            found->dead_behind <= source.Size() - file_offset);
    if (i < kMaxWalkedGroups) CheckWalk(source, *found, layout);
  }
  Require(plain_offset == layout.index.plain_bytes() && file_offset <= source.Size());
}

// Walks all groups from the front until one does not fit: what was right up to
// there is what a scan finds, and all of it if every group fits.
void CompareWithScan(const SpanSource& source, const FileLayout& layout) {
  const auto scanned = ScanLayout(source);
  Require(scanned.has_value());
  uint64_t plain_bytes = 0;
  bool all_fit = true;
  while (plain_bytes < layout.index.plain_bytes() && all_fit) {
    const MemberGroup group = *layout.index.Find(plain_bytes);
    all_fit = WalkGroup(source, group).has_value();
    if (all_fit) plain_bytes += group.plain_bytes;
  }
  Require(plain_bytes <= scanned->index.plain_bytes());
  if (!all_fit) return;
  Require(plain_bytes == scanned->index.plain_bytes());
  Require(scanned->valid_bytes == layout.valid_bytes);
}

void CheckLayout(const Buffer& file) {
  const SpanSource source(file);
  const auto summary = ReadTailSummary(source, file.size());
  Require(summary.has_value());
  if (*summary) {
    Require((*summary)->tail_offset < file.size() && (*summary)->plain_bytes <= kMaxPlainBytes);
  }
  const auto layout = ReadLayout(source);
  Require(layout.has_value());
  Require(layout->valid_bytes <= file.size());
  Require(layout->index.file_bytes() == layout->valid_bytes);
  Require(!layout->has_tail || *summary);
  CheckGroups(source, *layout);
  CompareWithScan(source, *layout);
  // However little memory there may be: the same, or less of the file.
  for (uint64_t limit_bytes : {0, 100, 1000}) {
    const auto small = ReadLayout(source, limit_bytes);
    Require(small.has_value());
    CheckGroups(source, *small);
    Require(small->valid_bytes == layout->valid_bytes || small->rest);
    Require(small->has_tail ||
            small->index.group_count() * MemberIndex::kGroupMemoryBytes <=
                limit_bytes + MemberIndex::kGroupMemoryBytes);
  }
}

void RunOne(std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.size() > kMaxInputBytes) return;
  Input input(bytes);
  const uint64_t kind = input.Number(1);
  Buffer file;
  if (kind % 4 == 0) {
    file.assign(input.rest().begin(), input.rest().end());
  } else {
    const Profile profile = kind % 4 == 1 ? Profile::kLarge : Profile::kBgzf;
    for (int i = 0; i < 8 && !input.empty(); ++i) {
      for (uint64_t members = input.Number(1) % 8; members > 0; --members) {
        AddEmpty(&file, profile, Number48(input.Number(2)));
      }
      AddLyingTail(&file, profile, &input);
    }
  }
  CheckLayout(file);
}

}  // namespace
}  // namespace gzipfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gzipfs::RunOne(std::as_bytes(std::span(data, size)));
  return 0;
}
