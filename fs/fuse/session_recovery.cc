// The daemon still has its starter's terminal here.
#include "fs/fuse/session_recovery.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>

#include "fs/fuse/session_start.h"
#include "fs/store/recovery.h"
#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

// One line that is written over and over.
class ProgressLine {
 public:
  void Show(uint64_t done, uint64_t all) {
    constexpr std::chrono::seconds kPatience{1};
    if (!is_terminal_ || all == 0 || std::chrono::steady_clock::now() < begin_ + kPatience) return;
    constexpr uint64_t kWidth = 40;
    const uint64_t filled = done * kWidth / all;
    Write(fmt::format("\rgzipfs: recovering [{:#<{}}{:.<{}}] {:3} %", "", filled, "",
                      kWidth - filled, done * 100 / all));
    is_shown_ = true;
  }
  void Clear() {
    if (is_shown_) Write("\r\033[K");
    is_shown_ = false;
  }

 private:
  static void Write(const std::string& text) {
    static_cast<void>(WriteStream(STDERR_FILENO, std::as_bytes(std::span(text))));
  }

  const bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  bool is_shown_ = false;
};

}  // namespace

tl::expected<void, std::string> RecoverStore(Store& store, const std::string& store_path) {
  ProgressLine line;
  RecoveryWatcher watcher;
  watcher.say = [&](const std::string& sentence) {
    line.Clear();
    SayOnStderr(sentence);
    spdlog::info("{}", sentence);
  };
  watcher.progress = [&](uint64_t done, uint64_t all) { line.Show(done, all); };
  if (store.was_left_unsettled()) {
    watcher.say(fmt::format("{} was not settled when it was unmounted last: what was not "
                            "fsynced and did not fit is lost", store_path));
  }
  const Result<RecoveryReport> report = Recover(store, watcher);
  line.Clear();
  if (!report) {
    return tl::unexpected(fmt::format("the store {} was not left in order, and cannot be "
                                      "recovered: {}", store_path, report.error().message()));
  }
  return {};
}

}  // namespace gzipfs
