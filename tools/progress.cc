// The bar is one line that a carriage return overwrites.
#include "tools/progress.h"

#include <unistd.h>

#include <chrono>
#include <string>

#include <fmt/format.h>

#include "codec/option_text.h"
#include "fs/sys/stream.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

constexpr std::chrono::milliseconds kInterval{200};
constexpr int kBarColumns = 30;

void ToTerminal(std::string_view text) {
  // A bar that cannot be drawn is no reason to stop.
  static_cast<void>(WriteStream(STDERR_FILENO, std::as_bytes(std::span(text))));
}

}  // namespace

Progress::Progress(uint64_t total_bytes, uint64_t total_files)
    : total_bytes_(total_bytes), total_files_(total_files) {
  if (::isatty(STDERR_FILENO) == 1) drawer_ = std::jthread([this] { DrawUntilStopped(); });
}

Progress::~Progress() {
  {
    MutexLock lock(mutex_);
    stops_ = true;
    stop_changed_.NotifyAll();
  }
  if (drawer_.joinable()) drawer_.join();
  MutexLock lock(mutex_);
  Erase();
}

bool Progress::PrintLine(std::string_view command, std::string_view line) {
  MutexLock lock(mutex_);
  Erase();
  return Print(command, fmt::format("{}\n", line));
}

void Progress::DrawUntilStopped() {
  MutexLock lock(mutex_);
  while (!stops_) {
    if (!stop_changed_.WaitFor(mutex_, kInterval)) Draw();
  }
}

void Progress::Draw() {
  const uint64_t done = std::min(done_bytes_.load(std::memory_order_relaxed), total_bytes_);
  const double share =
      total_bytes_ == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total_bytes_);
  const int filled = static_cast<int>(share * kBarColumns);
  std::string line = fmt::format("\r[{:#<{}}{:.<{}}] {:3.0f} %  {} of {}", "", filled, "",
                                 kBarColumns - filled, share * 100, FormatByteCount(done),
                                 FormatByteCount(total_bytes_));
  if (total_files_ > 0) line += fmt::format(", {} of {} files", done_files_.load(), total_files_);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  if (done > 0 && passed.count() > 1) {
    const double rate = static_cast<double>(done) / passed.count();
    const auto left = static_cast<uint64_t>(static_cast<double>(total_bytes_ - done) / rate);
    line += fmt::format(", {}/s, {}:{:02} left", FormatByteCount(static_cast<uint64_t>(rate)),
                        left / 60, left % 60);
  }
  ToTerminal(line + "\033[K");
  is_drawn_ = true;
}

void Progress::Erase() {
  if (is_drawn_) ToTerminal("\r\033[K");
  is_drawn_ = false;
}

}  // namespace gzipfs
