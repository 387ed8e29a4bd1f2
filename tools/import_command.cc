// gzipfs import: plain files and foreign .gz files become what a store holds.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>

#include "codec/option_text.h"
#include "fs/store/recovery.h"
#include "fs/store/store.h"
#include "fs/sys/mounts.h"
#include "fs/sys/process.h"
#include "tools/check_inventory.h"
#include "tools/check_stores.h"
#include "tools/commands.h"
#include "tools/import_plan.h"
#include "tools/in_parallel.h"
#include "tools/messages.h"
#include "tools/new_file.h"
#include "tools/progress.h"
#include "tools/store_path.h"
#include "tools/tree.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;

constexpr char kImportCommand[] = "import";
constexpr char kImportExamples[] =
    "Without --to files are converted where they are, in a store or in a directory that is to\n"
    "become one: x becomes x.gz, and x.gz of gzip, pigz or bgzip becomes x.gz in blocks with\n"
    "an index. With --to they are copied, DIR to STORE/DIR and DIR/ to STORE itself, with\n"
    "everything else that is there. Each new file is synced and read back before the old one\n"
    "goes. What cannot be imported is told and left alone; a second run does what is left.\n\n"
    "Examples:\n"
    "  gzipfs import ~/store\n"
    "  gzipfs import --dry-run /var/log/archive\n"
    "  gzipfs import /data/dumps/ --to ~/store -b 1M\n\n"
    "Exit status: 0; 1 when something was left alone or could not be done.";
constexpr uint64_t kSharedOutBytes = kMiB;  // from here on a file's blocks are shared out

struct ImportArguments {
  std::vector<std::string> paths;
  std::string store_path;
  std::string level = "6";
  std::string block_size;
  unsigned threads = 0;
  bool is_dry = false;
  bool keeps = false;
  bool is_verbose = false;
};

class ImportRun {
 public:
  ImportRun(const ImportArguments& arguments, int level, uint64_t block_bytes)
      : arguments_(arguments),
        thread_count_(arguments.threads > 0 ? arguments.threads : UsableCores()),
        level_(level),
        block_bytes_(block_bytes) {}

  int Run() {
    CatchInterrupt();
    RaiseDescriptorLimit();
    if (!(arguments_.store_path.empty() ? PlanHere() : PlanThere())) return kExitFailure;
    FinishPlan(arguments_.store_path.empty(), plan_);
    RemoveLeftovers();
    DoJobs();
    for (auto made = plan_.directories.rbegin(); made != plan_.directories.rend(); ++made) {
      const Result<void> done = CompleteDirectory(made->from, made->status, made->to);
      if (!done) Tell(made->to, Describe(done.error()));
    }
    return Summarize();
  }

 private:
  void Tell(const std::string& path, std::string_view reason) {
    Complain(kImportCommand, "{}: {}", path, reason);
    ++failed_files_;
  }

  bool PlanHere();
  bool PlanThere();
  bool PlanCopies(const std::string& root);
  bool LockStore(const std::string& root);
  void RemoveLeftovers();
  bool DropWaiting(const ImportJob& job);
  PackOptions PackFor(const std::string& target) const;
  void DoJobs();
  void DoJob(const ImportJob& job, CodecPool& pool, Progress& progress);
  int Summarize();

