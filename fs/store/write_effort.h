// How hard to compress what a writer waits for, under level=auto.
//
// Dense while the compressors keep up with what is written, fast as soon as they do not:
// when more than kBurstBytes for each worker wait for them. From then on what is written is
// held against what all workers could compress densely, as measured, and blocks are
// compressed fast until that would suffice again. So a writer that is faster than dense
// compression gets the fast codec for nearly all of a large file, and one that is slower,
// or writes a small file, never does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace gzipfs {

// Thread-safe; takes no lock.
class WriteEffort {
 public:
  using Clock = std::chrono::steady_clock;

  // What `worker_count` workers can do.
  explicit WriteEffort(unsigned worker_count) : worker_count_(worker_count) {}

  // Plain bytes that may come at once and still be compressed densely, for each worker.
  static constexpr uint64_t kBurstBytes = 1 << 20;

  // `byte_count` plain bytes were written at `now`. Whether they are to be compressed fast.
  bool IsPressed(uint64_t byte_count, Clock::time_point now = Clock::now());

  // So many plain bytes wait for a worker from now on, or do not any more.
  void AddWaiting(uint64_t byte_count) { waiting_bytes_ += byte_count; }
  void RemoveWaiting(uint64_t byte_count) { waiting_bytes_ -= byte_count; }

  // A worker took that long for so many bytes at the dense level.
  void NoteDense(uint64_t byte_count, Clock::duration took);

  // Bytes that all workers together compress densely in a second, as seen so far.
  double dense_rate() const;

 private:
  const unsigned worker_count_;
  // Nanoseconds that one worker takes for a KiB. To begin with, what libdeflate's level 6
  // takes for source text on a core of 2020: 120 MB/s.
  std::atomic<int64_t> dense_ns_per_kib_{8500};
  std::atomic<uint64_t> waiting_bytes_{0};
  std::atomic<int64_t> caught_up_ns_{0};  // when the workers would be through with all of it
  std::atomic<bool> is_pressed_{false};
};

}  // namespace gzipfs
