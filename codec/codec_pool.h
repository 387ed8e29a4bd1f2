// The worker threads that compress and decompress.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "codec/job_queue.h"

namespace gzipfs {

// A fixed number of workers over one bounded queue. Thread-safe, but for the
// destructor, which runs what is queued and joins.
class CodecPool {
 public:
  // Starts `worker_count` threads (at least one), or as many of them as the system has
  // room for. std::system_error or std::bad_alloc when there is none for a single one.
  explicit CodecPool(unsigned worker_count);
  ~CodecPool();
  CodecPool(const CodecPool&) = delete;
  CodecPool& operator=(const CodecPool&) = delete;

  // Hands `job` to a worker, or runs it right here when the queue is full:
  // the submitter's time is then the back-pressure.
  void Submit(Job* job);
  // Runs one queued job on this thread; false when none was queued. Lets a
  // thread that waits for a job help instead.
  bool HelpOnce();

  // Whether jobs wait for a worker just now.
  bool HasBacklog() const { return queue_.HasJobs(); }

  unsigned worker_count() const { return static_cast<unsigned>(workers_.size()); }

  // What a worker has done so far.
  struct Load {
    uint64_t job_count = 0;
    std::chrono::nanoseconds busy{0};  // in jobs, waits for a core included
    uint64_t in_bytes = 0;             // as the jobs have counted them
    uint64_t out_bytes = 0;
  };
  std::vector<Load> Loads() const;

  // For a job: what it has made of what. Goes to the load of the worker that runs it when it
  // has ended; of no worker, nowhere.
  static void CountBytes(uint64_t in_bytes, uint64_t out_bytes);

 private:
  struct Counters {
    std::atomic<uint64_t> job_count{0};
    std::atomic<int64_t> busy_ns{0};
    std::atomic<uint64_t> in_bytes{0};
    std::atomic<uint64_t> out_bytes{0};
  };
  void Work(Counters& counters);

  JobQueue queue_;
  std::vector<Counters> counters_;  // one for each worker
  std::vector<std::jthread> workers_;
};

// Cores this process may run on.
unsigned UsableCores();

}  // namespace gzipfs
