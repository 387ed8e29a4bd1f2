// Mount names and store names.
//
// The regular file that a program knows as X lies in the store as X.gz; every
// other kind of object keeps its name. What a store entry S is shown as:
//
//   S is not a regular file             S
//   S does not end in ".gz"             S, its bytes as they are (raw)
//   S = B.gz, not in gzip format        S, raw
//   S = B.gz, and B is an entry that
//       is shown under its own name     S, raw
//   S = B.gz otherwise                  B, its plain bytes (gzip)
//
// No two entries of a directory are shown under one name, and every entry is
// shown. An empty B.gz counts as gzip: it is a file that was just created.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace gzipfs {

inline constexpr std::string_view kGzSuffix = ".gz";

// The longest mount name: with the suffix it is the longest store name
// (NAME_MAX of Linux, 255 bytes).
inline constexpr size_t kMaxMountNameBytes = 255 - kGzSuffix.size();

// How the bytes of a base file are seen. Everything that is not a regular file
// is kRaw.
enum class Form : uint8_t { kGzip, kRaw };

// The entries of one directory of the store, as far as names depend on them.
class DirectoryView {
 public:
  virtual ~DirectoryView() = default;

  // The entry's attributes (a symlink's own), or nullopt when there is none.
  virtual Result<std::optional<struct stat>> Stat(const std::string& store_name) = 0;
  // Whether a regular file that is not empty begins as a gzip file does. True
  // also when that may not be read.
  virtual Result<bool> IsGzip(const std::string& store_name, const struct stat& base) = 0;
};

// A store entry and how it is shown.
struct BaseName {
  std::string store_name;
  struct stat stat;
  Form form;
};

struct ShownName {
  std::string mount_name;
  Form form;
};

// True for B.gz with a B that is not empty.
bool HasGzSuffix(std::string_view store_name);

// The store name of the regular file X in gzip form.
std::string GzipStoreName(std::string_view mount_name);

// The entry `name` if it is shown under its own name, else nullopt.
Result<std::optional<BaseName>> FindKeptName(DirectoryView& directory, const std::string& name);

// The entry that is shown as `mount_name`, or nullopt when there is none.
Result<std::optional<BaseName>> ResolveMountName(DirectoryView& directory,
                                                 const std::string& mount_name);

// What the existing entry `store_name` with attributes `base` is shown as.
Result<ShownName> ShowStoreName(DirectoryView& directory, const std::string& store_name,
                                const struct stat& base);

}  // namespace gzipfs
