// gzipfs stat: what a stored file is, from its structure alone.
#include <memory>

#include "codec/option_text.h"
#include "tools/commands.h"
#include "tools/file_report.h"
#include "tools/gzip_input.h"
#include "tools/kept_layout.h"
#include "tools/messages.h"
#include "tools/store_path.h"

namespace gzipfs {
namespace {

constexpr char kStatName[] = "stat";
constexpr char kStatExamples[] =
    "Examples:\n"
    "  gzipfs stat ~/store/dump.sql.gz     a file of a store\n"
    "  gzipfs stat ~/plain/dump.sql        the same one by its name in the mount\n"
    "  gzipfs stat *.gz                    any gzip files\n\n"
    "Exit status: 0; 1 when a file cannot be read or is damaged.";

std::string DescribeRatio(const FileReport& report) {
  if (report.plain_bytes == 0 || report.file_bytes == 0) return "-";
  const auto plain = static_cast<double>(report.plain_bytes);
  const auto stored = static_cast<double>(report.file_bytes);
  return fmt::format("{:.2f} ({:.1f} % of plain)", plain / stored, 100 * stored / plain);
}

std::string DescribeMembers(const FileReport& report) {
  std::string text = fmt::format("{} ({} with data", report.data_members + report.empty_members,
                                 report.data_members);
  if (report.foreign_members > 0) text += fmt::format(", {} foreign", report.foreign_members);
  return text + fmt::format(", {} empty)", report.empty_members);
}

std::string DescribeBlockSize(const FileReport& report) {
  if (report.tail) return FormatExactByteCount(report.tail->block_bytes);
  if (report.data_members == 0) return "-";
  return FormatExactByteCount(report.largest_block_bytes) + ", the largest member";
}

std::string DescribeTail(const FileReport& report) {
  if (report.tail) {
    const bool has_size = report.tail->plain_bytes == report.plain_bytes;
    return has_size ? "valid" : fmt::format("BAD: says {} plain bytes", report.tail->plain_bytes);
  }
  if (report.joined_at)
    return fmt::format("of the last of several files, from file offset {} on", *report.joined_at);
  if (report.ends_like_tail) return "BAD: damaged, or another file's";
  if (report.has_dead_tail) return "none at the end (an earlier one is inside)";
  return report.ends_with_marker ? "none, but BGZF's end-of-file marker" : "none";
}

std::string DescribeIndex(const FileReport& report) {
  if (!report.tail && report.joined_at)
    return "none for all of it (joined from several files); readers walk the members";
  if (report.is_kept) return "kept in the store; it is up to date";
  if (!report.tail) return "none; readers walk the members";
  if (!report.index_agrees) return "BAD: contradicts the members";
  return fmt::format("agrees with the members ({} group{})", report.group_count,
                     report.group_count == 1 ? "" : "s");
}

std::string DescribeFile(const std::string& path, const FileReport& report,
                         const struct stat& status) {
  const auto line = [](std::string_view name, std::string_view value) {
    return fmt::format("  {:<13}{}\n", name, value);
  };
  const uint64_t disk_bytes = static_cast<uint64_t>(status.st_blocks) * 512;
  std::string text = path + "\n";
  text += line("plain size", FormatExactByteCount(report.plain_bytes));
  text += line("stored size", FormatExactByteCount(report.file_bytes) +
                                  fmt::format(", {} on disk", FormatByteCount(disk_bytes)));
  text += line("ratio", DescribeRatio(report));
  text += line("members", DescribeMembers(report));
  text += line("block size", DescribeBlockSize(report));
  text += line("profile", ProfileName(report));
  text += line("writer", WriterName(report));
  text += line("tail", DescribeTail(report));
  text += line("index", DescribeIndex(report));
  if (report.rest) {
    text += line("DAMAGE", fmt::format("{} bytes from file offset {} on: {}",
                                       report.file_bytes - report.valid_bytes,
                                       report.valid_bytes, Describe(report.rest)));
  }
  return text;
}

bool StatFile(const std::string& path, bool is_first) {
  const Result<std::string> store_path = FindStoreFile(path);
  if (!store_path) {
    Complain(kStatName, "{}: {}", path, Describe(store_path.error()));
    return false;
  }
  const Result<GzipInput> input = GzipInput::Open(*store_path, GzipInput::Access::kRandom);
  if (!input) {
    Complain(kStatName, "{}: {}", *store_path,
             input.error().value() == EINVAL ? "not a regular file" : Describe(input.error()));
    return false;
  }
  const std::optional<FileLayout> kept = LoadKeptLayout(*store_path, *input);
  const Result<FileReport> report = ReportFile(input->source(), kept ? &*kept : nullptr);
  if (!report) {
    Complain(kStatName, "{}: {}", *store_path, Describe(report.error()));
    return false;
  }
  if (report->valid_bytes == 0 && report->rest == DataError::kNotGzip) {
    Complain(kStatName, "{}: not in gzip format", *store_path);
    return false;
  }
  const std::string text = DescribeFile(*store_path, *report, input->status());
  if (!Print(kStatName, is_first ? text : "\n" + text)) return false;
  const bool is_tail_good = report->tail ? report->index_agrees
                                         : report->joined_at || !report->ends_like_tail;
  return !report->rest && is_tail_good;
}

int RunStat(const std::vector<std::string>& paths) {
  int exit_status = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!StatFile(paths[i], i == 0)) exit_status = kExitFailure;
  }
  return exit_status;
}

}  // namespace

void AddStatCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      kStatName, "Say how large a file is, plain and stored, and who wrote it how");
  command->footer(kStatExamples);
  auto paths = std::make_shared<std::vector<std::string>>();
  command->add_option("FILE", *paths, "gzip files, or files in a mount")
      ->required()
      ->type_name("");
  command->callback([paths, &exit_status] { exit_status = RunStat(*paths); });
}

}  // namespace gzipfs
