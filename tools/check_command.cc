// gzipfs check: verifies every file of a store, as fsck does a filesystem, and
// repairs what can be repaired without losing a readable byte.
//
// Files are verified side by side; what is found is told, and repaired, one
// after the other in their order.
#include <array>
#include <memory>

#include "codec/member_header.h"
#include "codec/option_text.h"
#include "codec/ordered_results.h"
#include "fs/store/survey.h"
#include "fs/sys/process.h"
#include "tools/check_inventory.h"
#include "tools/check_repair.h"
#include "tools/check_stores.h"
#include "tools/commands.h"
#include "tools/gzip_input.h"
#include "tools/messages.h"
#include "tools/progress.h"
#include "tools/verify_file.h"

namespace gzipfs {
namespace {

constexpr char kCheckName[] = "check";
constexpr int kCorrected = 1;    // fsck(8); they are or'ed together
constexpr int kErrorsLeft = 4;
constexpr int kOperational = 8;
constexpr int kInterrupted = 32;
// From this size on the members of one file are spread over the threads; below
// it, the files are.
constexpr uint64_t kBigFileBytes = 8 * kMiB;
constexpr size_t kMaxPendingFiles = 1024;

constexpr char kCheckExamples[] =
    "Every member is decoded and its CRC-32 and size are compared; the tail and the index\n"
    "in it are compared with the members. A directory is searched for .gz files; of a store\n"
    "its redo logs and what was put aside are looked at, too. Damage is told with the plain\n"
    "bytes that are lost; all others can be read. What is worth knowing but no damage (a log\n"
    "that waits for the next mount, files joined by cat) is a note. A file that a mount is\n"
    "writing is looked at again. Without --repair nothing is ever written.\n\n"
    "--repair takes the lock of each store that a PATH is in, so it must not be mounted; a\n"
    "file outside of any store is repaired without a lock: let nobody write to it. Redo logs\n"
    "are brought into their files, as a mount would. A torn write at a file's end, in which\n"
    "no member can be read, is cut off, after a copy of it was put into .gzipfs/quarantine\n"
    "of the store, or beside the file as FILE.gz.rest. A tail that is missing, damaged or\n"
    "wrong is followed by a right one. Damaged members stay: reading them fails, all else\n"
    "can be read. A file with a member of gzip or pigz in it is never changed.\n\n"
    "--deep decodes everything a second time with zlib and compares, looks byte by byte for\n"
    "members behind a place that cannot be passed, and decodes every record of the redo\n"
    "logs. It takes two to four times as long.\n\n"
    "Examples:\n"
    "  gzipfs check ~/store\n"
    "  gzipfs check --deep dump.sql.gz notes.txt.gz\n"
    "  gzipfs check --repair ~/store\n\n"
    "Exit status, as of fsck(8), added up: 0 all is well, notes or not; 1 damage was\n"
    "repaired; 4 damage is left; 8 something could not be read or locked; 16 wrong usage;\n"
    "32 interrupted by a signal.";

struct CheckArguments {
  std::vector<std::string> paths;
  unsigned threads = 0;
  bool repairs = false;
  bool is_deep = false;
};

// True when the first member says how long it is: the others will, too, and
// can be decoded side by side.
bool IsSplittable(const std::string& path) {
  const Result<GzipInput> input = GzipInput::Open(path, GzipInput::Access::kRandom);
  std::array<std::byte, 64> bytes;
  if (!input) return false;
  const Result<size_t> count = input->source().ReadAt(0, bytes);
  if (!count) return false;
  const Result<MemberHeader> header = ParseMemberHeader(std::span(bytes).first(*count));
  return header && header->profile;
}

// A verdict and the file it is about.
struct Report {
  const InventoryFile* file = nullptr;
  FileVerdict verdict;
};

// Verifies one file on whatever thread runs it; deletes itself.
class VerifyJob final : public Job {
 public:
  VerifyJob(const InventoryFile& file, const VerifyOptions& options, uint64_t serial,
            std::atomic<uint64_t>& done_bytes, OrderedResults<Report>& results)
      : file_(file), options_(options), serial_(serial), done_bytes_(done_bytes),
        results_(results) {}

  void Run() override {
    results_.Put(serial_, {&file_, VerifyFile(file_.path, nullptr, done_bytes_, options_)});
    delete this;
  }