  const ImportArguments& arguments_;
  const unsigned thread_count_;
  const int level_;
  const uint64_t block_bytes_;  // 0: as the store has it
  ImportPlan plan_;
  std::map<std::string, std::unique_ptr<Store>> stores_;  // by root, locked until the end
  std::set<FileIdentity> waiting_;                        // files with a log, of other stores
  std::atomic<uint64_t> failed_files_{0};
  std::atomic<uint64_t> imported_files_{0};
  std::atomic<uint64_t> finished_files_{0};
  std::atomic<uint64_t> plain_bytes_{0};
  std::atomic<uint64_t> source_bytes_{0};
  std::atomic<uint64_t> stored_bytes_{0};
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Takes the lock of a store and brings its redo logs in, as a mount does.
bool ImportRun::LockStore(const std::string& root) {
  if (stores_.contains(root)) return true;
  StoreOptions options;
  options.thread_count = thread_count_;
  options.block_bytes = block_bytes_;
  options.read_only = arguments_.is_dry;
  auto store = Store::Open(root, options, RealFileOps());
  if (!store) {
    Complain(kImportCommand, store.error().message);
    return false;
  }
  RecoveryWatcher watcher;
  watcher.say = [&](const std::string& sentence) {
    Complain(kImportCommand, "{}: {}", root, sentence);
  };
  const auto report = Recover(**store, watcher, TornEnds::kComplete);
  if (!report) {
    Complain(kImportCommand, "{}: its redo logs cannot be looked at: {}", root,
             Describe(report.error()));
    return false;
  }
  stores_[root] = std::move(*store);
  return true;
}

bool ImportRun::PlanHere() {
  StoreRoots roots;
  std::vector<std::string> real_paths;
  std::error_code error;
  for (const std::string& path : arguments_.paths) {
    const Result<std::string> found = FindStoreFile(path);
    error = found ? std::error_code{} : found.error();
    const std::string real = error ? "" : files::canonical(*found, error).string();
    if (error) {
      Tell(path, Describe(error));
      continue;
    }
    real_paths.push_back(real);
  }
  // A directory comes before what is in it, which would else become a store in a store.
  std::sort(real_paths.begin(), real_paths.end());
  for (const std::string& real : real_paths) {
    // A directory in no store becomes one, so that nobody else imports or mounts it meanwhile.
    auto root = roots.Of(real);
    if (!root && !arguments_.is_dry && files::is_directory(real, error)) root = real;
    if (root && !LockStore(*root)) return false;
    if (root == real) roots.Forget();
    for (const std::string& inner : TakeInventory({real}, true).store_paths) {
      if (!LockStore(inner)) return false;
    }
  }
  // Only now: bringing logs in has changed files.
  for (const std::string& real : real_paths) PlanInPlace(real, plan_);
  return true;
}

bool ImportRun::PlanThere() {
  std::error_code error;
  const bool is_new = !files::exists(arguments_.store_path, error);
  if (!arguments_.is_dry) files::create_directories(arguments_.store_path, error);
  if (arguments_.is_dry && is_new) {
    // Nothing can be there already: any empty directory will do to plan with.
    return PlanCopies(files::absolute(arguments_.store_path, error).string());
  }
  const Result<std::string> found = FindStoreFile(arguments_.store_path);
  if (!error && !found) error = found.error();
  const std::string root = error ? "" : files::canonical(*found, error).string();
  if (error) {
    Complain(kImportCommand, "{}: {}", arguments_.store_path, Describe(error));
    return false;
  }
  return LockStore(root) && PlanCopies(root);
}

bool ImportRun::PlanCopies(const std::string& root) {
  std::error_code error;
  StoreRoots roots;
  for (const std::string& path : arguments_.paths) {
    const Result<std::string> source = FindStoreFile(path);
    if (!source) {
      Tell(path, Describe(source.error()));
      continue;
    }
    const bool is_content = path.ends_with("/") || path.ends_with("/.");
    const std::string real = files::canonical(*source, error).string();
    if (error || IsInside(root, real) || IsInside(real, root)) {
      Tell(path, error ? Describe(error) : "lies in the store, or around it");
      continue;
    }
    if (const auto other = roots.Of(real)) {
      Result<std::set<FileIdentity>> waiting = WaitingFilesOf(*other);
      if (!waiting) {
        Tell(path, "the logs of its store: " + Describe(waiting.error()));
        continue;
      }
      waiting_.merge(*waiting);
    }
    const bool is_directory = files::is_directory(real, error);
    PlanCopy(real, is_content && is_directory ? root : PathBelow(root, NameOf(real)),
             arguments_.is_dry, plan_);
  }
  return true;
}

void ImportRun::RemoveLeftovers() {
  if (arguments_.is_dry) return;
  for (const std::string& path : plan_.temporaries) {
    const Result<bool> removed = RemoveLeftover(path);
    if (!removed && removed.error().value() != ENOENT) Tell(path, Describe(removed.error()));
  }
}

// True, after a message, for a file whose redo log is not in it.
bool ImportRun::DropWaiting(const ImportJob& job) {
  bool waits = waiting_.contains({job.status.st_dev, job.status.st_ino});
  for (const auto& [root, store] : stores_) {
    const Result<struct stat> status = RealFileOps().Stat(store->root_fd());
    waits = waits || (status && status->st_dev == job.status.st_dev &&
                      IsInside(job.sources[0], root) &&
                      store->logs().Contains(job.status.st_ino));
  }
  if (waits) Tell(job.sources[0], "has changes in a redo log; left alone");
  return waits;
}

// The block size of the store that the target is in.
PackOptions ImportRun::PackFor(const std::string& target) const {
  uint64_t block_bytes = block_bytes_ == 0 ? kBgzfBlockBytes : block_bytes_;
  for (const auto& [root, store] : stores_) {
    if (IsInside(target, root)) block_bytes = store->block_bytes();
  }
  return {.profile = block_bytes == kBgzfBlockBytes ? Profile::kBgzf : Profile::kLarge,
          .block_bytes = block_bytes,
          .level = level_};
}

void ImportRun::DoJobs() {
  CodecPool pool(thread_count_);
  Progress progress(plan_.total_bytes, plan_.jobs.size());
  RunInParallel(plan_.jobs.size(), thread_count_, [&](size_t i) {
    if (!WasInterrupted()) DoJob(plan_.jobs[i], pool, progress);
  });
}

void ImportRun::DoJob(const ImportJob& job, CodecPool& pool, Progress& progress) {
  if (DropWaiting(job)) return;
  const bool is_large = static_cast<uint64_t>(job.status.st_size) >= kSharedOutBytes;
  const ImportOptions options{.pack = PackFor(job.targets[0]),
                              .is_in_place = arguments_.store_path.empty(),
                              .keeps = arguments_.keeps,
                              .is_dry = arguments_.is_dry,
                              .pool = is_large ? &pool : nullptr};
  const auto result = ImportFile(job, options, progress.done_bytes());
  ++progress.done_files();
  if (!result) return Tell(job.sources[0], result.error());
  ++(result->kind == ImportResult::Kind::kImported ? imported_files_ : finished_files_);
  plain_bytes_ += result->plain_bytes;
  source_bytes_ += result->source_bytes;
  stored_bytes_ += result->stored_bytes;
  if (!arguments_.is_dry && !arguments_.is_verbose) return;
  const double share = result->source_bytes == 0
                           ? 100
                           : 100 * static_cast<double>(result->stored_bytes) /
                                 static_cast<double>(result->source_bytes);
  progress.PrintLine(kImportCommand,
                     fmt::format("{}: {} -> {} bytes ({:.1f} %)", job.sources[0],
                                 result->source_bytes, result->stored_bytes, share));
}

int ImportRun::Summarize() {
  const uint64_t failed = failed_files_ + plan_.failed_files;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin_;
  const double ratio = stored_bytes_ == 0 ? 1
                                          : static_cast<double>(plain_bytes_) /
                                                static_cast<double>(stored_bytes_);
  std::string text = fmt::format(
      "{} {} file{}: {} plain, {} before, {} stored (ratio {:.2f}), {}/s",
      arguments_.is_dry ? "would import" : "imported", imported_files_.load(),
      imported_files_ == 1 ? "" : "s", FormatByteCount(plain_bytes_),
      FormatByteCount(source_bytes_), FormatByteCount(stored_bytes_), ratio,
      FormatByteCount(static_cast<uint64_t>(static_cast<double>(plain_bytes_) /
                                            std::max(seconds.count(), 1e-3))));
  if (finished_files_ > 0) text += fmt::format("; {} done before", finished_files_.load());
  if (plan_.skipped_files > 0) text += fmt::format("; {} already so", plan_.skipped_files);
  if (failed > 0) text += fmt::format("; {} left alone", failed);
  if (WasInterrupted()) text += "; interrupted";
  const bool is_told = Print(kImportCommand, text + "\n");
  return failed > 0 || WasInterrupted() || !is_told ? kExitFailure : 0;
}

int RunImport(const ImportArguments& arguments) {
  const std::optional<int> level = ParseLevel(arguments.level);
  if (!level)
    throw CLI::ValidationError(
        fmt::format("--level takes {}, not '{}'", kLevelChoices, arguments.level));
  std::optional<uint64_t> block_bytes = 0;
  if (!arguments.block_size.empty()) block_bytes = ParseBlockBytes(arguments.block_size);
  if (!block_bytes)
    throw CLI::ValidationError(fmt::format("--block-size takes {}, not '{}'",
                                           kBlockBytesChoices, arguments.block_size));
  return ImportRun(arguments, *level, *block_bytes).Run();
}

}  // namespace

void AddImportCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      kImportCommand, "Make plain and foreign gzip files store members, in place or by copying");
  command->footer(kImportExamples);
  auto arguments = std::make_shared<ImportArguments>();
  command->add_option("PATH", arguments->paths, "files and directories")
      ->required()
      ->type_name("");
  command->add_option("--to", arguments->store_path, "copy into this store, made if need be")
      ->type_name("STORE");
  command->add_option("-l,--level", arguments->level, "fast or 1 to 12; default: 6")
      ->type_name("LEVEL");
  command
      ->add_option("-b,--block-size", arguments->block_size,
                   "64K to 4M; default: as the store has it, else 64K")
      ->type_name("SIZE");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->add_flag("-k,--keep", arguments->keeps,
                    "keep plain files beside their .gz; implied by --to");
  command->add_flag("-n,--dry-run", arguments->is_dry,
                    "compress everything, write nothing, tell what would be saved");
  command->add_flag("-v,--verbose", arguments->is_verbose, "a line for each file");
  command->callback([arguments, &exit_status] { exit_status = RunImport(*arguments); });
}

}  // namespace gzipfs
