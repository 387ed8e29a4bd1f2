// gzipfs pack: a parallel gzip that writes what a store would hold.
#include <signal.h>
#include <unistd.h>

#include <memory>

#include "codec/option_text.h"
#include "fs/sys/file_ops.h"
#include "tools/commands.h"
#include "tools/messages.h"
#include "tools/output_file.h"
#include "tools/pack_stream.h"

#include <fcntl.h>

namespace gzipfs {
namespace {

constexpr char kPackName[] = "pack";
constexpr char kPackExamples[] =
    "Standard input and output are used where IN or OUT is missing or '-'. OUT appears,\n"
    "and replaces a file of that name, only when it is complete.\n\n"
    "Examples:\n"
    "  pg_dump db | gzipfs pack > ~/store/db.sql.gz\n"
    "  gzipfs pack -o notes.txt.gz notes.txt\n"
    "  gzipfs pack --block-size 1M --level 12 -o dump.tar.gz dump.tar\n\n"
    "Exit status: 0; 1 when something could not be read or written.";

struct PackArguments {
  std::string in_path;
  std::string out_path;
  std::string level = "6";
  std::string block_size = "64K";
  unsigned threads = 0;
};

PackOptions ParseOptions(const PackArguments& arguments) {
  const std::optional<int> level = ParseLevel(arguments.level);
  if (!level)
    throw CLI::ValidationError(fmt::format("--level takes {}, not '{}'", kLevelChoices,
                                           arguments.level));
  const std::optional<uint64_t> block_bytes = ParseBlockBytes(arguments.block_size);
  if (!block_bytes)
    throw CLI::ValidationError(fmt::format("--block-size takes {}, not '{}'",
                                           kBlockBytesChoices, arguments.block_size));
  return {.profile = *block_bytes == kBgzfBlockBytes ? Profile::kBgzf : Profile::kLarge,
          .block_bytes = *block_bytes,
          .level = *level};
}

bool IsStandard(const std::string& path) { return path.empty() || path == "-"; }

int GiveUpOn(std::string_view name, std::string_view reason) {
  Complain(kPackName, "{}: {}", name, reason);
  return kExitFailure;
}

int Pack(const PackArguments& arguments, const PackOptions& options, int in_fd,
         const std::optional<struct stat>& like) {
  Result<OutputFile> output = IsStandard(arguments.out_path)
                                  ? OutputFile::OpenStandardOutput()
                                  : OutputFile::Create(arguments.out_path);
  if (!output) return GiveUpOn(arguments.out_path, Describe(output.error()));
  if (output->IsTerminal())
    return GiveUpOn(output->name(), "is a terminal; compressed data is not written there");
  CodecPool pool(arguments.threads > 0 ? arguments.threads : UsableCores());
  PackStream stream(pool, options);
  const auto packed = stream.Copy(in_fd, output->fd());
  if (!packed && packed.error().side == PackFailure::Side::kInput) {
    return GiveUpOn(IsStandard(arguments.in_path) ? "standard input" : arguments.in_path,
                   Describe(packed.error().code));
  }
  Result<void> done;
  if (packed) {
    done = output->Commit(like);
  } else {
    done = Fail(packed.error().code);
  }
  if (done) return 0;
  Complain(kPackName, "cannot write to {}: {}", output->name(), Describe(done.error()));
  return kExitFailure;
}

int RunPack(const PackArguments& arguments, const PackOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);  // a closed pipe is reported like any other failure to write
  if (IsStandard(arguments.in_path)) return Pack(arguments, options, STDIN_FILENO, std::nullopt);
  FileOps& ops = RealFileOps();
  const Result<UniqueFd> fd =
      ops.OpenAt(AT_FDCWD, arguments.in_path.c_str(), O_RDONLY | O_NOCTTY, 0);
  if (!fd) return GiveUpOn(arguments.in_path, Describe(fd.error()));
  const Result<struct stat> status = ops.Stat(fd->get());
  if (!status) return GiveUpOn(arguments.in_path, Describe(status.error()));
  std::optional<struct stat> like;
  if (S_ISREG(status->st_mode)) like = *status;
  return Pack(arguments, options, fd->get(), like);
}

}  // namespace

void AddPackCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand(kPackName, "Compress a stream or file in the store's format");
  command->footer(kPackExamples);
  auto arguments = std::make_shared<PackArguments>();
  command->add_option("IN", arguments->in_path, "plain file")->type_name("");
  command->add_option("-o,--output", arguments->out_path, "gzip file to write")->type_name("OUT");
  command->add_option("-l,--level", arguments->level, "fast or 1 to 12; default: 6")
      ->type_name("LEVEL");
  command->add_option("-b,--block-size", arguments->block_size,
                      "64K, the default, gives BGZF; 128K to 4M the large profile")
      ->type_name("SIZE");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments, &exit_status] {
    exit_status = RunPack(*arguments, ParseOptions(*arguments));
  });
}

}  // namespace gzipfs