 private:
  const InventoryFile& file_;
  const VerifyOptions options_;
  const uint64_t serial_;
  std::atomic<uint64_t>& done_bytes_;
  OrderedResults<Report>& results_;
};

// Checks all files of an inventory and reports on them in order.
class Checker {
 public:
  // `repair`: null unless damage is to be repaired.
  Checker(const CheckInventory& inventory, const CheckArguments& arguments, unsigned thread_count,
          CheckRepair* repair)
      : inventory_(inventory), arguments_(arguments), repair_(repair),
        progress_(inventory.total_bytes), pool_(thread_count) {}

  int Run() {
    TellOfStores();
    for (const std::string& collision : inventory_.collisions) Note(collision);
    for (const InventoryFile& file : inventory_.files) {
      if (WasInterrupted()) break;
      Begin(file);
      while (results_.pending() > kMaxPendingFiles) Tell(results_.Take());
      while (const std::optional<Report> report = results_.TryTake()) Tell(*report);
    }
    while (results_.pending() > 0) Tell(results_.Take());
    Summarise();
    return exit_status_ | (inventory_.is_incomplete ? kOperational : 0) |
           (WasInterrupted() ? kInterrupted : 0);
  }

 private:
  VerifyOptions OptionsFor(const std::string& path) {
    VerifyOptions options{.is_deep = arguments_.is_deep, .is_interrupted = WasInterrupted};
    const std::optional<std::string> root = repair_ ? std::nullopt : roots_.Of(path);
    if (root) options.is_in_use = [root] { return IsStoreInUse(RealFileOps(), *root); };
    return options;
  }

  void Begin(const InventoryFile& file) {
    const uint64_t serial = results_.NextSerial();
    const VerifyOptions options = OptionsFor(file.path);
    if (file.file_bytes >= kBigFileBytes && IsSplittable(file.path)) {
      results_.Put(serial,
                   {&file, VerifyFile(file.path, &pool_, progress_.done_bytes(), options)});
    } else {
      pool_.Submit(new VerifyJob(file, options, serial, progress_.done_bytes(), results_));
    }
  }

  void Say(const std::string& line) {
    if (!progress_.PrintLine(kCheckName, line)) exit_status_ |= kOperational;
  }
  void Note(const std::string& line) {
    ++note_count_;
    Say(line);
  }
  void SayAll(const std::string& path, const FileVerdict& verdict) {
    Say(path + ": " + verdict.reason);
    for (const std::string& line : verdict.further) Say(path + ": " + line);
  }

  void Tell(const Report& report) {
    const FileVerdict& verdict = report.verdict;
    if (verdict.kind == FileVerdict::Kind::kInterrupted ||
        verdict.kind == FileVerdict::Kind::kGone) {
      return;
    }
    ++checked_files_;
    plain_bytes_ += verdict.plain_bytes;
    file_bytes_ += verdict.file_bytes;
    const std::string& path = report.file->path;
    switch (verdict.kind) {
      case FileVerdict::Kind::kNoted: Note(path + ": note: " + verdict.reason); break;
      case FileVerdict::Kind::kDamaged: SayAll(path, verdict); break;
      case FileVerdict::Kind::kUnreadable:
        ++unreadable_files_;
        exit_status_ |= kOperational;
        SayAll(path, verdict);
        break;
      default: return;
    }
    const bool is_damaged = verdict.kind == FileVerdict::Kind::kDamaged;
    const bool repairs = repair_ && verdict.may_need_repair && !WasInterrupted();
    const bool is_whole = repairs && Repair(path, is_damaged);
    if (is_damaged && !is_whole) Damaged();
  }

  void Damaged() {
    ++damaged_files_;
    exit_status_ |= kErrorsLeft;
  }

  // True when nothing is wrong with the file any more.
  bool Repair(const std::string& path, bool is_damaged) {
    const Result<RepairResult> result = repair_->RepairPath(path);
    if (!result) {
      Say(fmt::format("{}: not repaired: {}", path, Describe(result.error())));
      exit_status_ |= kOperational;
      return false;
    }
    if (result->kind == RepairResult::Kind::kLeft && is_damaged)
      Say(fmt::format("{}: left as it is: {}", path, result->what));
    if (result->kind != RepairResult::Kind::kRepaired) return false;
    Say(fmt::format("{}: repaired: {}", path, result->what));
    ++repaired_files_;
    exit_status_ |= kCorrected;
    std::atomic<uint64_t> uncounted_bytes = 0;
    const FileVerdict after = VerifyFile(path, &pool_, uncounted_bytes, {});
    if (after.kind == FileVerdict::Kind::kGood || after.kind == FileVerdict::Kind::kNoted)
      return true;
    Say(fmt::format("{}: still: {}", path, after.reason));
    return false;
  }

