// Whoever may not look into the private directory does without.
#include "tools/kept_layout.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>

#include "fs/store/kept_indexes.h"
#include "fs/store/store.h"
#include "tools/check_inventory.h"

namespace gzipfs {

std::optional<FileLayout> LoadKeptLayout(const std::string& path, const GzipInput& input) {
  if (!input.is_regular() || input.source().Size() < kMinKeptFileBytes) return std::nullopt;
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  if (error) return std::nullopt;
  StoreRoots roots;
  const std::optional<std::string> root = roots.Of(real);
  if (!root) return std::nullopt;
  const std::string index_path = *root + "/" + kPrivateDirName + "/" + kIndexDirName;
  Result<UniqueFd> dir = RealFileOps().OpenAt(AT_FDCWD, index_path.c_str(),
                                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (!dir) return std::nullopt;
  KeptIndexes kept(RealFileOps(), std::move(*dir), /*read_only=*/true);
  Result<std::optional<FileLayout>> layout = kept.Load(input.fd(), input.status());
  // A device's error will be met again by whoever reads the file.
  if (!layout || !*layout || (*layout)->damage) return std::nullopt;
  return std::move(*layout);
}

const MemberInfo* ForeignAt(const FileLayout& layout, uint64_t file_offset) {
  const auto found = std::partition_point(
      layout.foreign.begin(), layout.foreign.end(),
      [file_offset](const MemberInfo& member) { return member.file_offset < file_offset; });
  const bool is_it = found != layout.foreign.end() && found->file_offset == file_offset;
  return is_it ? &*found : nullptr;
}

const MemberRestarts* RestartsAt(const FileLayout& layout, uint64_t file_offset) {
  for (const RestartsRef& restarts : layout.restarts) {
    if (restarts->file_offset == file_offset) return restarts.get();
  }
  return nullptr;
}

}  // namespace gzipfs
