// gzipfs index: decodes the foreign files of a store once, ahead of time, so that
// a mount knows their sizes and can read them anywhere at once.
//
// Files are decoded side by side, each by one thread. Each index is kept as soon
// as it is made: whoever begins again after an interruption skips what is done.
#include <fcntl.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "codec/option_text.h"
#include "codec/ordered_results.h"
#include "fs/store/kept_indexes.h"
#include "fs/store/store.h"
#include "fs/sys/at.h"
#include "fs/sys/process.h"
#include "tools/check_inventory.h"
#include "tools/commands.h"
#include "tools/messages.h"
#include "tools/progress.h"
#include "tools/store_path.h"

namespace gzipfs {
namespace {

constexpr char kIndexName[] = "index";
constexpr size_t kMaxPendingIndexes = 1024;

constexpr char kIndexExamples[] =
    "A file that gzip, pigz or another program made has no index in it. A mount decodes it\n"
    "at its first use, to tell its size and to note where its decoding can begin, and keeps\n"
    "that in .gzipfs/index of the store, in less than a hundredth of the file. This command\n"
    "does it ahead of time, for all such files at once. Files with an index in their tail,\n"
    "those that have been done and are as they were, and those of less than 128 KiB, which\n"
    "are decoded faster than an index is found, are passed over. No file is changed.\n\n"
    "The store may be mounted meanwhile; the mount uses each index from the next time on\n"
    "that it would have decoded the file. Run it as the user who mounts. It may be stopped\n"
    "at any time and begun again.\n\n"
    "Examples:\n"
    "  gzipfs index ~/store\n"
    "  gzipfs index -p 4 ~/store/dumps\n\n"
    "Exit status: 0; 1 when a file could not be read to its end or its index not be kept;\n"
    "2 when it was interrupted.";
constexpr int kExitInterrupted = 2;

struct IndexArguments {
  std::string path;
  unsigned threads = 0;
};

// A file as it is decoded from front to back, for the progress bar.
class ProgressSource final : public ByteSource {
 public:
  ProgressSource(const ByteSource& source, std::atomic<uint64_t>& done_bytes)
      : source_(source), done_bytes_(done_bytes) {}
  ~ProgressSource() override { CountTo(source_.Size()); }
  ProgressSource(const ProgressSource&) = delete;
  ProgressSource& operator=(const ProgressSource&) = delete;

  Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    Result<size_t> count = source_.ReadAt(offset, out);
    if (count) CountTo(offset + *count);
    return count;
  }
  uint64_t Size() const override { return source_.Size(); }

 private:
  // One thread at a time, as whoever decodes.
  void CountTo(uint64_t offset) const {
    if (offset <= counted_) return;
    done_bytes_ += offset - counted_;
    counted_ = offset;
  }

