// The replaced file's own bytes stay on disk until the new ones are there.
#include "tools/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "fs/sys/file_ops.h"
#include "fs/sys/process.h"
#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

constexpr mode_t kNewFileMode = 0666;   // less the umask
constexpr mode_t kCopiedModeBits = 0777;

}  // namespace

Result<OutputFile> OutputFile::OpenStandardOutput() {
  OutputFile output;
  Result<UniqueFd> fd = DuplicateFd(STDOUT_FILENO);
  if (!fd) return Fail(fd.error());
  output.fd_ = std::move(*fd);
  output.name_ = "standard output";
  return output;
}

Result<OutputFile> OutputFile::Create(const std::string& path) {
  FileOps& ops = RealFileOps();
  OutputFile output;
  output.name_ = path;
  std::error_code error;
  // What does not exist stays relative in weakly_canonical's answer.
  std::filesystem::path target = std::filesystem::absolute(path, error);
  if (!error) target = std::filesystem::weakly_canonical(target, error);
  if (error) return Fail(error);
  const Result<struct stat> existing = ops.StatAt(AT_FDCWD, target.c_str());
  if (existing && !S_ISREG(existing->st_mode)) {
    Result<UniqueFd> fd = ops.OpenAt(AT_FDCWD, target.c_str(), O_WRONLY | O_NOCTTY, 0);
    if (!fd) return Fail(fd.error());
    output.fd_ = std::move(*fd);
    return output;
  }
  if (existing) output.replaced_ = *existing;
  const std::string temporary = fmt::format("{}/.{}.{}.tmp", target.parent_path().string(),
                                            target.filename().string(), ::getpid());
  RemoveOnSignal(temporary);
  Result<UniqueFd> fd =
      ops.OpenAt(AT_FDCWD, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL, kNewFileMode);
  if (!fd) {
    RemoveOnSignal({});
    return Fail(fd.error());
  }
  output.fd_ = std::move(*fd);
  output.target_path_ = target;
  output.temporary_path_ = temporary;
  return output;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      name_(std::move(other.name_)),
      target_path_(std::move(other.target_path_)),
      temporary_path_(std::exchange(other.temporary_path_, {})),
      replaced_(std::move(other.replaced_)) {}

OutputFile::~OutputFile() {
  if (temporary_path_.empty()) return;
  // Best effort: there is nobody to tell, and the reason to go was told already.
  static_cast<void>(RealFileOps().UnlinkAt(AT_FDCWD, temporary_path_.c_str(), 0));
  RemoveOnSignal({});
}

bool OutputFile::IsTerminal() const { return ::isatty(fd_.get()) == 1; }

Result<void> OutputFile::CopyStatus(const std::optional<struct stat>& like) {
  FileOps& ops = RealFileOps();
  if (replaced_) {
    GZIPFS_TRY(ops.SetMode(fd(), replaced_->st_mode & kCopiedModeBits));
    GZIPFS_TRY(ops.SyncData(fd()));
  } else if (like) {
    GZIPFS_TRY(ops.SetMode(fd(), like->st_mode & kCopiedModeBits));
  }
  if (!like) return {};
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, like->st_mtim};
  return ops.SetTimes(fd(), times);
}

Result<void> OutputFile::Commit(const std::optional<struct stat>& like) {
  if (!temporary_path_.empty()) GZIPFS_TRY(CopyStatus(like));
  GZIPFS_TRY(CloseStream(std::move(fd_)));
  if (temporary_path_.empty()) return {};
  GZIPFS_TRY(RealFileOps().RenameAt(AT_FDCWD, temporary_path_.c_str(), AT_FDCWD,
                                    target_path_.c_str(), 0));
  temporary_path_.clear();
  RemoveOnSignal({});
  return {};
}

}  // namespace gzipfs
