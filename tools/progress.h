// A progress bar on stderr, for terminals only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <thread>

#include "codec/base/mutex.h"

namespace gzipfs {

// Draws itself a few times a second, on a thread of its own, until it goes.
// Thread-safe.
class Progress {
 public:
  // Out of `total_bytes`, and of `total_files` where these are to be shown; with
  // stderr no terminal nothing is ever drawn.
  explicit Progress(uint64_t total_bytes, uint64_t total_files = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What is done; whoever does it adds to it.
  std::atomic<uint64_t>& done_bytes() { return done_bytes_; }
  std::atomic<uint64_t>& done_files() { return done_files_; }

  // Writes a line to stdout, past the bar. False when that failed.
  bool PrintLine(std::string_view command, std::string_view line) EXCLUDES(mutex_);

 private:
  void DrawUntilStopped() EXCLUDES(mutex_);
  void Draw() REQUIRES(mutex_);
  void Erase() REQUIRES(mutex_);

  const uint64_t total_bytes_;
  const uint64_t total_files_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::atomic<uint64_t> done_bytes_{0};
  std::atomic<uint64_t> done_files_{0};
  Mutex mutex_;
  CondVar stop_changed_;
  bool stops_ GUARDED_BY(mutex_) = false;
  bool is_drawn_ GUARDED_BY(mutex_) = false;
  std::jthread drawer_;  // not running when stderr is no terminal
};

}  // namespace gzipfs
