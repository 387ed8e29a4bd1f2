// Many independent pieces of work on a few threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "codec/base/mutex.h"

namespace gzipfs {

// Calls work(0) to work(count - 1), each once, begun in that order, on up to
// `thread_count` threads; returns when all are done. What one of them throws is
// thrown here, after the others have ended; nothing is begun after it.
template <typename Work>
void RunInParallel(size_t count, unsigned thread_count, Work work) {
  std::atomic<size_t> next{0};
  Mutex mutex;
  std::exception_ptr thrown;
  const auto take_all = [&] {
    try {
      for (size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      next = count;
      MutexLock lock(mutex);
      thrown = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    const size_t wanted = std::min<size_t>(std::max(thread_count, 1u), count);
    for (size_t i = 1; i < wanted; ++i) threads.emplace_back(take_all);
    take_all();
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace gzipfs
