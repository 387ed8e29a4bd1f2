// One pass over the file: the same walk that decodes the members tells the
// index check where they begin.
//
// Damage is what loses plain bytes or was not written like that by anybody. A
// concatenation of stored files is neither: its index counts in part or not at
// all, which costs readers time.
#include "tools/verify_file.h"

#include <algorithm>
#include <optional>

#include "codec/member_index.h"
#include "tools/gzip_input.h"
#include "tools/index_check.h"
#include "tools/messages.h"
#include "tools/plain_stream.h"

namespace gzipfs {
namespace {

using Kind = FileVerdict::Kind;

// Gathers what the walk over one file finds.
class Findings {
 public:
  void Add(const PassedMember& member) {
    if (member.error) AddBad(member);
    ends_like_tail_ = member.is_tail || (member.is_marker && ends_like_tail_);
  }
  bool has_bad() const { return bad_count_ > 0; }
  // The file ends with what looks like a tail, with or without the marker.
  bool ends_like_tail() const { return ends_like_tail_; }

  std::string Describe(uint64_t file_bytes) const {
    std::string text = DescribeFirst(file_bytes);
    if (bad_count_ > 1) text += fmt::format("; {} more like this", bad_count_ - 1);
    return text;
  }

 private:
  void AddBad(const PassedMember& member) {
    if (bad_count_++ == 0) first_bad_ = member;
  }

  std::string DescribeFirst(uint64_t file_bytes) const {
    const PassedMember& bad = first_bad_;
    const std::string reason = ::gzipfs::Describe(bad.error);
    if (bad.member_bytes == 0 && bad.file_offset == 0 && bad.plain_bytes == 0) return reason;
    if (bad.member_bytes == 0 && bad.plain_bytes == 0) {
      return fmt::format("{} bytes from file offset {} on (plain offset {}): {}",
                         file_bytes - bad.file_offset, bad.file_offset, bad.plain_offset, reason);
    }
    if (bad.plain_bytes == 0)
      return fmt::format("member at file offset {}: {}", bad.file_offset, reason);
    return fmt::format("plain bytes {}-{}, member at file offset {}: {}", bad.plain_offset,
                       bad.plain_offset + bad.plain_bytes - 1, bad.file_offset, reason);
  }

  PassedMember first_bad_;
  uint64_t bad_count_ = 0;
  bool ends_like_tail_ = false;
};

void SetVerdict(Kind kind, std::string reason, FileVerdict& verdict) {
  verdict.kind = kind;
  verdict.reason = std::move(reason);
}

// Looks for the place in a file that its last tail was made for the part
// behind of: where another file was appended.
class JoinSearch {
 public:
  explicit JoinSearch(const std::optional<TailClaim>& claim) : claim_(claim) {}

  // A member begins here.
  void PassBoundary(uint64_t file_offset) {
    if (is_found_ || !claim_ || file_offset > claim_->summary.tail_offset) return;
    is_found_ = claim_->IsMadeFor(claim_->summary.tail_offset - file_offset);
    if (is_found_) start_ = file_offset;
  }
  bool is_found() const { return is_found_; }
  uint64_t start() const { return start_; }

 private:
  const std::optional<TailClaim> claim_;
  bool is_found_ = false;
  uint64_t start_ = 0;
};

void JudgeTail(const Findings& findings, const IndexCheck* index_check, const JoinSearch& join,
               FileVerdict& verdict) {
  const bool is_own = join.is_found() && join.start() == 0;  // though it may be of no use
  if (index_check ? !index_check->Agrees() : is_own) {
    SetVerdict(Kind::kDamaged, "the index in its tail contradicts the members", verdict);
  } else if (join.is_found() && !is_own) {
    SetVerdict(Kind::kNoted,
               fmt::format("joined from several files, the last of them from file offset {} on; "
                           "its index does not count for all, readers must scan the members",
                           join.start()),
               verdict);
  } else if (!index_check && findings.ends_like_tail()) {
    SetVerdict(Kind::kDamaged,
               "the tail at its end is damaged or another file's; readers must scan the members",
               verdict);
  }
}

Result<void> Verify(const ByteSource& source, CodecPool* pool, std::atomic<uint64_t>& done_bytes,
                    FileVerdict& verdict) {
  const Result<std::optional<TailClaim>> claim = ReadTailClaim(source, source.Size());
  if (!claim) return Fail(claim.error());
  const Result<FileLayout> layout = *claim ? ReadLayout(source) : FileLayout();
  if (!layout) return Fail(layout.error());
  std::optional<IndexCheck> index_check;
  if (layout->has_tail) index_check.emplace(layout->index);
  JoinSearch join(*claim);
  PlainStream stream(source, pool, {}, ~uint64_t{0}, PlainStream::Keep::kVerdicts);
  Findings findings;
  for (uint64_t counted_bytes = 0;;) {
    const Result<std::optional<PlainPiece>> piece = stream.Next();
    if (!piece) return Fail(piece.error());
    if (!*piece) break;
    for (const PassedMember& member : (*piece)->members) {
      findings.Add(member);
      join.PassBoundary(member.file_offset);
      if (index_check) index_check->PassBoundary(member.file_offset, member.plain_offset);
    }
    const uint64_t passed_bytes = stream.position().file_offset;
    done_bytes.fetch_add(passed_bytes - counted_bytes, std::memory_order_relaxed);
    counted_bytes = passed_bytes;
  }
  const PlainStream::Start end = stream.position();
  verdict.plain_bytes = end.plain_offset;
  if (index_check) index_check->PassBoundary(end.file_offset, end.plain_offset);
  if (findings.has_bad()) {
    SetVerdict(Kind::kDamaged, findings.Describe(verdict.file_bytes), verdict);
  } else {
    JudgeTail(findings, index_check ? &*index_check : nullptr, join, verdict);
  }
  return {};
}

}  // namespace

FileVerdict VerifyFile(const std::string& path, CodecPool* pool,
                       std::atomic<uint64_t>& done_bytes) {
  FileVerdict verdict;
  const auto unreadable = [&](std::string_view reason) {
    verdict.kind = Kind::kUnreadable;
    verdict.reason = reason;
    return verdict;
  };
  const Result<GzipInput> input = GzipInput::Open(path, GzipInput::Access::kRandom);
  if (!input)
    return unreadable(input.error().value() == EINVAL ? "not a regular file"
                                                      : Describe(input.error()));
  verdict.file_bytes = input->source().Size();
  if (verdict.file_bytes == 0) {
    SetVerdict(Kind::kNoted,
               "empty, not even an end-of-file marker; a mount shows it as an empty file", verdict);
    return verdict;
  }
  const Result<void> verified = Verify(input->source(), pool, done_bytes, verdict);
  if (!verified) return unreadable(Describe(verified.error()));
  return verdict;
}

}  // namespace gzipfs
