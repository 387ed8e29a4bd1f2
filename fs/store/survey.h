// What lies in a store's private directory, looked at without changing
// anything: logs that wait for the next mount, logs that fit no file, what was
// put aside, what was left over.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "codec/base/result.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

struct SurveyFinding {
  enum class Kind : uint8_t {
    kNote,    // nothing is wrong
    kDamage,  // changes that were promised to be durable are lost, or cannot be used
  };
  Kind kind;
  std::string sentence;
};

// What all names of a file have in common: its device and its inode number.
using FileIdentity = std::pair<dev_t, ino_t>;

struct StoreSurvey {
  bool is_in_use = false;                  // a mount has it; then its logs are not judged
  // Of files with a log, from the store's root; one name of each, which may have more.
  std::vector<std::string> waiting_paths;
  std::vector<FileIdentity> waiting_files;  // the same files, by whichever name
  std::vector<SurveyFinding> findings;
};

enum class SurveyDepth : uint8_t {
  kEnds,        // every record is read; its checksum tells whether it counts
  kEveryBlock,  // and its payload is decoded
};

// Whether a mount has the store `path`, as far as that can be told.
bool IsStoreInUse(FileOps& ops, const std::string& path);

// Looks into the store `path`. A directory without a private one in it is not a
// store: nothing is found. Takes no lock that outlasts the call. Errors are the
// device's.
Result<StoreSurvey> SurveyStore(FileOps& ops, const std::string& path, SurveyDepth depth);

}  // namespace gzipfs
