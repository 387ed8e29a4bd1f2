// A thread in sigwait() rather than a handler: it may do anything, and the
// signal cannot arrive in the middle of something else.
#include "fs/fuse/session_signals.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <string.h>

#include <chrono>

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

EndSignals::EndSignals(FuseMount& mount, std::string mount_point, EndActions actions)
    : mount_(mount), mount_point_(std::move(mount_point)), actions_(std::move(actions)) {
  waiter_ = std::jthread([this] { WaitForSignals(); });
}

EndSignals::~EndSignals() {
  ServingEnded();
  ::pthread_kill(waiter_.native_handle(), kStopSignal);
  waiter_.join();
}

void EndSignals::ServingEnded() {
  MutexLock lock(mutex_);
  has_ended_ = true;
  ended_changed_.NotifyAll();
}

bool EndSignals::has_ended() {
  MutexLock lock(mutex_);
  return has_ended_;
}

void EndSignals::WaitForSignals() {
  const sigset_t signals = EndSignalSet();
  for (int count = 1;; ++count) {
    int signal_number = 0;
    if (::sigwait(&signals, &signal_number) != 0 || signal_number == kStopSignal) return;
    if (count == 1) {
      spdlog::info("{}: unmounting {}", ::strsignal(signal_number), mount_point_);
      // On its own thread: it waits for the kernel, and the next signal must not.
      ender_ = std::jthread([this] { EndServing(); });
    } else if (count == 2) {
      spdlog::warn("{} once more: what is not settled of {} goes to its logs",
                   ::strsignal(signal_number), mount_point_);
      actions_.hurry();
    }
  }
}

void EndSignals::EndServing() {
  if (has_ended()) return;  // somebody has unmounted: another directory is there now
  actions_.collect();
  MutexLock lock(mutex_);
  while (!has_ended_) {
    mount_.RequestEnd();
    ended_changed_.WaitFor(mutex_, kWakeInterval);
  }
}

}  // namespace gzipfs
