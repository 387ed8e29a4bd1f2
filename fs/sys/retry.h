// How the wrappers of fs/sys turn a system call's answer into a Result.
#pragma once

#include <cerrno>

#include "codec/base/result.h"

namespace gzipfs {

// Calls `call` again for as long as a signal interrupts it.
template <typename Call>
auto RetryInterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// For calls that answer nothing but success or errno.
template <typename Call>
Result<void> CheckCall(Call call) {
  if (RetryInterrupted(call) < 0) return Fail(errno);
  return {};
}

}  // namespace gzipfs
