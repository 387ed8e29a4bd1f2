// A thread in sigwait() rather than a handler: it may do anything, and the
// signal cannot arrive in the middle of something else.
#include "fs/fuse/session_signals.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <string.h>

#include <chrono>

#include "fs/sys/mount_calls.h"

namespace gzipfs {
namespace {

// Ends the waiting thread itself.
constexpr int kStopSignal = SIGUSR1;
// How long until the serving thread is woken once more; see RequestEnd.
constexpr std::chrono::milliseconds kWakeInterval{20};

sigset_t EndSignalSet() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal_number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, kStopSignal})
    ::sigaddset(&signals, signal_number);
  return signals;
}

}  // namespace

void BlockEndSignals() {
  const sigset_t signals = EndSignalSet();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

EndSignals::EndSignals(FuseMount& mount, std::string mount_point)
    : mount_(mount), mount_point_(std::move(mount_point)) {
  waiter_ = std::jthread([this] { WaitForSignal(); });
}

EndSignals::~EndSignals() {
  {
    MutexLock lock(mutex_);
    stops_ = true;
    stop_changed_.NotifyAll();
  }
  ::pthread_kill(waiter_.native_handle(), kStopSignal);
  waiter_.join();
}

void EndSignals::WaitForSignal() {
  const sigset_t signals = EndSignalSet();
  int signal_number = 0;
  if (::sigwait(&signals, &signal_number) != 0 || signal_number == kStopSignal) return;
  spdlog::info("{}: unmounting {}", ::strsignal(signal_number), mount_point_);
  if (const Result<void> synced = SyncMount(mount_point_); !synced)
    spdlog::warn("{}: cannot collect unwritten data: {}", mount_point_, synced.error().message());
  EndServing();
}

void EndSignals::EndServing() {
  MutexLock lock(mutex_);
  while (!stops_) {
    mount_.RequestEnd();
    stop_changed_.WaitFor(mutex_, kWakeInterval);
  }
}

}  // namespace gzipfs
