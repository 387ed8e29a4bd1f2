// What a mount does before its first request: redo logs that an earlier mount
// left behind are brought into their bases.
#pragma once

#include <functional>
#include <string>

#include "fs/store/store.h"

namespace gzipfs {

struct RecoveryReport {
  size_t recovered = 0;    // files whose log is in their base now
  size_t quarantined = 0;  // logs that fit no file: moved aside, never deleted
  size_t completed = 0;    // files whose torn end was cut off
  size_t cut = 0;          // files that lost pages in a power cut: what was behind is kept aside
  size_t left = 0;         // logs that stay, and are read when their file is opened
};

struct RecoveryWatcher {
  // A sentence for a person about one file.
  std::function<void(const std::string& sentence)> say = [](const std::string&) {};
  // Log bytes that are done, of all there are.
  std::function<void(uint64_t done_bytes, uint64_t all_bytes)> progress =
      [](uint64_t, uint64_t) {};
};

// What becomes of files that the last process was appending to when it died.
enum class TornEnds : uint8_t {
  kComplete,  // what is left of a torn write is cut off, and they get a tail
  kLeave,     // they stay as they are
};

// Recovers every file that has a log; after a process that did not come to its
// end also completes the bases it was appending to, after a power cut without what
// came behind lost pages; then removes what unfinished checkpoints left. May be
// interrupted anywhere and run again. In a read-only store nothing is written: the
// logs are noted, to be read when their files are opened.
// REQUIRES: no file of the store is open. An error means that the private
// directory cannot be read or written; what concerns one file alone does not.
Result<RecoveryReport> Recover(Store& store, const RecoveryWatcher& watcher,
                               TornEnds torn_ends = TornEnds::kComplete);

}  // namespace gzipfs