  void TellOfStores() {
    const StoreLines lines =
        LookIntoStores(inventory_, arguments_.is_deep, /*is_ours=*/repair_ != nullptr);
    for (const std::string& line : lines.notes) Note(line);
    for (const std::string& line : lines.damages) {
      Say(line);
      ++bad_logs_;
      exit_status_ |= kErrorsLeft;
    }
    for (const std::string& line : lines.failures) {
      Complain(kCheckName, line);
      exit_status_ |= kOperational;
    }
  }

  void Summarise() {
    if (inventory_.files.empty() && inventory_.is_incomplete) return;
    std::string line = fmt::format(
        "{} file{} checked, {} plain in {} stored: {}", checked_files_,
        checked_files_ == 1 ? "" : "s", FormatByteCount(plain_bytes_),
        FormatByteCount(file_bytes_),
        damaged_files_ > 0 ? fmt::format("{} damaged", damaged_files_)
                           : (bad_logs_ > 0 ? "no file damaged" : "no damage"));
    if (damaged_files_ == 0 && repaired_files_ > 0) line += " left";
    if (repaired_files_ > 0) line += fmt::format(", {} repaired", repaired_files_);
    if (bad_logs_ > 0) line += fmt::format(", {} damage in {}", bad_logs_, kPrivateDirName);
    if (note_count_ > 0)
      line += fmt::format(", {} note{}", note_count_, note_count_ == 1 ? "" : "s");
    if (unreadable_files_ > 0) line += fmt::format(", {} could not be read", unreadable_files_);
    if (inventory_.raw_files > 0)
      line += fmt::format("; {} more not kept as gzip, not checked", inventory_.raw_files);
    if (WasInterrupted())
      line += fmt::format("; interrupted, of {} files", inventory_.files.size());
    Say(line);
  }

  const CheckInventory& inventory_;
  const CheckArguments& arguments_;
  CheckRepair* const repair_;
  StoreRoots roots_;
  Progress progress_;
  OrderedResults<Report> results_;
  uint64_t plain_bytes_ = 0;
  uint64_t file_bytes_ = 0;
  uint64_t checked_files_ = 0;
  uint64_t note_count_ = 0;
  uint64_t damaged_files_ = 0;
  uint64_t repaired_files_ = 0;
  uint64_t unreadable_files_ = 0;
  uint64_t bad_logs_ = 0;
  int exit_status_ = 0;
  CodecPool pool_;  // last: its workers use what is above
};

int RunCheckAndRepair(const CheckArguments& arguments, unsigned thread_count) {
  int exit_status = 0;
  CheckRepair repair([&](const std::string& line) {
    if (!Print(kCheckName, line + "\n")) exit_status |= kOperational;
  });
  {
    const CheckInventory before = TakeInventory(arguments.paths, /*quiet=*/true);
    if (const auto begun = repair.Begin(before, thread_count); !begun) {
      Complain(kCheckName, begun.error());
      return exit_status | kOperational;
    }
  }
  // Once more: logs that were brought in have changed files.
  const CheckInventory inventory = TakeInventory(arguments.paths, /*quiet=*/true);
  exit_status |= Checker(inventory, arguments, thread_count, &repair).Run();
  if (const auto ended = repair.End(); !ended) {
    Complain(kCheckName, ended.error());
    exit_status |= kOperational;
  }
  if (repair.corrected_count() > 0) exit_status |= kCorrected;
  if (repair.left_count() > 0) exit_status |= kErrorsLeft;
  return exit_status;
}

int RunCheck(const CheckArguments& arguments) {
  CatchInterrupt();
  const unsigned thread_count = arguments.threads > 0 ? arguments.threads : UsableCores();
  if (arguments.repairs) return RunCheckAndRepair(arguments, thread_count);
  const CheckInventory inventory = TakeInventory(arguments.paths, /*quiet=*/false);
  return Checker(inventory, arguments, thread_count, nullptr).Run();
}

}  // namespace

void AddCheckCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand(kCheckName, "Verify every member, tail, index and log; repair");
  command->footer(kCheckExamples);
  auto arguments = std::make_shared<CheckArguments>();
  command->add_option("PATH", arguments->paths, "a store, directories, or gzip files")
      ->required()
      ->type_name("");
  command->add_flag("-r,--repair", arguments->repairs,
                    "repair what can be repaired without losing a readable byte");
  command->add_flag("-d,--deep", arguments->is_deep,
                    "decode twice, search behind damage, decode the redo logs");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments, &exit_status] { exit_status = RunCheck(*arguments); });
}

}  // namespace gzipfs
