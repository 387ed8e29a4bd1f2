// One pass over the file: the same walk that decodes the members tells the
// index check where they begin. Where the walk ends at damage, the index, if
// there is one, tells where it goes on, and the group with the damage in it is
// read as a mount reads it (codec/member_search.h).
//
// Damage is what loses plain bytes or was not written like that by anybody. A
// concatenation of stored files is neither: its index counts in part or not at
// all, which costs readers time.
#include "tools/verify_file.h"

#include <algorithm>
#include <array>
#include <optional>

#include "codec/index_check.h"
#include "codec/member_index.h"
#include "codec/member_search.h"
#include "fs/store/base_rest.h"
#include "fs/sys/at.h"
#include "tools/file_losses.h"
#include "tools/gzip_input.h"
#include "tools/join_search.h"
#include "tools/messages.h"
#include "tools/plain_stream.h"

namespace gzipfs {
namespace {

using Kind = FileVerdict::Kind;

constexpr int kMaxLooks = 5;
// A writer may be kept waiting half-way through a write, by a slow disk.
constexpr time_t kWriterPatience_s = 60;

// What a file adds to the progress of all: never more than its size when it was
// counted, and that much in the end, however often it is looked at.
class FileProgress {
 public:
  FileProgress(std::atomic<uint64_t>& done_bytes, uint64_t file_bytes)
      : done_bytes_(done_bytes), file_bytes_(file_bytes) {}
  ~FileProgress() { Reach(file_bytes_); }
  FileProgress(const FileProgress&) = delete;
  FileProgress& operator=(const FileProgress&) = delete;

  void Reach(uint64_t file_offset) {
    const uint64_t reached = std::min(file_offset, file_bytes_);
    if (reached <= counted_bytes_) return;
    done_bytes_.fetch_add(reached - counted_bytes_, std::memory_order_relaxed);
    counted_bytes_ = reached;
  }

 private:
  std::atomic<uint64_t>& done_bytes_;
  const uint64_t file_bytes_;
  uint64_t counted_bytes_ = 0;
};

void SetVerdict(Kind kind, std::string reason, FileVerdict& verdict) {
  verdict.kind = kind;
  verdict.reason = std::move(reason);
}

// One look at a file as it is.
class Verification {
 public:
  Verification(const ByteSource& source, CodecPool* pool, const VerifyOptions& options,
               FileProgress& progress)
      : source_(source), pool_(pool), options_(options), progress_(progress) {}

  // Errors are the device's.
  Result<void> Run(FileVerdict& verdict);

 private:
  enum class WalkEnd : uint8_t { kComplete, kDamage, kInterrupted };

  Result<WalkEnd> Walk(PlainStream::Start start);
  void Pass(const PassedMember& member);
  Result<std::optional<PlainStream::Start>> PassDamage(bool walk_is_complete);
  Result<void> AddGaps(const MemberGroup& group, const std::vector<MemberInfo>& walked,
                       std::error_code error);
  void JudgeTail(FileVerdict& verdict) const;
  void Tell(WalkEnd end, FileVerdict& verdict) const;
  Result<void> LookBehind(FileVerdict& verdict) const;

