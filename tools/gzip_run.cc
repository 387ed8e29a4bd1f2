// The order of the checks is gzip's, so that the same files are left and the same
// exit status comes out.
#include "tools/gzip_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "codec/option_text.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/process.h"
#include "fs/sys/stream.h"
#include "tools/copy_plain.h"
#include "tools/gzip_input.h"
#include "tools/gzip_list.h"
#include "tools/gzip_names.h"
#include "tools/messages.h"
#include "tools/new_file.h"
#include "tools/output_file.h"
#include "tools/tree.h"

namespace gzipfs {
namespace {

using Action = GzipArguments::Action;
using Clock = std::chrono::steady_clock;

bool IsStandardName(const std::string& path) { return path.empty() || path == "-"; }

std::string Ratio(uint64_t plain_bytes, uint64_t stored_bytes) {
  if (plain_bytes == 0) return "0.0%";
  const auto plain = static_cast<double>(plain_bytes);
  return fmt::format("{:.1f}%", 100 * (plain - static_cast<double>(stored_bytes)) / plain);
}

double Megabytes(uint64_t byte_count) { return static_cast<double>(byte_count) / 1e6; }

}  // namespace

// An input that is open.
struct GzipRun::Input {
  std::string path;  // "-" for standard input
  std::string name;  // for messages
  std::optional<GzipInput> gzip;
  Clock::time_point begin = Clock::now();

  bool is_standard() const { return path == "-"; }
  const struct stat& status() const { return gzip->status(); }
};

GzipRun::GzipRun(const GzipArguments& arguments)
    : arguments_(arguments),
      is_compressing_(arguments.action == Action::kCompress),
      pool_(arguments.thread_count) {}
GzipRun::~GzipRun() = default;

void GzipRun::Error(const std::string& sentence) {
  Complain(arguments_.command, sentence);
  exit_status_ = kExitError;
}

void GzipRun::Warn(const std::string& sentence) {
  if (!arguments_.is_quiet) Complain(arguments_.command, sentence);
  if (exit_status_ == 0) exit_status_ = kExitWarning;
}

bool GzipRun::ToStandardOutput() const {
  return arguments_.to_stdout || arguments_.out_path == "-";
}

void GzipRun::Do(const std::string& path) {
  if (IsStandardName(path)) return DoStandardInput();
  Input input;
  if (!Prepare(path, input)) return;
  const bool has_output = ToStandardOutput() || !arguments_.out_path.empty();
  if (arguments_.action == Action::kList) return List(input);
  if (arguments_.action == Action::kTest) return ToDescriptor(input, -1, "");
  if (ToStandardOutput()) return ToDescriptor(input, STDOUT_FILENO, "standard output");
  if (has_output) return ToOutputOption(input);
  if (!MayReplaceInput(input)) return;
  const std::optional<std::string> target =
      is_compressing_ ? CompressedName(input.path, arguments_.suffix)
                      : DecompressedName(input.path, arguments_.suffix);
  if (target) return ToNamedOutput(input, *target);
  if (is_compressing_ && arguments_.is_forced)
    return ToNamedOutput(input, input.path + arguments_.suffix);
  // As gzip: a file that is compressed already is no reason for a status of 2.
  if (arguments_.is_recursive) return;
  if (!is_compressing_) return Warn(input.path + ": unknown suffix -- ignored");
  if (!arguments_.is_quiet)
    Complain(arguments_.command, "{} already has {} suffix -- unchanged", input.path,
             arguments_.suffix);
}

void GzipRun::DoStandardInput() {
  Input input;
  input.path = "-";
  input.name = "standard input";
  const bool is_terminal = ::isatty(STDIN_FILENO) == 1;
  if (!is_compressing_ && is_terminal && !arguments_.is_forced)
    return Error("standard input is a terminal; compressed data is not read from there");
  Result<GzipInput> opened = GzipInput::OpenStandardInput();
  if (!opened) return Error("standard input: " + Describe(opened.error()));
  input.gzip.emplace(std::move(*opened));
  if (arguments_.action == Action::kList) return List(input);
  if (arguments_.action == Action::kTest) return ToDescriptor(input, -1, "");
  if (!IsStandardName(arguments_.out_path)) return ToOutputOption(input);
  ToDescriptor(input, STDOUT_FILENO, "standard output");
}

void GzipRun::DoDirectory(const std::string& path) {
  if (!arguments_.is_recursive) return Warn(path + " is a directory -- ignored");
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator walk(path, error);
  for (; !error && walk != std::filesystem::directory_iterator(); walk.increment(error))
    names.push_back(walk->path().string());
  if (error) return Error(path + ": " + Describe(error));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const auto status = RealFileOps().StatAt(AT_FDCWD, name.c_str());
    // Symlinks below it are not followed; gzip leaves them out, too.
    if (status && !S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode)) continue;
    Do(name);
  }
}

