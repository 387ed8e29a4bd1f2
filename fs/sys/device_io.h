// One read or write of a device that takes and gives whole messages, with the
// kernel's own answer: a count, or -1 and errno. Nothing is retried, because
// the caller of these (libfuse) does that itself.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

namespace gzipfs {

ssize_t ReadMessage(int fd, void* buffer, size_t byte_count);
ssize_t WriteMessage(int fd, const iovec* parts, int part_count);

}  // namespace gzipfs
