// Repair of one stored file that no mount and nobody else is writing.
//
// What a repair may do is little: it cuts off a rest in which no member can be
// read, after a copy of it has become durable, and it appends a tail. Members
// stay where they are, damaged ones too. So at every instant the file's
// complete members are those it had, and a repair that is stopped anywhere can
// be begun again. A file without plain bytes cannot get a tail behind its
// members (codec/FORMAT.md, section 3): it is replaced by an image.
//
// A file with a foreign member is never changed.
#pragma once

#include <cstdint>
#include <string>

#include "codec/base/result.h"
#include "codec/gzip_format.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

// Where the file is, and what a repair may use. The descriptors are of
// directories opened for reading; they are the caller's.
struct RepairSite {
  FileOps& ops;
  int dir_fd;
  std::string name;        // of the file; a symlink is not followed
  int kept_dir_fd;         // gets what is cut off,
  std::string kept_name;   // under this name, or with a number behind it,
  std::string kept_path;   // which is said to be here: the directory, for people
  int scratch_dir_fd;      // on the same filesystem as both,
  std::string scratch_name;  // a name in it that nothing has
  Profile empty_profile = Profile::kBgzf;          // of a file that has no member
  uint64_t empty_block_bytes = kBgzfBlockBytes;
};

struct RepairResult {
  enum class Kind : uint8_t {
    kNothing,   // there is nothing to repair
    kRepaired,  // `what` was done, and is durable
    kLeft,      // `what` keeps it from being repaired; nothing was changed
  };
  Kind kind = Kind::kNothing;
  std::string what;
};

// REQUIRES: nobody else writes to the file, and it has no redo log. Errors are
// the device's (ESTALE: somebody did write to it); the file's members are all
// there then.
Result<RepairResult> RepairFile(const RepairSite& site);

}  // namespace gzipfs