// Opens `path`; false after a message, or when it was a directory.
bool GzipRun::Prepare(const std::string& path, Input& input) {
  input.path = path;
  FileOps& ops = RealFileOps();
  Result<struct stat> status = ops.StatAt(AT_FDCWD, path.c_str());
  if (!status && !is_compressing_ && status.error().value() == ENOENT &&
      !DecompressedName(path, arguments_.suffix)) {
    const Result<struct stat> longer =
        ops.StatAt(AT_FDCWD, (path + arguments_.suffix).c_str());
    if (longer) {
      status = longer;
      input.path = path + arguments_.suffix;
    }
  }
  input.name = input.path;
  if (!status) {
    Error(path + ": " + Describe(status.error()));
    return false;
  }
  std::error_code error;
  if (std::filesystem::is_directory(input.path, error)) {
    DoDirectory(input.path);
    return false;
  }
  const bool follows = ToStandardOutput() || !arguments_.out_path.empty() ||
                       arguments_.is_forced || arguments_.action == Action::kTest ||
                       arguments_.action == Action::kList;
  if (S_ISLNK(status->st_mode) && !follows) {
    Error(path + ": " + Describe(std::error_code(ELOOP, std::system_category())));
    return false;
  }
  if (!follows && !S_ISREG(status->st_mode)) {
    Warn(path + " is not a directory or a regular file - ignored");
    return false;
  }
  Result<GzipInput> opened = GzipInput::Open(input.path, GzipInput::Access::kSequential);
  if (!opened) {
    Error(input.path + ": " + Describe(opened.error()));
    return false;
  }
  input.gzip.emplace(std::move(*opened));
  return true;
}

// What gzip asks of a file that it replaces by another one.
bool GzipRun::MayReplaceInput(const Input& input) {
  const struct stat& status = input.status();
  if ((status.st_mode & (S_ISUID | S_ISGID | S_ISVTX)) != 0) {
    Warn(input.path + " has a set-user-ID, set-group-ID or sticky bit -- ignored");
    return false;
  }
  if (status.st_nlink > 1 && !arguments_.is_forced) {
    Warn(fmt::format("{} has {} other link{} -- file ignored", input.path, status.st_nlink - 1,
                     status.st_nlink == 2 ? "" : "s"));
    return false;
  }
  return true;
}

// Whether the file that was read has been written to since it was opened, or its name is
// another's.
bool GzipRun::HasChanged(const Input& input, bool follows_links) {
  const auto is_same = [&](const Result<struct stat>& now) {
    const struct stat& then = input.status();
    return now && now->st_dev == then.st_dev && now->st_ino == then.st_ino &&
           now->st_size == then.st_size && now->st_mtim.tv_sec == then.st_mtim.tv_sec &&
           now->st_mtim.tv_nsec == then.st_mtim.tv_nsec;
  };
  return !is_same(RealFileOps().Stat(input.gzip->fd())) ||
         (!follows_links && !is_same(RealFileOps().StatAt(AT_FDCWD, input.path.c_str())));
}

