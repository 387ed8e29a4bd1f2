// A mounted store from its options to its end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fs/store/store.h"

namespace gzipfs {

struct MountOptions {
  std::string store_path;
  std::string mount_point;
  StoreOptions store;
  bool foreground = false;
  bool debug = false;           // libfuse's own tracing; implies foreground
  bool allow_other = false;
  // Whether the kernel gathers small writes; if not said, unless the disk is nearly full.
  std::optional<bool> writeback;
  std::string log;              // "syslog", "stderr" or a file; empty: stderr in the
                                // foreground, syslog in the background
  std::vector<std::string> kernel_options;  // nosuid, nodev, ... as given with -o
};

// Mounts and, in the foreground, serves until unmounted. In the background it
// returns as soon as the mount answers. Returns the process's exit status; on
// failure one sentence that says why is on stderr.
int RunMount(const MountOptions& options);

}  // namespace gzipfs