  const ByteSource& source_;
  CodecPool* const pool_;
  const VerifyOptions& options_;
  FileProgress& progress_;
  FileLayout layout_;
  std::optional<IndexCheck> index_check_;
  std::optional<JoinSearch> join_;
  FileLosses losses_;
  PlainStream::Start end_;         // of the walk
  bool ends_like_tail_ = false;    // with what looks like one, with or without the marker
  bool has_tail_members_ = false;
};

void Verification::Pass(const PassedMember& member) {
  if (member.error) {
    losses_.Add({.plain_offset = member.plain_offset,
                 .plain_bytes = member.plain_bytes,
                 .file_offset = member.file_offset,
                 .member_count = member.member_bytes > 0 || member.plain_bytes > 0 ? 1u : 0u,
                 .error = member.error});
  }
  ends_like_tail_ = member.is_tail || (member.is_marker && ends_like_tail_);
  has_tail_members_ = has_tail_members_ || member.is_tail;
  join_->PassBoundary(member.file_offset);
  if (index_check_) index_check_->PassBoundary(member.file_offset, member.plain_offset);
}

Result<Verification::WalkEnd> Verification::Walk(PlainStream::Start start) {
  PlainStream stream(source_, pool_, start, ~uint64_t{0}, PlainStream::Keep::kVerdicts,
                     options_.is_deep ? PlainStream::Proof::kTwice : PlainStream::Proof::kOnce);
  bool is_stopped = false;
  for (;;) {
    if (options_.is_interrupted && options_.is_interrupted()) return WalkEnd::kInterrupted;
    const Result<std::optional<PlainPiece>> piece = stream.Next();
    if (!piece) return Fail(piece.error());
    if (!*piece) break;
    for (const PassedMember& member : (*piece)->members) {
      Pass(member);
      is_stopped = member.error && member.member_bytes == 0;
    }
    progress_.Reach(stream.position().file_offset);
  }
  end_ = stream.position();
  // An incomplete member without a length: what was decoded of it does not count.
  if (is_stopped) end_.plain_offset = losses_.last().plain_offset;
  if (index_check_ && !is_stopped) {
    index_check_->PassBoundary(end_.file_offset, end_.plain_offset);
  }
  return is_stopped ? WalkEnd::kDamage : WalkEnd::kComplete;
}

// What of a group with damage in it cannot be read. `walked`: its members, if a
// walk passes them all.
Result<void> Verification::AddGaps(const MemberGroup& group,
                                   const std::vector<MemberInfo>& walked,
                                   std::error_code error) {
  const Result<std::vector<MemberInfo>> members =
      walked.empty() ? SalvageGroup(source_, group) : walked;
  if (!members) return Fail(members.error());
  uint64_t plain_at = group.plain_offset;
  uint64_t file_at = group.file_offset;
  const auto add_gap = [&](uint64_t plain_end, uint64_t file_end) {
    if (plain_end == plain_at && file_end == file_at) return;
    losses_.Add({plain_at, plain_end - plain_at, file_at, 1, error});
  };
  for (const MemberInfo& member : *members) {
    add_gap(member.plain_offset, member.file_offset);
    plain_at = member.plain_end();
    file_at = member.file_end();
    const Result<bool> decodes = Decodes(source_, member);
    if (!decodes) return Fail(decodes.error());
    if (*decodes) continue;
    losses_.Add({member.plain_offset, member.plain_bytes, member.file_offset, 1,
                 make_error_code(DataError::kBadDeflate)});
  }
  add_gap(group.plain_offset + group.plain_bytes, group.file_offset + group.file_bytes);
  return {};
}

// Where the walk goes on behind damage, by the index; nullopt when it does not.
Result<std::optional<PlainStream::Start>> Verification::PassDamage(bool walk_is_complete) {
  const std::optional<size_t> damaged = index_check_->FirstUnproven();
  if (!damaged) return std::nullopt;
  size_t next = *damaged;
  const MemberGroup group = layout_.index.GroupAt(*damaged);
  if (walk_is_complete) {
    // It goes by ISIZE; where no member is damaged, it is the index that is wrong.
    const Result<bool> is_misled = HasDamagedMember(source_, group);
    if (!is_misled) return Fail(is_misled.error());
    if (!*is_misled) return std::nullopt;
  }
  const bool is_before_group = !walk_is_complete && end_.file_offset < group.file_offset;
  if (!is_before_group) {
    const std::error_code error =
        losses_.empty() ? make_error_code(DataError::kBadSize) : losses_.last().error;
    const uint64_t stop_offset = end_.file_offset;
    losses_.DropFrom(group.file_offset);
    const Result<std::vector<MemberInfo>> members = WalkGroup(
        source_, {group.plain_offset, group.plain_bytes, group.file_offset, group.file_bytes});
    if (!members && members.error().category() == std::system_category())
      return Fail(members.error());
    // A wrong length alone costs nothing: where a member ends shows when it is decoded.
    if (members) losses_.Add({group.plain_offset, 0, stop_offset, 1, error});
    GZIPFS_TRY(AddGaps(group, members ? *members : std::vector<MemberInfo>{}, error));
    for (++next; next < layout_.index.group_count(); ++next) {
      if (layout_.index.GroupAt(next).plain_bytes > 0) break;
    }
  }
  index_check_->ResumeAt(next);
  if (next >= layout_.index.group_count()) {
    index_check_->PassBoundary(layout_.index.file_bytes(), layout_.index.plain_bytes());
    end_ = {source_.Size(), layout_.index.plain_bytes()};
    return std::nullopt;
  }
  const MemberGroup resumed = layout_.index.GroupAt(next);
  return PlainStream::Start{resumed.file_offset, resumed.plain_offset};
}

void Verification::JudgeTail(FileVerdict& verdict) const {
  const bool is_own = join_->is_found() && join_->start() == 0;  // though it may be of no use
  if (index_check_ ? !index_check_->Agrees() : is_own) {
    SetVerdict(Kind::kDamaged, "the index in its tail contradicts the members", verdict);
  } else if (join_->is_found() && !is_own) {
    SetVerdict(Kind::kNoted,
               fmt::format("joined from several files, the last of them from file offset {} on; "
                           "its index does not count for all, readers must scan the members",
                           join_->start()),
               verdict);
  } else if (!index_check_ && ends_like_tail_) {
    SetVerdict(Kind::kDamaged,
               "the tail at its end is damaged or another file's; readers must scan the members",
               verdict);
  } else if (!index_check_ && has_tail_members_) {
    SetVerdict(Kind::kNoted, "no tail at its end; readers must scan the members", verdict);
  }
}

void Verification::Tell(WalkEnd end, FileVerdict& verdict) const {
  if (end == WalkEnd::kComplete) JudgeTail(verdict);
  verdict.may_need_repair = verdict.kind != Kind::kGood;
  if (losses_.empty()) return;
  verdict.may_need_repair = true;
  std::vector<std::string> lines = losses_.Describe(verdict.file_bytes);
  if (verdict.kind == Kind::kDamaged) lines.push_back(std::move(verdict.reason));
  SetVerdict(Kind::kDamaged, std::move(lines.front()), verdict);
  verdict.further.assign(std::make_move_iterator(lines.begin() + 1),
                         std::make_move_iterator(lines.end()));
}

// What can be read behind the place at which the walk ended for good.
Result<void> Verification::LookBehind(FileVerdict& verdict) const {
  const Result<MemberSearch> search = FindMembers(source_, end_.file_offset + 1, source_.Size(),
                                                  SearchFor::kSubfields);
  if (!search) return Fail(search.error());
  constexpr size_t kMaxToldRuns = 20;
  for (size_t i = 0; i < std::min(search->runs.size(), kMaxToldRuns); ++i) {
    const MemberRun& run = search->runs[i];
    verdict.further.push_back(
        fmt::format("behind that: {} readable member{} at file offsets {} to {}, {} plain bytes",
                    run.member_count, run.member_count == 1 ? "" : "s", run.file_offset,
                    run.file_offset + run.file_bytes - 1, run.plain_bytes));
  }
  if (search->runs.empty()) {
    verdict.further.emplace_back("behind that: no readable member");
  } else if (search->runs.size() > 1) {
    verdict.further.push_back(fmt::format("behind that in all: {} readable members, {} plain bytes",
                                          search->member_count(), search->plain_bytes()));
  }
  if (search->gave_up) verdict.further.emplace_back("behind that: too much looks like members");
  return {};
}

Result<void> Verification::Run(FileVerdict& verdict) {
  const Result<std::optional<TailClaim>> claim = ReadTailClaim(source_, source_.Size());
  if (!claim) return Fail(claim.error());
  Result<FileLayout> layout = *claim ? ReadLayout(source_) : FileLayout();
  if (!layout) return Fail(layout.error());
  layout_ = std::move(*layout);
  join_.emplace(*claim);
  if (layout_.has_tail) index_check_.emplace(layout_.index);
  Result<WalkEnd> end = WalkEnd::kComplete;
  for (std::optional<PlainStream::Start> start = PlainStream::Start{}; start;) {
    end = Walk(*start);
    if (!end) return Fail(end.error());
    start.reset();
    const bool is_complete = *end == WalkEnd::kComplete;
    const bool goes_on = index_check_ && *end != WalkEnd::kInterrupted &&
                         !(is_complete && index_check_->Agrees());
    if (!goes_on) break;
    auto resumed = PassDamage(is_complete);
    if (!resumed) return Fail(resumed.error());
    start = *resumed;
  }
  if (*end == WalkEnd::kInterrupted) {
    verdict.kind = Kind::kInterrupted;
    return {};
  }
  verdict.plain_bytes = end_.plain_offset;
  Tell(*end, verdict);
  if (*end == WalkEnd::kDamage && losses_.is_only_end()) {
    const Result<BaseRest> rest =
        ClassifyRest(source_, end_.file_offset, losses_.last().error, /*is_conforming=*/true);
    if (!rest) return Fail(rest.error());
    verdict.is_torn_end = *rest == BaseRest::kTorn;
  }
  const bool is_left_out = *end == WalkEnd::kDamage && end_.file_offset < source_.Size();
  return is_left_out && options_.is_deep ? LookBehind(verdict) : Result<void>();
}

// True when the file was named as a gzip file and is none, which a mount shows
// as it is. One that ends with our tail was one once.
Result<bool> IsRaw(const std::string& path, const ByteSource& source) {
  std::array<std::byte, 2> magic{};
  const Result<size_t> count = source.ReadAt(0, magic);
  if (!count) return Fail(count.error());
  if (magic[0] == kGzipId1 && magic[1] == kGzipId2) return false;
  const auto tail = ReadTailSummary(source, source.Size());
  if (!tail) return Fail(tail.error());
  return path.ends_with(".gz") && !*tail;
}

Result<void> LookOnce(const std::string& path, const ByteSource& source, CodecPool* pool,
                      const VerifyOptions& options, FileProgress& progress,
                      FileVerdict& verdict) {
  verdict.file_bytes = source.Size();
  if (verdict.file_bytes == 0) {
    SetVerdict(Kind::kNoted,
               "empty, not even an end-of-file marker; a mount shows it as an empty file", verdict);
    return {};
  }
  const Result<bool> is_raw = IsRaw(path, source);
  if (!is_raw) return Fail(is_raw.error());
  if (*is_raw) {
    SetVerdict(Kind::kNoted, "is not gzip; shown as it is", verdict);
    return {};
  }
  return Verification(source, pool, options, progress).Run(verdict);
}

bool IsUnchanged(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

FileVerdict Unreadable(std::error_code error) {
  FileVerdict verdict;
  const bool is_gone = error == std::error_code(ENOENT, std::system_category());
  SetVerdict(is_gone ? Kind::kGone : Kind::kUnreadable,
             error == std::error_code(EINVAL, std::system_category()) ? "not a regular file"
                                                                      : Describe(error),
             verdict);
  return verdict;
}

}  // namespace

FileVerdict VerifyFile(const std::string& path, CodecPool* pool,
                       std::atomic<uint64_t>& done_bytes, const VerifyOptions& options) {
  std::optional<FileProgress> progress;
  bool was_damaged = false;
  for (int look = 0; look < kMaxLooks; ++look) {
    const Result<GzipInput> input = GzipInput::Open(path, GzipInput::Access::kRandom);
    if (!input) return Unreadable(input.error());
    if (!progress) progress.emplace(done_bytes, input->source().Size());
    FileVerdict verdict;
    const Result<void> verified =
        LookOnce(path, input->source(), pool, options, *progress, verdict);
    if (!verified) return Unreadable(verified.error());
    if (verdict.kind != Kind::kDamaged && verdict.kind != Kind::kNoted) return verdict;
    const Result<GzipInput> again = GzipInput::Open(path, GzipInput::Access::kRandom);
    if (!again) return Unreadable(again.error());
    const time_t unchanged_s = FileClockNow().tv_sec - again->status().st_ctim.tv_sec;
    const bool is_in_use =
        verdict.kind == Kind::kDamaged && options.is_in_use && options.is_in_use();
    if (is_in_use && verdict.is_torn_end && unchanged_s < kWriterPatience_s) continue;
    const bool is_unchanged = IsUnchanged(input->status(), again->status());
    const bool is_sure = !is_in_use || was_damaged;
    if (is_unchanged && is_sure) return verdict;
    was_damaged = is_unchanged;
  }
  FileVerdict verdict;
  SetVerdict(Kind::kNoted, "is being written", verdict);
  return verdict;
}

}  // namespace gzipfs
