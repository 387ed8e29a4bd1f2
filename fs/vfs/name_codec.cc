// The rules of name_codec.h.
//
// Whether an entry is shown under its own name depends on the entry without
// the last ".gz", and so on down the chain a.gz.gz, a.gz, a. All links of a
// chain get the same answer: its first link that is raw by itself makes all
// above it raw; a missing link makes all above it gzip.
#include "fs/vfs/name_codec.h"

namespace gzipfs {
namespace {

// True when the entry is shown under its own name whatever else there is.
Result<bool> IsRawByItself(DirectoryView& directory, const std::string& store_name,
                           const struct stat& base) {
  if (!S_ISREG(base.st_mode) || !HasGzSuffix(store_name)) return true;
  if (base.st_size == 0) return false;
  const auto is_gzip = directory.IsGzip(store_name, base);
  if (!is_gzip) return Fail(is_gzip.error());
  return !*is_gzip;
}

// True when the entry is shown under its own name.
Result<bool> KeepsName(DirectoryView& directory, std::string store_name, struct stat base) {
  while (true) {
    const auto is_raw = IsRawByItself(directory, store_name, base);
    if (!is_raw) return Fail(is_raw.error());
    if (*is_raw) return true;
    store_name.resize(store_name.size() - kGzSuffix.size());
    const auto below = directory.Stat(store_name);
    if (!below) return Fail(below.error());
    if (!*below) return false;
    base = **below;
  }
}


}  // namespace

bool HasGzSuffix(std::string_view store_name) {
  return store_name.size() > kGzSuffix.size() && store_name.ends_with(kGzSuffix);
}

std::string GzipStoreName(std::string_view mount_name) {
  std::string store_name;
  store_name.reserve(mount_name.size() + kGzSuffix.size());
  return store_name.append(mount_name).append(kGzSuffix);
}

Result<std::optional<BaseName>> FindKeptName(DirectoryView& directory, const std::string& name) {
  const auto own = directory.Stat(name);
  if (!own) return Fail(own.error());
  if (!*own) return std::nullopt;
  const auto keeps_name = KeepsName(directory, name, **own);
  if (!keeps_name) return Fail(keeps_name.error());
  if (!*keeps_name) return std::nullopt;
  return BaseName{name, **own, Form::kRaw};
}

Result<std::optional<BaseName>> ResolveMountName(DirectoryView& directory,
                                                 const std::string& mount_name) {
  auto kept = FindKeptName(directory, mount_name);
  if (!kept || *kept) return kept;
  if (mount_name.size() > kMaxMountNameBytes) return std::nullopt;
  // From here on no entry keeps the name, so X.gz is shown as it, if gzip.
  const std::string store_name = GzipStoreName(mount_name);
  const auto packed = directory.Stat(store_name);
  if (!packed) return Fail(packed.error());
  if (!*packed) return std::nullopt;
  const auto is_raw = IsRawByItself(directory, store_name, **packed);
  if (!is_raw) return Fail(is_raw.error());
  if (*is_raw) return std::nullopt;
  return BaseName{store_name, **packed, Form::kGzip};
}

Result<ShownName> ShowStoreName(DirectoryView& directory, const std::string& store_name,
                                const struct stat& base) {
  const auto keeps_name = KeepsName(directory, store_name, base);
  if (!keeps_name) return Fail(keeps_name.error());
  if (*keeps_name) return ShownName{store_name, Form::kRaw};
  return ShownName{store_name.substr(0, store_name.size() - kGzSuffix.size()),
                   Form::kGzip};
}

}  // namespace gzipfs
