// Where pack and unpack write: standard output, or a file that appears under
// its name only when it is complete.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// Move-only. Going without Commit removes what was written, also when a signal
// ends the process. One at a time.
class OutputFile {
 public:
  static Result<OutputFile> OpenStandardOutput();
  // A file to be `path`. It is written under a temporary name in the same
  // directory; symlinks are followed; what is no regular file (a fifo, a
  // device) is written directly.
  static Result<OutputFile> Create(const std::string& path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }  // for messages
  bool IsTerminal() const;

  // Makes the file appear, replacing one of that name, whose mode it then
  // takes over. With `like`, the input's status, mode (of a new file) and
  // modification time are its own.
  Result<void> Commit(const std::optional<struct stat>& like);

 private:
  OutputFile() = default;
  Result<void> CopyStatus(const std::optional<struct stat>& like);

  UniqueFd fd_;
  std::string name_;
  std::string target_path_;     // empty: written directly
  std::string temporary_path_;  // empty once it has gone
  std::optional<struct stat> replaced_;
};

}  // namespace gzipfs
