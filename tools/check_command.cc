// gzipfs check: verifies every file of a store, as fsck does a filesystem.
// Reads only.
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include "codec/member_header.h"
#include "codec/option_text.h"
#include "codec/ordered_results.h"
#include "fs/store/store.h"
#include "fs/sys/mounts.h"
#include "tools/commands.h"
#include "tools/gzip_input.h"
#include "tools/messages.h"
#include "tools/progress.h"
#include "tools/store_path.h"
#include "tools/verify_file.h"

namespace gzipfs {
namespace {

constexpr char kCheckName[] = "check";
constexpr int kErrorsLeft = 4;  // fsck(8); they are or'ed together
constexpr int kOperational = 8;
// From this size on the members of one file are spread over the threads; below
// it, the files are.
constexpr uint64_t kBigFileBytes = 8 * kMiB;
constexpr size_t kMaxPendingFiles = 1024;

constexpr char kCheckExamples[] =
    "Every member is decoded and its CRC-32 and size are compared; the tail and the index\n"
    "in it are compared with the members. A directory is searched for .gz files. Nothing\n"
    "is ever written. What is worth knowing but no damage (an empty .gz, files joined by\n"
    "cat) is a note. Files that a running mount is writing may look unfinished: 'gzipfs\n"
    "sync' the mount first.\n\n"
    "Examples:\n"
    "  gzipfs check ~/store\n"
    "  gzipfs check dump.sql.gz notes.txt.gz\n\n"
    "Exit status, as of fsck(8): 0 all is well, notes or not; 4 damage was found; 8\n"
    "something could not be read (12: both); 16 wrong usage.";

struct CheckArguments {
  std::vector<std::string> paths;
  unsigned threads = 0;
};

struct StoredFile {
  std::string path;
  uint64_t file_bytes = 0;
};

// What there is to check, and what could not be looked at.
struct Inventory {
  std::vector<StoredFile> files;
  uint64_t total_bytes = 0;
  uint64_t raw_files = 0;  // regular files that are not kept as gzip
  bool is_incomplete = false;
};

// Adds the .gz files below `directory`, sorted by name.
void Collect(const std::filesystem::path& directory, Inventory& inventory) {
  std::error_code error;
  std::filesystem::directory_iterator walk(directory, error);
  std::vector<std::filesystem::directory_entry> entries;
  for (; !error && walk != std::filesystem::directory_iterator(); walk.increment(error))
    entries.push_back(*walk);
  if (error) {
    Complain(kCheckName, "{}: {}", directory.string(), Describe(error));
    inventory.is_incomplete = true;
  }
  std::sort(entries.begin(), entries.end());
  for (const std::filesystem::directory_entry& entry : entries) {
    const std::filesystem::file_type type = entry.symlink_status(error).type();
    if (type == std::filesystem::file_type::directory) {
      if (entry.path().filename() != kPrivateDirName) Collect(entry.path(), inventory);
    } else if (type == std::filesystem::file_type::regular) {
      if (!entry.path().string().ends_with(".gz")) {
        ++inventory.raw_files;
        continue;
      }
      const uint64_t file_bytes = entry.file_size(error);
      inventory.files.push_back({entry.path().string(), error ? 0 : file_bytes});
    }
  }
}

void NoteMount(const std::string& path) {
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  const Result<std::vector<MountEntry>> mounts = ReadMounts();
  if (error || !mounts) return;
  for (const MountEntry& mount : *mounts) {
    if (mount.type != kMountType || !mount.source.starts_with('/')) continue;
    if (!IsInside(real, mount.source)) continue;
    Complain(kCheckName, "note: {} is mounted on {}; files being written may look unfinished",
             mount.source, mount.mount_point);
  }
}

Inventory TakeInventory(const std::vector<std::string>& paths) {
  Inventory inventory;
  for (const std::string& path : paths) {
    const Result<std::string> store_path = FindStoreFile(path);
    std::error_code error = store_path ? std::error_code{} : store_path.error();
    if (!error) NoteMount(*store_path);
    if (!error && std::filesystem::is_directory(*store_path, error)) {
      Collect(*store_path, inventory);
      continue;
    }
    if (error) {
      Complain(kCheckName, "{}: {}", path, Describe(error));
      inventory.is_incomplete = true;
      continue;
    }
    const uint64_t file_bytes = std::filesystem::file_size(*store_path, error);
    inventory.files.push_back({*store_path, error ? 0 : file_bytes});
  }
  for (const StoredFile& file : inventory.files) inventory.total_bytes += file.file_bytes;
  return inventory;
}

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
  const StoredFile* file = nullptr;
  FileVerdict verdict;
};

// Verifies one file on whatever thread runs it; deletes itself.
class VerifyJob final : public Job {
 public:
  VerifyJob(const StoredFile& file, uint64_t serial, std::atomic<uint64_t>& done_bytes,
            OrderedResults<Report>& results)
      : file_(file), serial_(serial), done_bytes_(done_bytes), results_(results) {}

