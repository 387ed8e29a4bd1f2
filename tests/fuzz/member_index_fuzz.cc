// The index against a plain list: members, tails and cuts as the input says;
// after each tail what a reader finds in the bytes must be the same index.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/member_header.h"
#include "codec/member_index.h"

namespace gzipfs {
namespace {

using Buffer = std::vector<std::byte>;

constexpr size_t kMaxFileBytes = 4 * kMiB;

void Require(bool condition) {
  if (!condition) std::abort();
}

// A member of `plain_bytes` plain bytes and about `extra_bytes` more than it
// takes, with a right header and trailer: walking looks at nothing else, but at
// all of one without plain bytes.
Buffer MakeMember(uint64_t plain_bytes, uint64_t extra_bytes) {
  Buffer member(kBgzfHeaderBytes + 2 + extra_bytes + kTrailerBytes);
  if (plain_bytes == 0) {
    member.resize(EncodeEmptyMember(Profile::kBgzf, Payload{}, member));
    return member;
  }
  EncodeMemberHeader(Profile::kBgzf, member.size(), member);
  EncodeTrailer({.crc32 = 1, .plain_bytes = static_cast<uint32_t>(plain_bytes)},
                std::span(member).last<kTrailerBytes>());
  return member;
}

class Model {
 public:
  void AddMember(uint64_t plain_bytes, uint64_t extra_bytes) {
    const Buffer member = MakeMember(plain_bytes, extra_bytes);
    members_.push_back({file_.size(), plain_, plain_bytes});
    index_.Append(plain_bytes, member.size());
    file_.insert(file_.end(), member.begin(), member.end());
    plain_ += plain_bytes;
  }

  void AddTail() {
    if (index_.ends_with_tail()) return;
    const uint64_t tail_offset = file_.size();
    const Buffer tail = index_.EncodeTail(Profile::kBgzf, kBgzfBlockBytes);
    file_.insert(file_.end(), tail.begin(), tail.end());
    index_.AppendTail(tail.size());
    Require(index_.ends_with_tail());
    CompareWithFile(tail_offset);
  }

  // Cuts before one of the members, as a truncation does.
  void Cut(uint64_t choice) {
    if (members_.empty()) return;
    const auto cut = members_.begin() + static_cast<ptrdiff_t>(choice % members_.size());
    const uint64_t file_offset = cut->file_offset;
    const auto layout_members = MembersBefore(file_offset);
    index_.CutAt(file_offset);
    for (const MemberInfo& member : layout_members) {
      if (member.file_offset >= index_.file_bytes()) {
        index_.Append(member.plain_bytes, member.member_bytes);
      }
    }
    plain_ = cut->plain_offset;
    file_.resize(file_offset);
    members_.erase(cut, members_.end());
    // Then the tail is a long one, and so is not at the start.
    if (index_.ends_with_tail()) CompareWithFile(~uint64_t{0});
  }

  void Check() const {
    Require(index_.plain_bytes() == plain_ && index_.file_bytes() == file_.size());
    const SpanSource source(file_);
    for (const Member& member : members_) {
      if (member.plain_bytes == 0) continue;
      for (const uint64_t at :
           {member.plain_offset, member.plain_offset + member.plain_bytes - 1}) {
        const auto group = index_.Find(at);
        Require(group && group->plain_offset <= at &&
                at < group->plain_offset + group->plain_bytes);
        Require(group->file_offset <= member.file_offset &&
                member.file_offset < group->file_offset + group->file_bytes);
      }
    }
    Require(!index_.Find(plain_));
    for (uint64_t at = 0; at < plain_;) {
      const MemberGroup group = *index_.Find(at);
      Require(WalkGroup(source, group).has_value());
      at += group.plain_bytes;
    }
  }

  size_t file_bytes() const { return file_.size(); }

 private:
  struct Member {
    uint64_t file_offset;
    uint64_t plain_offset;
    uint64_t plain_bytes;
  };

  std::vector<MemberInfo> MembersBefore(uint64_t file_offset) const {
    const SpanSource source(file_);
    MemberScanner scanner(source, 0, 0, file_offset);
    std::vector<MemberInfo> found;
    for (auto next = scanner.Next(); next && *next; next = scanner.Next()) {
      found.push_back(**next);
    }
    Require(scanner.position() == file_offset);
    return found;
  }

  void CompareWithFile(uint64_t tail_offset) const {
    const auto layout = ReadLayout(SpanSource(file_));
    // No tail is believed that says that nothing is in what it stands behind.
    const bool is_believed = plain_ > 0 || tail_offset == 0;
    Require(layout && layout->has_tail == is_believed && !layout->rest);
    Require(layout->index.plain_bytes() == plain_ && layout->valid_bytes == file_.size());
    const auto scanned = ScanLayout(SpanSource(file_));
    Require(scanned && scanned->index.plain_bytes() == plain_ && scanned->is_conforming);
  }

  MemberIndex index_;
  Buffer file_;
  uint64_t plain_ = 0;
  std::vector<Member> members_;
};

}  // namespace
}  // namespace gzipfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gzipfs::Model model;
  for (size_t i = 0; i + 3 <= size && i < 3000 && model.file_bytes() < gzipfs::kMaxFileBytes;
       i += 3) {
    const uint64_t number = data[i + 1] | uint64_t{data[i + 2]} << 8;
    switch (data[i] % 8) {
      case 0: model.AddTail(); break;
      case 1: model.Cut(number); break;
      case 2: model.AddMember(0, number % 300); break;
      default: model.AddMember(1 + number, number % 200); break;
    }
  }
  model.Check();
  return 0;
}
