// gzipfs cat: plain bytes of gzip files, whole or in part, without a mount.
#include <unistd.h>

#include <memory>

#include "codec/option_text.h"
#include "tools/commands.h"
#include "tools/copy_plain.h"
#include "tools/gzip_input.h"
#include "tools/kept_layout.h"
#include "tools/messages.h"
#include "tools/seek.h"

namespace gzipfs {
namespace {

constexpr char kCatName[] = "cat";
constexpr char kCatExamples[] =
    "OFF and LEN are bytes, with K, M, G and so on for units of 1024. Without LEN\n"
    "(\"OFF:\") the range goes to the end of the file. In files with an index or with\n"
    "lengths in their members (gzipfs, bgzip) only what the range needs is decoded; in\n"
    "others too if they lie in a store that has kept their index (gzipfs index).\n\n"
    "Examples:\n"
    "  gzipfs cat dump.sql.gz | psql\n"
    "  gzipfs cat dump.sql.gz --range 10G:4K\n"
    "  gzipfs cat a.gz b.gz > both\n\n"
    "Exit status: 0; 1 when a file cannot be read or is damaged; 2 when something\n"
    "that is not gzip follows a file's data.";

struct CatArguments {
  std::vector<std::string> paths;
  std::string range;
  unsigned threads = 0;
};

std::optional<PlainRange> ParseRange(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::string length_text = text.substr(colon + 1);
  const std::optional<uint64_t> begin = ParseByteCount(text.substr(0, colon));
  if (!begin) return std::nullopt;
  if (length_text.empty()) return PlainRange{.begin = *begin};
  const std::optional<uint64_t> length = ParseByteCount(length_text);
  if (!length || *length > ~uint64_t{0} - *begin) return std::nullopt;
  return PlainRange{.begin = *begin, .end = *begin + *length};
}

// Where decoding begins for `range`. What the store has kept of a foreign member is made use
// of here: `range` then begins behind what was written.
tl::expected<PlainStream::Start, CopyFailure> FindRange(const std::string& path,
                                                        const GzipInput& input,
                                                        PlainRange& range) {
  const ByteSource& source = input.source();
  const std::optional<FileLayout> kept = LoadKeptLayout(path, input);
  const Result<PlainStream::Start> start = FindStart(source, range.begin, kept ? &*kept : nullptr);
  if (!start) return tl::unexpected(CopyFailure{CopyFailure::Kind::kInput, start.error(), {}});
  const MemberInfo* member = kept ? ForeignAt(*kept, start->file_offset) : nullptr;
  const MemberRestarts* restarts = member ? RestartsAt(*kept, start->file_offset) : nullptr;
  if (restarts == nullptr) return *start;
  const auto copied = CopyFromRestarts(source, *restarts, start->plain_offset,
                                       member->file_end(), range, STDOUT_FILENO);
  if (!copied) return tl::unexpected(copied.error());
  range.begin = *copied;
  if (*copied < member->plain_end()) return *start;
  return PlainStream::Start{member->file_end(), member->plain_end()};
}

tl::expected<void, CopyFailure> CopyFile(const std::string& path, const GzipInput& input,
                                         PlainRange range, CodecPool& pool) {
  PlainStream::Start start;
  if (range.begin > 0 && input.is_regular()) {
    const uint64_t begin = range.begin;
    const auto found = FindRange(path, input, range);
    if (!found) return tl::unexpected(found.error());
    if (range.begin > begin && range.begin >= range.end) return {};
    start = *found;
  }
  return CopyPlain(input.source(), pool, start, range, STDOUT_FILENO);
}

int RunCat(const CatArguments& arguments, PlainRange range) {
  CodecPool pool(arguments.threads > 0 ? arguments.threads : UsableCores());
  int exit_status = 0;
  for (const std::string& path : arguments.paths) {
    const Result<GzipInput> input =
        path == "-" ? GzipInput::OpenStandardInput()
                    : GzipInput::Open(path, GzipInput::Access::kSequential);
    if (!input) {
      Complain(kCatName, "{}: {}", path, Describe(input.error()));
      exit_status = kExitFailure;
      continue;
    }
    const auto copied = CopyFile(path, *input, range, pool);
    if (copied) continue;
    const std::string name = path == "-" ? "standard input" : path;
    Complain(kCatName, DescribeFailure(copied.error(), name, "standard output"));
    if (exit_status != kExitFailure) exit_status = ExitStatusOf(copied.error());
    if (copied.error().kind == CopyFailure::Kind::kOutput) break;
  }
  return exit_status;
}

}  // namespace

void AddCatCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand(kCatName, "Write plain bytes to standard output, decoding in parallel");
  command->footer(kCatExamples);
  auto arguments = std::make_shared<CatArguments>();
  command->add_option("FILE", arguments->paths, "gzip files; - is standard input")
      ->required()
      ->type_name("");
  command->add_option("-r,--range", arguments->range, "only LEN plain bytes from OFF on")
      ->type_name("OFF:LEN");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments, &exit_status] {
    std::optional<PlainRange> range = PlainRange{};
    if (!arguments->range.empty()) range = ParseRange(arguments->range);
    if (!range) throw CLI::ValidationError("--range takes OFF:LEN, not '" + arguments->range + "'");
    exit_status = RunCat(*arguments, *range);
  });
}

}  // namespace gzipfs
