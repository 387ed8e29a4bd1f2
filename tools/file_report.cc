// Writers are told apart by their habits: our tail; 65,280-byte blocks are
// htslib's, a file name in the header gzip's and pigz's.
#include "tools/file_report.h"

#include <algorithm>
#include <array>
#include <optional>

#include "codec/index_check.h"
#include "codec/member_header.h"
#include "codec/member_scanner.h"
#include "tools/join_search.h"
#include "tools/kept_layout.h"

namespace gzipfs {
namespace {

constexpr uint64_t kHtslibBlockBytes = 0xff00;  // BGZF_BLOCK_SIZE in htslib's bgzf.h

Result<void> LookAtFirstHeader(const ByteSource& source, FileReport& report) {
  std::array<std::byte, kMinHeaderBytes> bytes;
  const Result<size_t> count = source.ReadAt(0, bytes);
  if (!count) return Fail(count.error());
  if (*count < bytes.size()) return {};
  report.has_name = (bytes[3] & kFlagName) != std::byte{0};
  report.os_byte = bytes[9];
  return {};
}

void CountMember(const MemberInfo& member, FileReport& report) {
  if (member.file_offset == 0) report.profile = member.profile;
  if (member.profile != report.profile) report.is_mixed = true;
  if (!member.profile) ++report.foreign_members;
  if (member.plain_bytes == 0) {
    ++report.empty_members;
  } else {
    if (report.data_members == 0) report.first_block_bytes = member.plain_bytes;
    ++report.data_members;
    report.largest_block_bytes = std::max(report.largest_block_bytes, member.plain_bytes);
  }
  const bool is_marker = member.is_empty_shape && member.payload == kEofPayload;
  const bool is_tail = member.is_empty_shape && !is_marker;
  report.ends_like_tail = is_tail || (is_marker && report.ends_like_tail);
  report.ends_with_marker = is_marker;
  if (is_tail) report.has_dead_tail = true;
}

Result<void> Walk(const ByteSource& source, const FileLayout* kept, IndexCheck* index_check,
                  JoinSearch& join, FileReport& report) {
  auto scanner = std::make_optional<MemberScanner>(source);
  for (;;) {
    join.PassBoundary(scanner->position());
    if (index_check) index_check->PassBoundary(scanner->position(), scanner->plain_position());
    if (const MemberInfo* known = kept ? ForeignAt(*kept, scanner->position()) : nullptr) {
      CountMember(*known, report);
      report.is_kept = true;
      scanner.emplace(source, known->file_end(), known->plain_end(), source.Size());
      continue;
    }
    const Result<std::optional<MemberInfo>> member = scanner->Next();
    if (!member && member.error().category() == std::system_category())
      return Fail(member.error());
    if (!member) report.rest = member.error();
    if (!member || !*member) break;
    CountMember(**member, report);
  }
  report.valid_bytes = scanner->position();
  report.plain_bytes = scanner->plain_position();
  return {};
}

}  // namespace

Result<FileReport> ReportFile(const ByteSource& source, const FileLayout* kept) {
  FileReport report;
  report.file_bytes = source.Size();
  GZIPFS_TRY(LookAtFirstHeader(source, report));
  const Result<std::optional<TailClaim>> claim = ReadTailClaim(source, source.Size());
  if (!claim) return Fail(claim.error());
  const Result<std::optional<TailSummary>> tail = ReadTailSummary(source, source.Size());
  if (!tail) return Fail(tail.error());
  report.tail = *tail;
  JoinSearch join(*claim);
  if (!*tail) {
    GZIPFS_TRY(Walk(source, kept, nullptr, join, report));
    if (join.is_found() && join.start() > 0) report.joined_at = join.start();
    return report;
  }
  const Result<FileLayout> layout = ReadLayout(source);
  if (!layout) return Fail(layout.error());
  IndexCheck index_check(layout->index);
  GZIPFS_TRY(Walk(source, nullptr, &index_check, join, report));
  report.group_count = layout->index.group_count();
  report.index_agrees = layout->has_tail && !report.rest && index_check.Agrees();
  return report;
}

std::string_view ProfileName(const FileReport& report) {
  if (report.data_members + report.empty_members == 0) return "none";
  if (report.foreign_members > 0 && report.is_mixed) return "mixed, some members foreign";
  if (report.is_mixed) return "mixed, bgzf and large";
  if (!report.profile) return "foreign";
  return *report.profile == Profile::kBgzf ? "bgzf" : "large";
}

std::string_view WriterName(const FileReport& report) {
  if (report.tail || report.ends_like_tail) return "gzipfs";
  if (report.has_dead_tail) return "gzipfs, then something else";
  if (report.profile == Profile::kLarge) return "MiGz, mgzip, or gzipfs without its tail";
  if (report.profile == Profile::kBgzf)
    return report.first_block_bytes == kHtslibBlockBytes ? "bgzip (htslib)"
                                                         : "a BGZF writer (bgzip and others)";
  if (report.data_members + report.empty_members == 0) return "unknown";
  if (report.has_name) return "gzip or pigz, with the file's name";
  return report.os_byte == std::byte{3} ? "gzip, pigz or another, on Unix" : "another gzip writer";
}

}  // namespace gzipfs
