// The name under which the kernel shows a process its own descriptors.
#pragma once

#include <cstdio>

namespace gzipfs {

// "/proc/self/fd/N": a path that leads to exactly the object of descriptor N,
// for calls that take no (O_PATH) descriptor. Lives as long as the object.
class ProcPath {
 public:
  explicit ProcPath(int fd) { std::snprintf(path_, sizeof path_, "/proc/self/fd/%d", fd); }
  const char* c_str() const { return path_; }

 private:
  char path_[32];
};

}  // namespace gzipfs
