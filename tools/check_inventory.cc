// A walk by std::filesystem: nothing here is read but directories.
#include "tools/check_inventory.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "fs/store/store.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/mounts.h"
#include "fs/vfs/name_codec.h"
#include "tools/messages.h"
#include "tools/path_view.h"
#include "tools/store_path.h"

namespace gzipfs {
namespace {

namespace files = std::filesystem;

constexpr char kInventoryOf[] = "check";

// Notes every X.gz that cannot be shown as X because X is there too.
void NoteCollisions(const files::path& directory, const std::set<std::string>& names,
                    CheckInventory& inventory) {
  std::optional<PathView> view;
  for (const std::string& name : names) {
    if (!HasGzSuffix(name)) continue;
    const std::string plain_name = name.substr(0, name.size() - kGzSuffix.size());
    if (!names.contains(plain_name)) continue;
    if (!view) {
      Result<UniqueFd> fd =
          RealFileOps().OpenAt(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY, 0);
      if (!fd) return;
      view.emplace(std::move(*fd));
    }
    const auto status = view->Stat(name);
    if (!status || !*status || !S_ISREG((*status)->st_mode)) continue;
    const auto is_gzip = view->IsGzip(name, **status);
    const auto shown = ShowStoreName(*view, name, **status);
    if (!is_gzip || !*is_gzip || !shown || shown->form != Form::kRaw) continue;
    inventory.collisions.push_back(fmt::format(
        "{}: note: {} is there, too; a mount shows {} under its full name",
        (directory / name).string(), plain_name, name));
  }
}

// Adds the .gz files below `directory`, sorted by name.
void Collect(const files::path& directory, CheckInventory& inventory) {
  std::error_code error;
  files::directory_iterator walk(directory, error);
  std::vector<files::directory_entry> entries;
  for (; !error && walk != files::directory_iterator(); walk.increment(error))
    entries.push_back(*walk);
  if (error) {
    Complain(kInventoryOf, "{}: {}", directory.string(), Describe(error));
    inventory.is_incomplete = true;
  }
  std::sort(entries.begin(), entries.end());
  std::set<std::string> names;
  for (const files::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    const files::file_type type = entry.symlink_status(error).type();
    if (type == files::file_type::directory && name == kPrivateDirName) {
      inventory.store_paths.push_back(directory.string());
      continue;
    }
    names.insert(name);
    if (type == files::file_type::directory) {
      Collect(entry.path(), inventory);
    } else if (type == files::file_type::regular) {
      if (!name.ends_with(kGzSuffix)) {
        ++inventory.raw_files;
        continue;
      }
      const uint64_t file_bytes = entry.file_size(error);
      inventory.files.push_back({entry.path().string(), error ? 0 : file_bytes});
    }
  }
  NoteCollisions(directory, names, inventory);
}

void NoteMount(const std::string& path) {
  std::error_code error;
  const std::string real = files::canonical(path, error).string();
  const Result<std::vector<MountEntry>> mounts = ReadMounts();
  if (error || !mounts) return;
  for (const MountEntry& mount : *mounts) {
    if (mount.type != kMountType || !mount.source.starts_with('/')) continue;
    if (!IsInside(real, mount.source)) continue;
    Complain(kInventoryOf, "note: {} is mounted on {}; what is being written may be incomplete",
             mount.source, mount.mount_point);
  }
}

}  // namespace

std::optional<std::string> StoreRoots::OfDirectory(const std::string& directory) {
  if (const auto known = known_.find(directory); known != known_.end()) return known->second;
  std::error_code error;
  const files::path path(directory);
  std::optional<std::string> root;
  if (files::symlink_status(path / kPrivateDirName, error).type() == files::file_type::directory) {
    root = directory;
  } else if (path.has_relative_path()) {
    root = OfDirectory(path.parent_path().string());
  }
  known_[directory] = root;
  return root;
}

std::optional<std::string> StoreRoots::Of(const std::string& path) {
  std::error_code error;
  const files::path real = files::canonical(path, error);
  if (error) return std::nullopt;
  const bool is_directory = files::is_directory(real, error);
  return OfDirectory(is_directory ? real.string() : real.parent_path().string());
}

CheckInventory TakeInventory(const std::vector<std::string>& paths, bool quiet) {
  CheckInventory inventory;
  for (const std::string& path : paths) {
    const Result<std::string> store_path = FindStoreFile(path);
    std::error_code error = store_path ? std::error_code{} : store_path.error();
    if (!error && !quiet) NoteMount(*store_path);
    if (!error && files::is_directory(*store_path, error)) {
      Collect(*store_path, inventory);
      continue;
    }
    if (error) {
      Complain(kInventoryOf, "{}: {}", path, Describe(error));
      inventory.is_incomplete = true;
      continue;
    }
    const uint64_t file_bytes = files::file_size(*store_path, error);
    inventory.files.push_back({*store_path, error ? 0 : file_bytes});
  }
  for (const InventoryFile& file : inventory.files) inventory.total_bytes += file.file_bytes;
  return inventory;
}

}  // namespace gzipfs