  const ByteSource& source_;
  std::atomic<uint64_t>& done_bytes_;
  mutable uint64_t counted_ = 0;
};

struct IndexOutcome {
  enum class Kind { kNone, kKnown, kMade, kFailed };
  Kind kind = Kind::kNone;
  uint64_t plain_bytes = 0;   // of one that was made
  uint64_t file_bytes = 0;
  std::string complaint;      // one sentence; also about one that was made
};

// Looks at one file and keeps its index if it needs one.
IndexOutcome IndexFile(const std::string& path, KeptIndexes& kept,
                       std::atomic<uint64_t>& done_bytes) {
  using Kind = IndexOutcome::Kind;
  const auto fail = [&path](std::error_code error) {
    return IndexOutcome{.kind = Kind::kFailed, .complaint = path + ": " + Describe(error)};
  };
  FileOps& ops = RealFileOps();
  const auto fd = ops.OpenAt(AT_FDCWD, path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (!fd) return fail(fd.error());
  const Result<struct stat> before = ops.Stat(fd->get());
  if (!before) return fail(before.error());
  const auto file_bytes = static_cast<uint64_t>(before->st_size);
  const FileSource file(ops, fd->get(), file_bytes);
  const ProgressSource source(file, done_bytes);
  if (!S_ISREG(before->st_mode) || file_bytes < kMinKeptFileBytes) return {};
  const uint64_t limit_bytes = LayoutLimitBytes(file_bytes);
  const Result<TailLayout> tail = ReadTailLayout(file, limit_bytes);
  if (!tail) return fail(tail.error());
  if (tail->layout) return {};
  const Result<std::optional<FileLayout>> known = kept.Load(fd->get(), *before);
  if (!known) return fail(known.error());
  if (*known) return {.kind = Kind::kKnown, .complaint = {}};
  const Result<FileLayout> layout = ScanLayout(source, limit_bytes, ScanKeep::kRestarts);
  if (!layout) return fail(layout.error());
  const Result<struct stat> after = ops.Stat(fd->get());
  if (!after) return fail(after.error());
  if (layout->foreign.empty()) return {};
  if (IndexedFileOf(*before) != IndexedFileOf(*after)) {
    return {.kind = Kind::kFailed, .complaint = path + ": was changed while it was decoded"};
  }
  const Result<void> done = kept.Keep(*before, *layout);
  if (!done && done.error().value() == ENOTSUP) return {};
  if (!done) return fail(done.error());
  IndexOutcome made{.kind = Kind::kMade,
                    .plain_bytes = layout->index.plain_bytes(),
                    .file_bytes = file_bytes,
                    .complaint = {}};
  if (layout->damage) {
    made.complaint = fmt::format("{}: the member at file offset {} {}; 'gzipfs check' tells more",
                                 path, layout->foreign.back().file_offset,
                                 Describe(layout->damage));
  }
  return made;
}

// Indexes one file on whatever thread runs it; deletes itself.
class IndexJob final : public Job {
 public:
  IndexJob(const std::string& path, KeptIndexes& kept, Progress& progress, uint64_t serial,
           OrderedResults<IndexOutcome>& results)
      : path_(path), kept_(kept), progress_(progress), serial_(serial), results_(results) {}

  void Run() override {
    IndexOutcome outcome;
    if (!WasInterrupted()) outcome = IndexFile(path_, kept_, progress_.done_bytes());
    ++progress_.done_files();
    results_.Put(serial_, std::move(outcome));
    delete this;
  }

 private:
  const std::string& path_;
  KeptIndexes& kept_;
  Progress& progress_;
  const uint64_t serial_;
  OrderedResults<IndexOutcome>& results_;
};

class Indexer {
 public:
  Indexer(const CheckInventory& inventory, KeptIndexes& kept, unsigned thread_count)
      : inventory_(inventory), kept_(kept),
        progress_(inventory.total_bytes, inventory.files.size()), pool_(thread_count) {}

  int Run() {
    const auto begun = std::chrono::steady_clock::now();
    for (const InventoryFile& file : inventory_.files) {
      if (WasInterrupted()) break;
      pool_.Submit(new IndexJob(file.path, kept_, progress_, results_.NextSerial(), results_));
      while (results_.pending() > kMaxPendingIndexes) Tell(results_.Take());
      while (const std::optional<IndexOutcome> outcome = results_.TryTake()) Tell(*outcome);
    }
    while (results_.pending() > 0) Tell(results_.Take());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    Summarise(std::max(took.count(), 0.001));
    if (WasInterrupted()) return kExitInterrupted;
    return has_failed_ || inventory_.is_incomplete ? kExitFailure : 0;
  }

 private:
  void Say(const std::string& line) {
    if (!progress_.PrintLine(kIndexName, line)) has_failed_ = true;
  }

  void Tell(const IndexOutcome& outcome) {
    if (!outcome.complaint.empty()) {
      Say(outcome.complaint);
      has_failed_ = true;
    }
    switch (outcome.kind) {
      case IndexOutcome::Kind::kMade:
        ++made_count_;
        plain_bytes_ += outcome.plain_bytes;
        file_bytes_ += outcome.file_bytes;
        break;
      case IndexOutcome::Kind::kKnown: ++known_count_; break;
      case IndexOutcome::Kind::kFailed: ++failed_count_; break;
      case IndexOutcome::Kind::kNone: ++none_count_; break;
    }
  }

  void Summarise(double seconds) {
    std::string line = fmt::format("{} file{} indexed", made_count_, made_count_ == 1 ? "" : "s");
    if (made_count_ > 0) {
      const auto rate = static_cast<uint64_t>(static_cast<double>(plain_bytes_) / seconds);
      line += fmt::format(", {} plain in {} stored, in {:.1f} s, {} a second",
                          FormatByteCount(plain_bytes_), FormatByteCount(file_bytes_), seconds,
                          FormatByteCount(rate));
    }
    line += fmt::format("; {} had an index, {} need none", known_count_, none_count_);
    if (failed_count_ > 0) line += fmt::format(", {} could not be indexed", failed_count_);
    if (WasInterrupted()) line += "; interrupted";
    Say(line);
  }

  const CheckInventory& inventory_;
  KeptIndexes& kept_;
  Progress progress_;
  OrderedResults<IndexOutcome> results_;
  bool has_failed_ = false;
  uint64_t made_count_ = 0;
  uint64_t known_count_ = 0;
  uint64_t none_count_ = 0;
  uint64_t failed_count_ = 0;
  uint64_t plain_bytes_ = 0;
  uint64_t file_bytes_ = 0;
  CodecPool pool_;  // last: its workers use what is above
};

// The directory for indexes of the store `root`, made if need be.
Result<UniqueFd> OpenIndexDir(const std::string& root) {
  FileOps& ops = RealFileOps();
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  Result<UniqueFd> dir = ops.OpenAt(AT_FDCWD, root.c_str(), O_RDONLY | O_DIRECTORY, 0);
  for (const char* name : {kPrivateDirName, kIndexDirName}) {
    if (!dir) return dir;
    const Result<void> made = MakeDirectoryAt(dir->get(), name, 0700);
    if (!made && made.error().value() != EEXIST) return Fail(made.error());
    dir = ops.OpenAt(dir->get(), name, kFlags, 0);
  }
  return dir;
}

int RunIndex(const IndexArguments& arguments) {
  CatchInterrupt();
  const Result<std::string> path = FindStoreFile(arguments.path);
  std::error_code error = path ? std::error_code{} : path.error();
  if (!error && !std::filesystem::is_directory(*path, error) && !error)
    error = std::make_error_code(std::errc::not_a_directory);
  if (error) {
    Complain(kIndexName, "{}: {}", arguments.path, Describe(error));
    return kExitFailure;
  }
  StoreRoots roots;
  const std::string root = roots.Of(*path).value_or(*path);
  Result<UniqueFd> dir = OpenIndexDir(root);
  if (!dir) {
    Complain(kIndexName, "{}/{}/{}: {}", root, kPrivateDirName, kIndexDirName,
             Describe(dir.error()));
    return kExitFailure;
  }
  KeptIndexes kept(RealFileOps(), std::move(*dir), /*read_only=*/false);
  const CheckInventory inventory = TakeInventory({*path}, /*quiet=*/true);
  return Indexer(inventory, kept, arguments.threads > 0 ? arguments.threads : UsableCores()).Run();
}

}  // namespace

void AddIndexCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand(kIndexName, "Index the files that other programs compressed");
  command->footer(kIndexExamples);
  auto arguments = std::make_shared<IndexArguments>();
  command->add_option("STORE", arguments->path, "a store, or a directory in one")
      ->required()
      ->type_name("");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments, &exit_status] { exit_status = RunIndex(*arguments); });
}

}  // namespace gzipfs
