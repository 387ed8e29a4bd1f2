// gzipfs export: files and trees of a store for readers that know no members.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "fs/sys/file_ops.h"
#include "fs/sys/mounts.h"
#include "fs/sys/process.h"
#include "fs/vfs/name_codec.h"
#include "tools/check_inventory.h"
#include "tools/check_stores.h"
#include "tools/commands.h"
#include "tools/export_tree.h"
#include "tools/gzip_input.h"
#include "tools/messages.h"
#include "tools/store_path.h"
#include "tools/tree.h"

namespace gzipfs {
namespace {

constexpr char kExportCommand[] = "export";
constexpr char kExportExamples[] =
    "PATH is a gzip file, a store, or a directory of one; also inside a mount. A file\n"
    "goes to standard output without -o. With --single-member a .gz becomes one member,\n"
    "which also those read that stop after the first (browsers, Java, zlib's own\n"
    "functions): its members' deflate streams are joined, nothing is compressed again.\n"
    "Every member is verified. Nothing is replaced without --force.\n\n"
    "Examples:\n"
    "  gzipfs export ~/store/site.js.gz -o /srv/www/site.js.gz\n"
    "  gzipfs export --plain ~/store -o /mnt/backup/plain\n"
    "  gzipfs export ~/store -o /mnt/backup/gz\n\n"
    "Exit status: 0; 1 when something could not be exported, which is told.";

struct ExportArguments {
  std::string path;
  std::string out_path;
  bool is_plain = false;
  bool is_single = false;
  bool is_forced = false;
  unsigned threads = 0;
};

int Refuse(const std::string& path, std::string_view reason) {
  Complain(kExportCommand, "{}: {}", path, reason);
  return kExitFailure;
}

Result<ExportTreeOptions> OptionsFor(const ExportArguments& arguments, const std::string& real) {
  ExportTreeOptions options;
  options.form = arguments.is_plain ? ExportForm::kPlain : ExportForm::kSingleMember;
  options.thread_count = arguments.threads > 0 ? arguments.threads : UsableCores();
  options.replaces = arguments.is_forced;
  StoreRoots roots;
  if (const auto root = roots.Of(real)) {
    Result<std::set<FileIdentity>> waiting = WaitingFilesOf(*root);
    if (!waiting) return Fail(waiting.error());
    options.waiting = std::move(*waiting);
    if (options.waiting.empty()) return options;
    auto files = WaitingFiles::Open(*root, options.thread_count);
    if (files) {
      options.waiting_files = std::move(*files);
    } else {
      options.refusal = std::move(files.error());
    }
  }
  return options;
}

int ExportToStandardOutput(const std::string& path, const ExportTreeOptions& options) {
  if (options.form == ExportForm::kSingleMember && ::isatty(STDOUT_FILENO) == 1)
    return Refuse("standard output", "is a terminal; compressed data is not written there");
  const Result<GzipInput> input = GzipInput::Open(path, GzipInput::Access::kRandom);
  if (!input) return Refuse(path, Describe(input.error()));
  CodecPool pool(options.thread_count);
  std::error_code error;
  const auto scratch_path = std::filesystem::temp_directory_path(error);
  const std::string scratch_dir = std::filesystem::canonical(scratch_path, error).string();
  struct stat status = input->status();
  const auto done = ExportStored(path, input->fd(), status, {.form = options.form, .pool = &pool},
                                 options, scratch_dir, STDOUT_FILENO);
  return done ? 0 : Refuse(path, done.error());
}

// The name of the exported file in a directory.
std::string NameInDirectory(const std::string& name, ExportForm form) {
  const bool is_cut = form == ExportForm::kPlain && HasGzSuffix(name);
  return is_cut ? name.substr(0, name.size() - kGzSuffix.size()) : name;
}

int ExportDirectory(const std::string& real, const ExportArguments& arguments,
                    const ExportTreeOptions& options) {
  namespace files = std::filesystem;
  const std::string& out = arguments.out_path;
  if (out.empty() || out == "-") return Refuse(real, "is a directory; -o names one to make of it");
  std::error_code error;
  const bool is_there = files::exists(files::symlink_status(out, error));
  if (is_there && !files::is_directory(out, error)) return Refuse(out, "is no directory");
  if (is_there && !arguments.is_forced && !files::is_empty(out, error))
    return Refuse(out, "is there already; --force exports into it, and replaces files");
  const std::string real_out = files::weakly_canonical(files::absolute(out, error), error);
  if (error) return Refuse(out, Describe(error));
  if (IsInside(real_out, real) || IsInside(real, real_out))
    return Refuse(out, "lies in what is to be exported, or around it");
  return ExportTree(real, real_out, options) ? 0 : kExitFailure;
}

int RunExport(const ExportArguments& arguments) {
  namespace files = std::filesystem;
  CatchInterrupt();
  const Result<std::string> store_path = FindStoreFile(arguments.path);
  if (!store_path) return Refuse(arguments.path, Describe(store_path.error()));
  std::error_code error;
  const std::string real = files::canonical(*store_path, error);
  if (error) return Refuse(*store_path, Describe(error));
  const Result<ExportTreeOptions> found = OptionsFor(arguments, real);
  if (!found) return Refuse(real, "the logs of its store: " + Describe(found.error()));
  const ExportTreeOptions& options = *found;
  if (files::is_directory(real, error)) return ExportDirectory(real, arguments, options);
  std::string out = arguments.out_path;
  if (out.empty() || out == "-") return ExportToStandardOutput(real, options);
  if (files::is_directory(out, error)) out = PathBelow(out, NameInDirectory(NameOf(real),
                                                                            options.form));
  if (!arguments.is_forced && files::exists(files::symlink_status(out, error)))
    return Refuse(out, "is there already; --force replaces it");
  const std::string directory = files::canonical(ParentOf(out), error);
  if (error) return Refuse(out, Describe(error));
  return ExportToFile(real, PathBelow(directory, NameOf(out)), options) ? 0 : kExitFailure;
}

}  // namespace

void AddExportCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      kExportCommand, "Write files or trees of a store as plain or single-member files");
  command->footer(kExportExamples);
  auto arguments = std::make_shared<ExportArguments>();
  command->add_option("PATH", arguments->path, "gzip file, store, or a directory of one")
      ->required()
      ->type_name("");
  command->add_option("-o,--output", arguments->out_path, "file or directory to make")
      ->type_name("OUT");
  CLI::Option* plain =
      command->add_flag("--plain", arguments->is_plain, "decompress; x.gz becomes x");
  command
      ->add_flag("--single-member", arguments->is_single,
                 "one gzip member a file, the default; x.gz stays x.gz")
      ->excludes(plain);
  command->add_flag("-f,--force", arguments->is_forced, "replace what is there");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments, &exit_status] { exit_status = RunExport(*arguments); });
}

}  // namespace gzipfs
