// How many descriptors this process may have open.
#pragma once

#include <sys/resource.h>

#include <cstddef>

namespace gzipfs {

// RLIMIT_NOFILE's soft limit as it is now; `most` when there is none.
inline size_t DescriptorLimit(size_t most) {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > most) return most;
  return static_cast<size_t>(limit.rlim_cur);
}

}  // namespace gzipfs
