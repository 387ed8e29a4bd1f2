// A mount from its options to its end.
//
// Everything that can be checked is checked before the store is touched; the
// fork comes before the first thread. In the background the parent lives until
// it has seen the mount answer with its own eyes.
#include "fs/fuse/session.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "fs/fuse/adapter.h"
#include "fs/fuse/session_checks.h"
#include "fs/fuse/session_log.h"
#include "fs/fuse/session_mount.h"
#include "fs/fuse/session_ready.h"
#include "fs/fuse/session_recovery.h"
#include "fs/fuse/session_signals.h"
#include "fs/fuse/session_start.h"
#include "fs/sys/mount_calls.h"
#include "fs/sys/process.h"
#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

constexpr int kExitMountFailure = 32;  // mount(8)
constexpr int kExitUnsettled = 1;      // it was mounted, but not all of it settled in the end

bool IsForeground(const MountOptions& options) { return options.foreground || options.debug; }

// What of the files is in the base files in the end.
enum class Ending { kSettled, kLogged, kLost };

// Brings everything into the base files or, in a hurry, into the logs.
Ending Settle(Vfs& vfs, const std::string& store_path) {
  const Result<void> settled = vfs.SettleAll();
  if (settled) {
    spdlog::info("{} is unmounted and settled", store_path);
    return Ending::kSettled;
  }
  if (settled.error().value() == ECANCELED) {
    spdlog::warn("{} is unmounted in a hurry: nothing is lost, but files are not settled; the "
                 "next mount brings in their logs", store_path);
    return Ending::kLogged;
  }
  spdlog::critical("{} is unmounted but NOT settled: {}; what is above in this log names files",
                   store_path, settled.error().message());
  return Ending::kLost;
}

// What the kernel has gathered was promised space by nobody: that the disk is full would be
// told at close. So a mount that begins on a disk nearly full does without.
bool UsesWriteback(const MountOptions& options, Store& store) {
  if (options.store.read_only) return false;
  if (options.writeback) return *options.writeback;
  const bool is_low = store.space().IsLow(GatheredBytes() + options.store.dirty_bytes);
  if (is_low) {
    spdlog::info("{} has little space: the kernel does not gather writes (writeback makes it)",
                 options.store_path);
  }
  return !is_low;
}

// Mounts, serves, unmounts and settles. What went wrong with the mount is in
// `report`, or in the log once the mount was ready.
Ending ServeMount(Store& store, Vfs& vfs, const MountOptions& options, StartReport& report) {
  ReadyWatch ready_watch(report, options.store_path, options.mount_point);
  FuseAdapter adapter(vfs, {.mount_point = options.mount_point,
                            .writeback = UsesWriteback(options, store),
                            .on_ready = [&] { ready_watch.KernelAnswered(); }});
  const auto mount = FuseMount::Make(options, adapter);
  if (!mount) {
    report.Fail(mount.error());
    return Ending::kSettled;
  }
  if (!IsForeground(options)) {
    if (const Result<void> detached = DetachStandardStreams(options.log == "stderr"); !detached)
      spdlog::warn("cannot let go of the terminal: {}", detached.error().message());
  }
  EndSignals end_signals(
      **mount, options.mount_point,
      {.collect = [&adapter] { adapter.CollectLast(); }, .hurry = [&store] { store.Hurry(); }});
  const Result<void> served = (*mount)->Serve();
  end_signals.ServingEnded();
  (*mount)->Unmount();
  adapter.settle_worker().Stop();
  adapter.collect_worker().Stop();
  if (!served) {
    const std::string reason = served.error().message();
    spdlog::error("{} cannot be served any longer: {}", options.mount_point, reason);
    report.Fail(fmt::format("{} cannot be served: {}", options.mount_point, reason));
  }
  return Settle(vfs, options.store_path);
}

// The daemon, in this process; its exit status.
int RunDaemon(const MountOptions& options, StartReport& report) {
  BlockEndSignals();
  RaiseDescriptorLimit();
  ::umask(0);
  if (const auto log = SetUpLog(options); !log) {
    report.Fail(log.error());
    return kExitMountFailure;
  }
  const auto store = Store::Open(options.store_path, options.store, RealFileOps());
  if (!store) {
    report.Fail(store.error().message);
    return kExitMountFailure;
  }
  if (const auto recovered = RecoverStore(**store, options.store_path); !recovered) {
    report.Fail(recovered.error());
    return kExitMountFailure;
  }
  Vfs vfs(**store);
  const Ending ending = ServeMount(**store, vfs, options, report);
  report.Fail(fmt::format("{} was unmounted before it answered", options.mount_point));
  if (ending != Ending::kSettled) (*store)->NoteUnsettled(ending == Ending::kLost);
  if (!report.was_ready()) return kExitMountFailure;
  return ending == Ending::kSettled ? 0 : kExitUnsettled;
}

int Complain(std::string_view sentence) {
  SayOnStderr(sentence);
  return kExitMountFailure;
}

// The parent of a daemon in the background: waits until the mount answers.
int AwaitDaemon(const MountOptions& options, const DaemonFork& fork) {
  auto report = AwaitReport(fork.pipe_fd.get());
  if (report) {
    const Result<bool> answers = IsFuse(options.mount_point);
    if (answers && *answers) return 0;
    report = tl::unexpected(fmt::format(
        "{} was mounted but does not answer: {}", options.mount_point,
        answers ? "it is not there any more" : answers.error().message()));
  }
  // The daemon gives the store's lock back before anybody tries again.
  ::kill(fork.child_pid, SIGTERM);
  static_cast<void>(WaitForChild(fork.child_pid));
  return Complain(report.error());
}

}  // namespace

int RunMount(const MountOptions& given) {
  MountOptions options = given;
  if (const auto checked = CheckMount(options); !checked) return Complain(checked.error());
  if (IsForeground(options)) {
    StartReport report;
    return RunDaemon(options, report);
  }
  Result<DaemonFork> fork = ForkDaemon();
  if (!fork) return Complain(fmt::format("cannot start a daemon: {}", fork.error().message()));
  if (fork->child_pid > 0) return AwaitDaemon(options, *fork);
  StartReport report(std::move(fork->pipe_fd));
  return RunDaemon(options, report);
}

}  // namespace gzipfs
