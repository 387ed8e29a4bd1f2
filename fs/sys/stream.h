// Byte streams that are read and written in order: pipes, terminals, files.
//
// The functions retry EINTR and finish short transfers. Errors are errno
// values of the system category.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// Reads until `out` is full or the stream ends; returns the bytes read.
Result<size_t> ReadStream(int fd, std::span<std::byte> out);

// Writes all of `bytes`.
Result<void> WriteStream(int fd, std::span<const std::byte> bytes);

// Closes `fd` and says what writing to it ran into as late as that.
Result<void> CloseStream(UniqueFd fd);

// A copy of descriptor `fd`, closed on exec.
Result<UniqueFd> DuplicateFd(int fd);

// The text of a small file, up to `limit_bytes`.
Result<std::string> ReadTextFile(const std::string& path, size_t limit_bytes);

// Replaces the content of an existing small file, as those below /sys are set.
Result<void> WriteTextFile(const std::string& path, const std::string& text);

}  // namespace gzipfs
