// What is to be imported: every file below the given paths, and what becomes of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/import_file.h"

namespace gzipfs {

struct ImportPlan {
  std::vector<ImportJob> jobs;           // the largest first
  std::vector<std::string> temporaries;  // of runs that were killed, or still run
  uint64_t total_bytes = 0;              // of the sources of all jobs
  uint64_t skipped_files = 0;            // in our format already
  uint64_t failed_files = 0;             // told on stderr, and left alone
  struct Directory {
    std::string from;
    std::string to;
    struct stat status {};
  };
  std::vector<Directory> directories;    // made below the store, parents first; to be completed
};

// Adds `path` (a file or directory, canonical) to be converted where it is.
void PlanInPlace(const std::string& path, ImportPlan& plan);

// Adds `path` to be copied to `to`, the same tree; makes its directories, symlinks
// and special files there at once, unless `is_dry`.
void PlanCopy(const std::string& path, const std::string& to, bool is_dry, ImportPlan& plan);

// Puts jobs in order, and names of one file into one job; tells of different files that
// would be copied to one name. After the last path.
void FinishPlan(bool is_in_place, ImportPlan& plan);

}  // namespace gzipfs
