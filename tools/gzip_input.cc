// Regular files are read at any offset, all else as a pipe.
#include "tools/gzip_input.h"

#include <fcntl.h>
#include <unistd.h>

#include "fs/sys/file_ops.h"
#include "fs/sys/stream.h"
#include "tools/pipe_source.h"

namespace gzipfs {

Result<GzipInput> GzipInput::Open(const std::string& path, Access access) {
  FileOps& ops = RealFileOps();
  GzipInput input;
  // O_NONBLOCK: opening a fifo nobody writes to would wait, only to be refused below.
  const int flags = O_RDONLY | O_NOCTTY | (access == Access::kRandom ? O_NONBLOCK : 0);
  Result<UniqueFd> fd = ops.OpenAt(AT_FDCWD, path.c_str(), flags, 0);
  if (!fd) return Fail(fd.error());
  input.fd_ = std::move(*fd);
  const Result<struct stat> status = ops.Stat(input.fd_.get());
  if (!status) return Fail(status.error());
  input.status_ = *status;
  if (S_ISDIR(status->st_mode)) return Fail(EISDIR);
  if (input.is_regular()) {
    input.source_ = std::make_unique<FileSource>(ops, input.fd_.get(),
                                                 static_cast<uint64_t>(status->st_size));
  } else if (access == Access::kSequential) {
    input.source_ = std::make_unique<PipeSource>(input.fd_.get());
  } else {
    return Fail(EINVAL);
  }
  return input;
}

Result<GzipInput> GzipInput::OpenStandardInput() {
  GzipInput input;
  Result<UniqueFd> fd = DuplicateFd(STDIN_FILENO);
  if (!fd) return Fail(fd.error());
  input.fd_ = std::move(*fd);
  const Result<struct stat> status = RealFileOps().Stat(input.fd_.get());
  if (!status) return Fail(status.error());
  input.status_ = *status;
  input.source_ = std::make_unique<PipeSource>(input.fd_.get());
  return input;
}

}  // namespace gzipfs
