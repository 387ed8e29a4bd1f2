// {"version": 1, "block_bytes": 65536}
#include "fs/store/store_config.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

namespace gzipfs {
namespace {

constexpr int kVersion = 1;
constexpr size_t kMaxConfigBytes = 4096;
constexpr char kNewConfigName[] = "config.json.new";

}  // namespace

Result<std::optional<StoreConfig>> ReadStoreConfig(FileOps& ops, int private_fd) {
  if (private_fd < 0) return std::nullopt;
  Result<UniqueFd> fd = ops.OpenAt(private_fd, kConfigName, O_RDONLY | O_NOFOLLOW, 0);
  if (!fd) {
    if (fd.error().value() == ENOENT) return std::nullopt;
    return Fail(fd.error());
  }
  std::string text(kMaxConfigBytes, '\0');
  Result<size_t> count =
      ops.ReadAt(fd->get(), 0, std::as_writable_bytes(std::span(text.data(), text.size())));
  if (!count) return Fail(count.error());
  text.resize(*count);
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("version") || json["version"] != kVersion ||
      !json.contains("block_bytes") || !json["block_bytes"].is_number_unsigned()) {
    return Fail(EINVAL);
  }
  return StoreConfig{.block_bytes = json["block_bytes"].get<uint64_t>()};
}

std::string DescribeConfigError(std::error_code error) {
  if (error != std::error_code(EINVAL, std::system_category())) {
    return "cannot be read: " + error.message();
  }
  return "is damaged: it should be {\"version\": 1, \"block_bytes\": N} with the block size the "
         "store was made with; write that, with N 65536 unless block_size= was given, or remove "
         "the file for 65536 ('gzipfs stat' tells the block size of a stored file)";
}

Result<void> WriteStoreConfig(FileOps& ops, int private_fd, const StoreConfig& config) {
  const nlohmann::json json{{"version", kVersion}, {"block_bytes", config.block_bytes}};
  const std::string text = json.dump(2) + "\n";
  Result<UniqueFd> fd =
      ops.OpenAt(private_fd, kNewConfigName, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW, 0600);
  if (!fd) return Fail(fd.error());
  GZIPFS_TRY(ops.WriteAt(fd->get(), 0, std::as_bytes(std::span(text.data(), text.size()))));
  GZIPFS_TRY(ops.SyncData(fd->get()));
  GZIPFS_TRY(ops.RenameAt(private_fd, kNewConfigName, private_fd, kConfigName, 0));
  return ops.SyncAll(private_fd);
}

}  // namespace gzipfs
