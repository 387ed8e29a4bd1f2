// Levels as -1 to -12 are rewritten before the command line is parsed (gzip_names.h).
#include "tools/gzip_options.h"

#include <fmt/format.h>

#include <memory>

#include "codec/option_text.h"

namespace gzipfs {
namespace {

// What -6 is for blocks of 64 KiB, which compress less well than pigz's: with this
// one 512 MiB of kernel source take 4.6 % more than with pigz -6, with level 6 they
// take 6.05 %. The processor time is two thirds of pigz's instead of half.
constexpr int kSmallBlockLevel = 7;

struct GzipWords {
  std::vector<std::string> paths;
  std::string out_path;
  std::string suffix = ".gz";
  std::string level = "6";
  std::string block_size = "64K";
  unsigned threads = 0;
  bool is_fast = false;
  bool is_best = false;
  bool decompresses = false;
  bool tests = false;
  bool lists = false;
  bool to_stdout = false;
  bool keeps = false;
  bool is_forced = false;
  bool is_recursive = false;
  bool is_verbose = false;
  bool is_quiet = false;
  bool has_no_name = false;
};

PackOptions ParsePackOptions(const GzipWords& words) {
  const std::optional<int> level =
      words.is_fast ? kLevelFast : ParseLevel(words.is_best ? "9" : words.level);
  if (!level)
    throw CLI::ValidationError(
        fmt::format("--level takes {}, not '{}'", kLevelChoices, words.level));
  const std::optional<uint64_t> block_bytes = ParseBlockBytes(words.block_size);
  if (!block_bytes)
    throw CLI::ValidationError(fmt::format("--block-size takes {}, not '{}'", kBlockBytesChoices,
                                           words.block_size));
  const bool is_small = *block_bytes == kBgzfBlockBytes;
  return {.profile = is_small ? Profile::kBgzf : Profile::kLarge,
          .block_bytes = *block_bytes,
          .level = is_small && *level == kDefaultLevel ? kSmallBlockLevel : *level};
}

GzipArguments ParseArguments(const GzipWords& words, const std::string& command,
                             GzipArguments::Action action) {
  using Action = GzipArguments::Action;
  GzipArguments arguments;
  arguments.command = command;
  arguments.action = words.decompresses ? Action::kDecompress : action;
  if (words.tests) arguments.action = Action::kTest;
  if (words.lists) arguments.action = Action::kList;
  arguments.paths = words.paths;
  arguments.out_path = words.out_path;
  arguments.suffix = words.suffix;
  arguments.pack = ParsePackOptions(words);
  arguments.thread_count = words.threads > 0 ? words.threads : UsableCores();
  arguments.to_stdout = words.to_stdout;
  arguments.keeps = words.keeps;
  arguments.is_forced = words.is_forced;
  arguments.is_recursive = words.is_recursive;
  arguments.is_verbose = words.is_verbose && !words.is_quiet;
  arguments.is_quiet = words.is_quiet;
  if (!words.out_path.empty() && words.out_path != "-" && words.paths.size() > 1)
    throw CLI::ValidationError("--output takes one FILE");
  if (words.suffix.empty() || words.suffix.find('/') != std::string::npos)
    throw CLI::ValidationError(fmt::format("--suffix takes an end of a name, not '{}'",
                                           words.suffix));
  return arguments;
}

void AddModes(CLI::App& command, GzipWords& words) {
  command.add_flag("-c,--stdout,--to-stdout", words.to_stdout,
                   "write to standard output, keep FILEs");
  command.add_flag("-d,--decompress,--uncompress", words.decompresses, "decompress");
  command.add_flag("-t,--test", words.tests, "see whether FILEs can be decompressed");
  command.add_flag("-l,--list", words.lists, "list sizes, of all members together");
  command.add_flag("-k,--keep", words.keeps, "keep FILEs");
  command.add_flag("-f,--force", words.is_forced,
                   "replace what is there; follow links; use terminals");
  command.add_flag("-r,--recursive", words.is_recursive, "go through directories");
  command.add_flag("-v,--verbose", words.is_verbose, "tell ratio, blocks, rates and workers");
  command.add_flag("-q,--quiet", words.is_quiet, "no warnings");
  command.add_flag("-n,--no-name", words.has_no_name, "as always: no name is stored");
}

}  // namespace

void AddGzipOptions(CLI::App& command, GzipArguments::Action action, int& exit_status) {
  auto words = std::make_shared<GzipWords>();
  command.add_option("FILE", words->paths, "files; none, or -: standard input")->type_name("");
  command.add_option("-o,--output", words->out_path, "file to write; keeps FILE")
      ->type_name("OUT");
  command.add_option("--level", words->level, "fast or 1 to 12, also as -1 to -12; default: 6")
      ->type_name("LEVEL");
  command.add_flag("--fast", words->is_fast, "level fast");
  command.add_flag("--best", words->is_best, "level 9");
  command
      .add_option("-b,--block-size", words->block_size,
                  "64K, the default, gives BGZF; 128K to 4M the large profile")
      ->type_name("SIZE");
  command.add_option("-p,--threads,--processes", words->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command.add_option("-S,--suffix", words->suffix, "instead of .gz")->type_name("SUFFIX");
  AddModes(command, *words);
  command.callback([words, name = command.get_name(), action, &exit_status] {
    exit_status = RunGzip(ParseArguments(*words, name, action));
  });
}

}  // namespace gzipfs
