// See device_io.h.
#include "fs/sys/device_io.h"

#include <unistd.h>

namespace gzipfs {

ssize_t ReadMessage(int fd, void* buffer, size_t byte_count) {
  return ::read(fd, buffer, byte_count);
}

ssize_t WriteMessage(int fd, const iovec* parts, int part_count) {
  return ::writev(fd, parts, part_count);
}

}  // namespace gzipfs
