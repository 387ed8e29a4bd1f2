// What `gzipfs check` is to look at.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gzipfs {

// Finds the store that a file or directory is in: the nearest directory above
// it, itself included, that has a private one. Remembers what it found. One
// thread at a time.
class StoreRoots {
 public:
  // An absolute path without symlinks; nullopt outside of any store.
  std::optional<std::string> Of(const std::string& path);
  // To be called when a directory has become a store: what was found before is looked up again.
  void Forget() { known_.clear(); }

 private:
  std::optional<std::string> OfDirectory(const std::string& directory);

  std::map<std::string, std::optional<std::string>> known_;
};

struct InventoryFile {
  std::string path;
  uint64_t file_bytes = 0;
};

struct CheckInventory {
  std::vector<InventoryFile> files;
  uint64_t total_bytes = 0;
  uint64_t raw_files = 0;                // regular files that are not kept as gzip
  std::vector<std::string> collisions;   // sentences about names, each a note
  std::vector<std::string> store_paths;  // directories below (or equal to) `paths` that are stores
  bool is_incomplete = false;            // something could not be looked at
};

// Looks for files; says on stderr what cannot be looked at, and, unless it is
// `quiet`, which of the paths are mounted.
CheckInventory TakeInventory(const std::vector<std::string>& paths, bool quiet);

}  // namespace gzipfs