  void Run() override {
    results_.Put(serial_, {&file_, VerifyFile(file_.path, nullptr, done_bytes_)});
    delete this;
  }

 private:
  const StoredFile& file_;
  const uint64_t serial_;
  std::atomic<uint64_t>& done_bytes_;
  OrderedResults<Report>& results_;
};

// Checks all files of an inventory and reports on them in order.
class Checker {
 public:
  Checker(const Inventory& inventory, unsigned thread_count)
      : inventory_(inventory), progress_(inventory.total_bytes), pool_(thread_count) {}

  int Run() {
    for (const StoredFile& file : inventory_.files) {
      Begin(file);
      while (results_.pending() > kMaxPendingFiles) Tell(results_.Take());
      while (const std::optional<Report> report = results_.TryTake()) Tell(*report);
    }
    while (results_.pending() > 0) Tell(results_.Take());
    Summarise();
    return exit_status_ | (inventory_.is_incomplete ? kOperational : 0);
  }

 private:
  void Begin(const StoredFile& file) {
    const uint64_t serial = results_.NextSerial();
    if (file.file_bytes >= kBigFileBytes && IsSplittable(file.path)) {
      results_.Put(serial, {&file, VerifyFile(file.path, &pool_, progress_.done_bytes())});
    } else {
      pool_.Submit(new VerifyJob(file, serial, progress_.done_bytes(), results_));
    }
  }

  void Tell(const Report& report) {
    const FileVerdict& verdict = report.verdict;
    plain_bytes_ += verdict.plain_bytes;
    file_bytes_ += verdict.file_bytes;
    std::string line = report.file->path + ": ";
    switch (verdict.kind) {
      case FileVerdict::Kind::kGood: return;
      case FileVerdict::Kind::kNoted:
        ++noted_files_;
        line += "note: ";
        break;
      case FileVerdict::Kind::kDamaged:
        ++damaged_files_;
        exit_status_ |= kErrorsLeft;
        break;
      case FileVerdict::Kind::kUnreadable:
        ++unreadable_files_;
        exit_status_ |= kOperational;
        break;
    }
    if (!progress_.PrintLine(kCheckName, line + verdict.reason)) exit_status_ |= kOperational;
  }

  void Summarise() {
    if (inventory_.files.empty() && inventory_.is_incomplete) return;
    std::string line = fmt::format(
        "{} file{} checked, {} plain in {} stored: {}", inventory_.files.size(),
        inventory_.files.size() == 1 ? "" : "s", FormatByteCount(plain_bytes_),
        FormatByteCount(file_bytes_),
        damaged_files_ == 0 ? "no damage" : fmt::format("{} damaged", damaged_files_));
    if (noted_files_ > 0)
      line += fmt::format(", {} note{}", noted_files_, noted_files_ == 1 ? "" : "s");
    if (unreadable_files_ > 0) line += fmt::format(", {} could not be read", unreadable_files_);
    if (inventory_.raw_files > 0)
      line += fmt::format("; {} more not kept as gzip, not checked", inventory_.raw_files);
    if (!progress_.PrintLine(kCheckName, line)) exit_status_ |= kOperational;
  }

  const Inventory& inventory_;
  Progress progress_;
  OrderedResults<Report> results_;
  uint64_t plain_bytes_ = 0;
  uint64_t file_bytes_ = 0;
  uint64_t noted_files_ = 0;
  uint64_t damaged_files_ = 0;
  uint64_t unreadable_files_ = 0;
  int exit_status_ = 0;
  CodecPool pool_;  // last: its workers use what is above
};

}  // namespace

void AddCheckCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(kCheckName, "Verify every member, tail and index");
  command->footer(kCheckExamples);
  auto arguments = std::make_shared<CheckArguments>();
  command->add_option("PATH", arguments->paths, "a store, directories, or gzip files")
      ->required()
      ->type_name("");
  command->add_option("-p,--threads", arguments->threads, "threads; default: one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments, &exit_status] {
    const Inventory inventory = TakeInventory(arguments->paths);
    const unsigned threads = arguments->threads > 0 ? arguments->threads : UsableCores();
    exit_status = Checker(inventory, threads).Run();
  });
}

}  // namespace gzipfs
