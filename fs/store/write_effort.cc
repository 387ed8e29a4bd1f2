// What waits tells at once that a writer is too fast, but not when it no longer is: what is
// compressed fast hardly waits. A writer that has to wait for memory, on the other hand, is
// no faster than the workers. So the first begins the time of being pressed, and a lead of
// the writer over the workers keeps it up. The lead is kept as the instant at which the
// workers would be through with everything, had all of it been compressed densely (a leaky
// bucket in its virtual scheduling form): one number, changed by compare-exchange. It is not
// let run ahead of a burst, or it would take as long to come back as the writer was too fast.
#include "fs/store/write_effort.h"

#include <algorithm>

namespace gzipfs {
namespace {

constexpr int64_t kKib = 1024;
// One in so many: a block that met a busy core should not decide alone.
constexpr int64_t kSmoothing = 8;
// A worker that was kept from running for long says nothing about its speed.
constexpr int64_t kSlowestNsPerKib = 200000;  // 5 MB/s

int64_t Nanoseconds(WriteEffort::Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

bool WriteEffort::IsPressed(uint64_t byte_count, Clock::time_point now) {
  const int64_t now_ns = Nanoseconds(now.time_since_epoch());
  const int64_t ns_per_kib = dense_ns_per_kib_.load(std::memory_order_relaxed);
  const auto bytes = static_cast<int64_t>(byte_count);
  const int64_t work_ns = bytes * ns_per_kib / kKib / worker_count_;
  // A burst is as much for each worker, so it takes as long whatever their number.
  const int64_t burst_ns = static_cast<int64_t>(kBurstBytes) * ns_per_kib / kKib;
  const bool has_queue =
      waiting_bytes_.load(std::memory_order_relaxed) >= kBurstBytes * worker_count_;
  int64_t caught_up = caught_up_ns_.load(std::memory_order_relaxed);
  int64_t next = 0;
  do {
    next = std::min(std::max(caught_up, now_ns) + work_ns, now_ns + burst_ns);
    if (has_queue) next = now_ns + burst_ns;
  } while (!caught_up_ns_.compare_exchange_weak(caught_up, next, std::memory_order_relaxed));
  const int64_t lead_ns = next - now_ns;
  if (lead_ns >= burst_ns) is_pressed_.store(true, std::memory_order_relaxed);
  if (lead_ns <= burst_ns / 2) is_pressed_.store(false, std::memory_order_relaxed);
  return is_pressed_.load(std::memory_order_relaxed);
}

void WriteEffort::NoteDense(uint64_t byte_count, Clock::duration took) {
  if (byte_count < kKib) return;
  const int64_t seen = Nanoseconds(took) * kKib / static_cast<int64_t>(byte_count);
  const int64_t before = dense_ns_per_kib_.load(std::memory_order_relaxed);
  // Two threads at once: one of them is forgotten, which is as good as the other.
  dense_ns_per_kib_.store(
      std::max<int64_t>(before + (std::min(seen, kSlowestNsPerKib) - before) / kSmoothing, 1),
      std::memory_order_relaxed);
}

double WriteEffort::dense_rate() const {
  return static_cast<double>(worker_count_) * kKib * 1e9 /
         static_cast<double>(dense_ns_per_kib_.load(std::memory_order_relaxed));
}

}  // namespace gzipfs
