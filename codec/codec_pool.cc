// Workers take jobs until the queue is closed and empty.
#include "codec/codec_pool.h"

#include <sched.h>

#include <algorithm>
#include <exception>

namespace gzipfs {
namespace {

// Enough to keep workers busy between two looks of the submitter, few enough
// that a queue of 64 KiB blocks stays small beside the dirty-byte budget.
constexpr size_t kJobsPerWorker = 64;
// boost::lockfree::queue of fixed size numbers its nodes with 16 bits.
constexpr size_t kMaxQueuedJobs = 60000;

size_t QueueCapacity(unsigned worker_count) {
  return std::min<size_t>(kJobsPerWorker * std::max(worker_count, 1u), kMaxQueuedJobs);
}

// What the job has counted that runs on this thread.
struct JobBytes {
  uint64_t in = 0;
  uint64_t out = 0;
};
thread_local JobBytes job_bytes;

}  // namespace

CodecPool::CodecPool(unsigned worker_count)
    : queue_(QueueCapacity(worker_count)), counters_(std::max(worker_count, 1u)) {
  try {
    for (Counters& counters : counters_) workers_.emplace_back([&] { Work(counters); });
  } catch (const std::exception&) {
    // No memory, or no more threads for this user: fewer do as well. Those that were
    // started wait for the queue, and must not be joined before it is closed.
    if (!workers_.empty()) return;
    throw;
  }
}

void CodecPool::Work(Counters& counters) {
  using Clock = std::chrono::steady_clock;
  while (Job* job = queue_.Pop()) {
    const Clock::time_point begin = Clock::now();
    job_bytes = {};
    job->Run();
    counters.in_bytes += job_bytes.in;
    counters.out_bytes += job_bytes.out;
    counters.busy_ns += std::chrono::nanoseconds(Clock::now() - begin).count();
    ++counters.job_count;
  }
}

// The count of jobs is the last to be moved, so the first to be read.
std::vector<CodecPool::Load> CodecPool::Loads() const {
  std::vector<Load> loads;
  for (const Counters& counters : counters_) {
    const uint64_t job_count = counters.job_count;
    loads.push_back({job_count, std::chrono::nanoseconds(counters.busy_ns), counters.in_bytes,
                     counters.out_bytes});
  }
  return loads;
}

void CodecPool::CountBytes(uint64_t in_bytes, uint64_t out_bytes) {
  job_bytes.in += in_bytes;
  job_bytes.out += out_bytes;
}

CodecPool::~CodecPool() {
  queue_.Close();
  for (std::jthread& worker : workers_) worker.join();
}

void CodecPool::Submit(Job* job) {
  if (!queue_.TryPush(job)) job->Run();
}

bool CodecPool::HelpOnce() {
  Job* job = queue_.TryPop();
  if (job != nullptr) job->Run();
  return job != nullptr;
}

unsigned UsableCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof cores, &cores) == 0)
    return static_cast<unsigned>(std::max(CPU_COUNT(&cores), 1));
  return std::max(std::thread::hardware_concurrency(), 1u);
}

}  // namespace gzipfs