void GzipRun::ToNamedOutput(const Input& input, const std::string& target) {
  FileOps& ops = RealFileOps();
  if (!arguments_.is_forced && ops.StatAt(AT_FDCWD, target.c_str()))
    return Warn(target + " already exists; not overwritten");
  Result<NewFile> output = NewFile::Create(ParentOf(target));
  if (!output) return Error(target + ": " + Describe(output.error()));
  RemoveOnSignal(output->temporary_path());
  const bool converted = Convert(input, output->fd(), target);
  Result<void> done;
  if (converted) {
    done = CopyObjectStatus(input.gzip->fd(), input.status(), output->fd(),
                            OwnerRule::kIfPermitted);
    if (done) done = output->Appear(target, arguments_.is_forced);
  }
  RemoveOnSignal({});
  if (!converted) return;
  if (!done) return Error(target + ": " + Describe(done.error()));
  // With -f a symbolic link is followed when it is read, and goes itself.
  if (!arguments_.keeps && HasChanged(input, arguments_.is_forced))
    return Error(input.path + " changed meanwhile; it is kept beside " + target);
  if (!arguments_.keeps) {
    const Result<void> removed = ops.UnlinkAt(AT_FDCWD, input.path.c_str(), 0);
    if (!removed) return Error(input.path + ": " + Describe(removed.error()));
  }
  SayDone(input, (arguments_.keeps ? "created " : "replaced with ") + target);
}

// To `out_fd`; -1: nowhere, to see whether it can be done.
void GzipRun::ToDescriptor(const Input& input, int out_fd, const std::string& out_name) {
  if (is_compressing_ && out_fd >= 0 && !arguments_.is_forced && ::isatty(out_fd) == 1)
    return Error(out_name + " is a terminal; compressed data is not written there");
  if (Convert(input, out_fd, out_name))
    SayDone(input, arguments_.action == Action::kTest ? "OK" : "");
}

void GzipRun::ToOutputOption(const Input& input) {
  Result<OutputFile> output = OutputFile::Create(arguments_.out_path);
  if (!output) return Error(arguments_.out_path + ": " + Describe(output.error()));
  if (is_compressing_ && !arguments_.is_forced && output->IsTerminal())
    return Error(output->name() + " is a terminal; compressed data is not written there");
  if (!Convert(input, output->fd(), output->name())) return;
  std::optional<struct stat> like;
  if (!input.is_standard() && S_ISREG(input.status().st_mode)) like = input.status();
  const Result<void> done = output->Commit(like);
  if (!done) return Error(fmt::format("cannot write to {}: {}", output->name(),
                                      Describe(done.error())));
  SayDone(input, "created " + output->name());
}

bool GzipRun::Convert(const Input& input, int out_fd, const std::string& out_name) {
  return is_compressing_ ? Compress(input, out_fd, out_name)
                         : Decompress(input, out_fd, out_name);
}

bool GzipRun::Compress(const Input& input, int out_fd, const std::string& out_name) {
  PackStream stream(&pool_, arguments_.pack);
  const auto packed = stream.Copy(input.gzip->fd(), out_fd);
  plain_bytes_ = stream.index().plain_bytes();
  stored_bytes_ = stream.index().file_bytes();
  member_count_ = stream.member_count();
  if (packed) return true;
  const std::string reason = Describe(packed.error().code);
  const bool is_output = packed.error().side == PackFailure::Side::kOutput;
  Error(is_output ? fmt::format("cannot write to {}: {}", out_name, reason)
                  : fmt::format("{}: {}", input.name, reason));
  return false;
}

