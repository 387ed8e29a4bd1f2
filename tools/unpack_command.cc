// gzipfs unpack: a parallel gunzip for any gzip file.
#include <signal.h>

#include <memory>

#include "tools/commands.h"
#include "tools/copy_plain.h"
#include "tools/gzip_input.h"
#include "tools/messages.h"
#include "tools/output_file.h"

namespace gzipfs {
namespace {

constexpr char kUnpackName[] = "unpack";
constexpr char kUnpackExamples[] =
    "Standard input and output are used where IN or OUT is missing or '-'. OUT appears,\n"
    "and replaces a file of that name, only when it is complete. Files of many members\n"
    "with lengths (gzipfs, bgzip) are decoded in parallel, others in one thread.\n\n"
    "Examples:\n"
    "  gzipfs unpack < db.sql.gz | psql\n"
    "  gzipfs unpack -o notes.txt notes.txt.gz\n\n"
    "Exit status: 0; 1 when the input is damaged or something could not be read or\n"
    "written; 2 when something that is not gzip follows the data (as gzip(1) does).";

struct UnpackArguments {
  std::string in_path;
  std::string out_path;
  unsigned threads = 0;
};

bool IsStandardStream(const std::string& path) { return path.empty() || path == "-"; }

// Decodes `input` to `output`; the exit status.
int Unpack(const GzipInput& input, const std::string& input_name, OutputFile& output,
           unsigned thread_count, const std::optional<struct stat>& like) {
  CodecPool pool(thread_count > 0 ? thread_count : UsableCores());
  const auto copied = CopyPlain(input.source(), pool, {}, {}, output.fd());
  int exit_status = 0;
  if (!copied) {
    Complain(kUnpackName, DescribeFailure(copied.error(), input_name, output.name()));
    exit_status = ExitStatusOf(copied.error());
    if (copied.error().kind != CopyFailure::Kind::kLeftover) return exit_status;
  }
  if (const Result<void> done = output.Commit(like); !done) {
    Complain(kUnpackName, "cannot write to {}: {}", output.name(), Describe(done.error()));
    return kExitFailure;
  }
  return exit_status;
}

int RunUnpack(const UnpackArguments& arguments) {
  ::signal(SIGPIPE, SIG_IGN);  // a closed pipe is reported like any other failure to write
  const bool is_standard = IsStandardStream(arguments.in_path);
  const std::string input_name = is_standard ? "standard input" : arguments.in_path;
  const Result<GzipInput> input =
      is_standard ? GzipInput::OpenStandardInput()
                  : GzipInput::Open(arguments.in_path, GzipInput::Access::kSequential);
  if (!input) {
    Complain(kUnpackName, "{}: {}", input_name, Describe(input.error()));
    return kExitFailure;
  }
  Result<OutputFile> output = IsStandardStream(arguments.out_path)
                                  ? OutputFile::OpenStandardOutput()
                                  : OutputFile::Create(arguments.out_path);
  if (!output) {
    Complain(kUnpackName, "{}: {}", arguments.out_path, Describe(output.error()));
    return kExitFailure;
  }
  std::optional<struct stat> like;
  if (!is_standard && input->is_regular()) like = input->status();
  return Unpack(*input, input_name, *output, arguments.threads, like);
}

}  // namespace

void AddUnpackCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(kUnpackName, "Decompress any gzip stream or file");
  command->footer(kUnpackExamples);
  auto arguments = std::make_shared<UnpackArguments>();
  command->add_option("IN", arguments->in_path, "gzip file")->type_name("");
  command->add_option("-o,--output", arguments->out_path, "plain file to write")
      ->type_name("OUT");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments, &exit_status] { exit_status = RunUnpack(*arguments); });
}

}  // namespace gzipfs
