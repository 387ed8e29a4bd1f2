// Why no wake-up is lost: TryPush (after its push) and Pop (before its last
// look into the queue) both modify sleeper_count_. Whichever comes second sees
// the first: either the pusher sees the sleeper and notifies it under the
// mutex, or the sleeper's last look finds the job.
#include "codec/job_queue.h"

namespace gzipfs {

bool JobQueue::TryPush(Job* job) {
  if (closed_.load(std::memory_order_acquire)) return false;
  if (!queue_.bounded_push(job)) return false;
  if (sleeper_count_.fetch_add(0, std::memory_order_acq_rel) > 0) {
    MutexLock lock(mutex_);
    wake_.NotifyOne();
  }
  return true;
}

Job* JobQueue::TryPop() {
  Job* job = nullptr;
  return queue_.pop(job) ? job : nullptr;
}

Job* JobQueue::Pop() {
  if (Job* job = TryPop()) return job;
  MutexLock lock(mutex_);
  sleeper_count_.fetch_add(1, std::memory_order_acq_rel);
  Job* job = nullptr;
  for (;;) {
    job = TryPop();
    if (job != nullptr || closed_.load(std::memory_order_relaxed)) break;
    wake_.Wait(mutex_);
  }
  sleeper_count_.fetch_sub(1, std::memory_order_acq_rel);
  return job;
}

void JobQueue::Close() {
  MutexLock lock(mutex_);
  closed_.store(true, std::memory_order_release);
  wake_.NotifyAll();
}

}  // namespace gzipfs

// boost::lockfree reads a node that another thread may be recycling and then
// lets a tagged compare-exchange tell whether the value counts. ThreadSanitizer
// cannot know that. It still sees the queue order what the jobs themselves do.
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
extern "C" const char* __tsan_default_suppressions() {
  return "race:boost::lockfree::detail::*\nrace:boost::lockfree::queue*\n";
}
#endif
