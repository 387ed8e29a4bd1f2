// The first request (INIT) is answered only after KernelAnswered returns, and
// the kernel takes our read-ahead setting back when that answer arrives: so the
// watcher first asks the mount something and waits for the reply.
#include "fs/fuse/session_ready.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "codec/base/units.h"
#include "fs/sys/mount_calls.h"
#include "fs/sys/process.h"

namespace gzipfs {
namespace {

// Measured on a pass-through mount: 0.83 GB/s with the kernel's default of 128,
// 1.7 GB/s from 512 on.
constexpr unsigned kReadAheadKiB = 1024;

// What the kernel gathers of a mount before it holds up who writes. Less than that is
// compressed while the writer sleeps, and a core with it: with 45 MiB on a machine of 24 GiB
// a tenth of the rate of a large file is lost.
constexpr uint64_t kGatheredBytes = 128 * kMiB;
// Of what may be dirty, which is a fifth of the memory (dirty_ratio in
// Documentation/admin-guide/sysctl/vm.rst). The kernel's own value is 1.
constexpr uint64_t kMaxGatherPercent = 10;

uint64_t BytesPerGatherPercent() { return MachineMemoryBytes() / 500; }

unsigned GatherPercent() {
  const uint64_t percent = kGatheredBytes / std::max<uint64_t>(BytesPerGatherPercent(), 1) + 1;
  return static_cast<unsigned>(std::min(percent, kMaxGatherPercent));
}

void Raise(const std::string& mount_point, std::string_view setting, unsigned value) {
  const Result<unsigned> raised = RaiseBdiSetting(mount_point, setting, value);
  if (!raised)
    spdlog::info("{}: {} stays as it is: {}", mount_point, setting, raised.error().message());
}

}  // namespace

uint64_t GatheredBytes() { return GatherPercent() * BytesPerGatherPercent(); }

ReadyWatch::ReadyWatch(StartReport& report, std::string store_path, std::string mount_point)
    : report_(report),
      store_path_(std::move(store_path)),
      mount_point_(std::move(mount_point)),
      watcher_([this] { Watch(); }) {}

ReadyWatch::~ReadyWatch() {
  {
    MutexLock lock(mutex_);
    stops_ = true;
    changed_.NotifyAll();
  }
  watcher_.join();
}

void ReadyWatch::KernelAnswered() {
  MutexLock lock(mutex_);
  has_answered_ = true;
  changed_.NotifyAll();
}

void ReadyWatch::Watch() {
  {
    MutexLock lock(mutex_);
    while (!has_answered_ && !stops_) changed_.Wait(mutex_);
    if (!has_answered_) return;
  }
  CheckMount();
}

void ReadyWatch::CheckMount() {
  const Result<bool> answers = IsFuse(mount_point_);
  if (!answers) {
    report_.Fail(fmt::format("{} was mounted but does not answer: {}", mount_point_,
                             answers.error().message()));
    ::kill(::getpid(), SIGTERM);  // as if somebody else had ended it
    return;
  }
  if (::geteuid() == 0) {
    Raise(mount_point_, "read_ahead_kb", kReadAheadKiB);
    Raise(mount_point_, "max_ratio", GatherPercent());
  } else {
    spdlog::info("{}: read_ahead_kb and max_ratio stay as they are: only root can raise them",
                 mount_point_);
  }
  spdlog::info("{} is mounted on {}", store_path_, mount_point_);
  report_.Ready();
}

}  // namespace gzipfs
