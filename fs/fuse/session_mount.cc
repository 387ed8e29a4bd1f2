// libfuse and fusermount3 say on stderr why a mount failed; that is caught and
// becomes the reason in one sentence of ours.
#include "fs/fuse/session_mount.h"

#include <fmt/format.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <string_view>

#include "codec/codec_pool.h"
#include "fs/fuse/adapter.h"
#include "fs/sys/stderr_capture.h"

namespace gzipfs {
namespace {

// Threads wait in here for the store's disk and for each other's blocks, so
// there are more of them than cores.
constexpr unsigned kMinServingThreads = 16;
constexpr unsigned kServingThreadsPerCore = 2;

constexpr int kWakeSignal = SIGUSR2;

// libfuse takes "\," for a comma inside a value.
std::string Escape(std::string_view value) {
  std::string escaped;
  for (const char c : value) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string OptionList(const MountOptions& options) {
  // A later fsname, as given by the user, wins.
  std::string list = "fsname=" + Escape(options.store_path);
  list += ",subtype=gzipfs,default_permissions";
  list += options.store.read_only ? ",ro" : ",rw";
  if (options.allow_other) list += ",allow_other";
  if (options.debug) list += ",debug";
  for (const std::string& option : options.kernel_options) list += ',' + Escape(option);
  return list;
}

// "fusermount3: reason" and "fuse: reason" without who says so.
std::string ReasonOf(std::string line) {
  for (const std::string_view speaker : {"fusermount3: ", "fuse: "}) {
    if (line.starts_with(speaker)) line.erase(0, speaker.size());
  }
  return line.empty() ? "libfuse does not say why" : line;
}

void Ignore(int) {}

void CatchWakeSignal() {
  struct sigaction action {};
  action.sa_handler = Ignore;  // no SA_RESTART: the wait is to be interrupted
  ::sigaction(kWakeSignal, &action, nullptr);
}

}  // namespace

FuseMount::FuseMount(fuse_session* session)
    : session_(session), serving_thread_(::pthread_self()) {}

tl::expected<std::unique_ptr<FuseMount>, std::string> FuseMount::Make(const MountOptions& options,
                                                                      FuseAdapter& adapter) {
  std::string program = "gzipfs";
  std::string flag = "-o";
  std::string list = OptionList(options);
  char* words[] = {program.data(), flag.data(), list.data(), nullptr};
  fuse_args arguments = FUSE_ARGS_INIT(3, words);
  StderrCapture capture;
  fuse_session* session = ::fuse_session_new(&arguments, &FuseAdapter::Ops(),
                                             sizeof(fuse_lowlevel_ops), &adapter);
  ::fuse_opt_free_args(&arguments);
  if (session == nullptr) return tl::unexpected(ReasonOf(capture.End()));
  std::unique_ptr<FuseMount> mount(new FuseMount(session));
  if (::fuse_session_mount(session, options.mount_point.c_str()) != 0) {
    return tl::unexpected(fmt::format("cannot mount {} on {}: {}", options.store_path,
                                      options.mount_point, ReasonOf(capture.End())));
  }
  mount->is_mounted_ = true;
  if (const int error = adapter.AttachTo(session); error != 0) {
    return tl::unexpected(fmt::format("cannot serve {}: {}", options.mount_point,
                                      std::system_category().message(-error)));
  }
  return mount;
}

FuseMount::~FuseMount() {
  Unmount();
  ::fuse_session_destroy(session_);
}

Result<void> FuseMount::Serve() {
  CatchWakeSignal();
  const unsigned thread_count =
      std::max(kMinServingThreads, kServingThreadsPerCore * UsableCores());
  fuse_loop_config* config = ::fuse_loop_cfg_create();
  if (config == nullptr) return Fail(ENOMEM);
  ::fuse_loop_cfg_set_clone_fd(config, 1);
  ::fuse_loop_cfg_set_max_threads(config, thread_count);
  ::fuse_loop_cfg_set_idle_threads(config, thread_count);
  const int outcome = ::fuse_session_loop_mt(session_, config);
  ::fuse_loop_cfg_destroy(config);
  // Positive values are signals of libfuse's own handlers, which we do not use.
  if (outcome < 0) return Fail(-outcome);
  return {};
}

void FuseMount::RequestEnd() {
  ::fuse_session_exit(session_);
  ::pthread_kill(serving_thread_, kWakeSignal);
}

void FuseMount::Unmount() {
  if (std::exchange(is_mounted_, false)) ::fuse_session_unmount(session_);
}

}  // namespace gzipfs