bool GzipRun::Decompress(const Input& input, int out_fd, const std::string& out_name) {
  const ByteSource& source = input.gzip->source();
  const bool passes = arguments_.is_forced && out_fd == STDOUT_FILENO;
  CopyCounts counts;
  auto copied = CopyPlain(source, pool_, {}, {}, out_fd, &counts);
  const bool is_no_gzip = !copied && copied.error().code == DataError::kNotGzip &&
                          copied.error().member.file_offset == 0;
  // gzip -dcf gives what is no gzip as it is.
  if (passes && is_no_gzip) copied = CopyAsItIs(source, out_fd);
  plain_bytes_ = counts.plain_bytes;
  stored_bytes_ = counts.file_bytes;
  member_count_ = counts.member_count;
  if (copied) return true;
  const CopyFailure& failure = copied.error();
  const std::string sentence = DescribeFailure(failure, input.name, out_name);
  if (failure.kind != CopyFailure::Kind::kLeftover) {
    Error(sentence);
    return false;
  }
  // Padding with zeros is usual on tapes: gzip tells of it only when it is verbose.
  const bool is_padding = IsZeroFrom(source, failure.member.file_offset);
  if (!is_padding || arguments_.is_verbose) Warn(sentence);
  return true;
}

void GzipRun::List(const Input& input) {
  const Result<ListedFile> listed = ListGzip(input.gzip->source());
  if (!listed) {
    const bool is_cut = listed.error() == DataError::kTruncated;
    return Error(fmt::format("{}: {}", input.name,
                             is_cut ? "unexpected end of file" : Describe(listed.error())));
  }
  const std::string shown = input.is_standard()
                                ? "stdout"
                                : DecompressedName(input.path, arguments_.suffix)
                                      .value_or(input.path);
  if (!Print(arguments_.command,
             DescribeListed(*listed, shown, input.status().st_mtim.tv_sec,
                            {.has_heading = listed_count_ == 0 && !arguments_.is_quiet,
                             .is_verbose = arguments_.is_verbose}))) {
    exit_status_ = kExitError;
  }
  ++listed_count_;
  listed_plain_bytes_ += listed->plain_bytes;
  listed_stored_bytes_ += listed->file_bytes;
}

// Verbose: "x:  73.2% -- replaced with x.gz", and how it went.
void GzipRun::SayDone(const Input& input, const std::string& outcome) {
  if (!arguments_.is_verbose) return;
  const std::chrono::duration<double> seconds = Clock::now() - input.begin;
  const double time = std::max(seconds.count(), 1e-6);
  const uint64_t in = is_compressing_ ? plain_bytes_ : stored_bytes_;
  const uint64_t out = is_compressing_ ? stored_bytes_ : plain_bytes_;
  std::string line = fmt::format("{}:\t{}{}", input.name, Ratio(plain_bytes_, stored_bytes_),
                                 outcome.empty() ? "" : " -- " + outcome);
  line += fmt::format("\n  {} blocks, {} bytes in, {} bytes out, {:.1f} MB/s in, {:.1f} MB/s out",
                      member_count_, in, out, Megabytes(in) / time, Megabytes(out) / time);
  const std::vector<CodecPool::Load> loads = pool_.Loads();
  for (size_t i = 0; i < loads.size(); ++i) {
    const std::chrono::duration<double> busy = loads[i].busy;
    const double busy_time = std::max(busy.count(), 1e-6);
    line += fmt::format("\n  worker {}: {} jobs so far, {:.2f} s, {:.1f} MB/s in, {:.1f} MB/s out",
                        i + 1, loads[i].job_count, busy.count(),
                        Megabytes(loads[i].in_bytes) / busy_time,
                        Megabytes(loads[i].out_bytes) / busy_time);
  }
  line += "\n";
  (void)WriteStream(STDERR_FILENO, std::as_bytes(std::span(line)));
}

int GzipRun::Finish() {
  if (arguments_.action == Action::kList && listed_count_ > 1 && !arguments_.is_quiet) {
    if (!Print(arguments_.command,
               DescribeTotals(listed_plain_bytes_, listed_stored_bytes_, arguments_.is_verbose)))
      exit_status_ = kExitError;
  }
  return exit_status_;
}

int RunGzip(const GzipArguments& arguments) {
  GzipRun run(arguments);
  if (arguments.paths.empty()) run.Do("-");
  for (const std::string& path : arguments.paths) run.Do(path);
  return run.Finish();
}

}  // namespace gzipfs
