// What a store remembers about itself, as JSON in its private directory.
#pragma once

#include <optional>
#include <string>
#include <system_error>

#include "codec/base/result.h"
#include "codec/gzip_format.h"
#include "fs/sys/file_ops.h"

namespace gzipfs {

inline constexpr char kConfigName[] = "config.json";

struct StoreConfig {
  uint64_t block_bytes = kBgzfBlockBytes;  // 64 KiB: profile bgzf; more: profile large
};

// The configuration in `private_fd`; nullopt when there is none (or no
// directory: -1). EINVAL when it cannot be understood.
Result<std::optional<StoreConfig>> ReadStoreConfig(FileOps& ops, int private_fd);
// What is wrong with a configuration that ReadStoreConfig gave `error` for, and
// what to do: the end of a sentence that begins with its path.
std::string DescribeConfigError(std::error_code error);
// Writes it in one step, durably.
Result<void> WriteStoreConfig(FileOps& ops, int private_fd, const StoreConfig& config);

}  // namespace gzipfs
