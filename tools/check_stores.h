// What `gzipfs check` tells of the private directories of stores.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "fs/store/survey.h"
#include "tools/check_inventory.h"

namespace gzipfs {

// Lines for people, each with the path it is about.
struct StoreLines {
  std::vector<std::string> notes;
  std::vector<std::string> damages;
  std::vector<std::string> failures;  // what could not be looked at
};

// Looks into the stores of `inventory`: of one that is part of it, at
// everything; of one that only has files in it, at the logs of those. `is_deep`
// as fs/store/survey.h has it; `is_ours`: this process has the stores' locks.
StoreLines LookIntoStores(const CheckInventory& inventory, bool is_deep, bool is_ours);

// Files in the store `root` that have a redo log. Errors of what cannot be looked at.
Result<std::set<FileIdentity>> WaitingFilesOf(const std::string& root);

}  // namespace gzipfs
