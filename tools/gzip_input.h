// A gzip file that a subcommand was given, opened for reading.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

#include "codec/base/byte_source.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// Move-only. The source stays where it is when the object moves.
class GzipInput {
 public:
  // What may be read: kSequential takes pipes and devices as well.
  enum class Access : uint8_t { kRandom, kSequential };

  // Opens `path`; with kRandom anything but a regular file is EINVAL (EISDIR
  // for a directory).
  static Result<GzipInput> Open(const std::string& path, Access access);
  // Standard input, from where it stands.
  static Result<GzipInput> OpenStandardInput();

  const ByteSource& source() const { return *source_; }
  // What the source reads from, for those who read it themselves instead.
  int fd() const { return fd_.get(); }
  // EISDIR etc. have been sorted out: a regular file, unless kSequential.
  const struct stat& status() const { return status_; }
  bool is_regular() const { return S_ISREG(status_.st_mode); }

 private:
  UniqueFd fd_;
  struct stat status_ {};
  std::unique_ptr<ByteSource> source_;
};

}  // namespace gzipfs
