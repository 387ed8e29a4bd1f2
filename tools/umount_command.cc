// gzipfs umount: settles a mount, unmounts it, and waits for its daemon's end.
#include <filesystem>
#include <memory>

#include "fs/store/store.h"
#include "fs/sys/mount_calls.h"
#include "fs/sys/mounts.h"
#include "fs/sys/process.h"
#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

constexpr char kUmountName[] = "umount";
constexpr char kUmountExamples[] =
    "umount(8) and fusermount3 -u unmount, too, but return while the daemon is still\n"
    "writing the last files.\n\n"
    "Example:\n"
    "  gzipfs umount ~/plain && gunzip -r ~/store\n\n"
    "Exit status: 0; 1 when it is in use, cannot be settled, or is no gzipfs mount; then\n"
    "it stays mounted, unless a message says otherwise.";

int FailWith(std::string_view sentence) {
  Complain(kUmountName, sentence);
  return kExitFailure;
}

// `path` as the kernel's list of mounts has it. A mount whose daemon has died
// cannot be asked what it is; its directory can.
Result<std::string> ResolveMountPoint(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (!error) return real.string();
  if (error != std::errc::not_connected) return Fail(error);
  const std::filesystem::path lexical = std::filesystem::absolute(path).lexically_normal();
  const std::filesystem::path named = lexical.has_filename() ? lexical : lexical.parent_path();
  const std::filesystem::path parent = std::filesystem::canonical(named.parent_path(), error);
  if (error) return Fail(error);
  return (parent / named.filename()).string();
}

// What to do when the daemon has died and left its mount.
int ClearDeadMount(const std::string& mount_point) {
  if (const auto unmounted = UnmountPath(mount_point, /*lazily=*/true); !unmounted)
    return FailWith(fmt::format("{}: its daemon has died, but {}", mount_point,
                                unmounted.error()));
  Complain(kUmountName, "note: the daemon of {} had died; it is unmounted now", mount_point);
  return 0;
}

int UnmountServed(const std::string& mount_point, const std::string& store_path) {
  UniqueFd watch;
  {
    Result<ControlClient> client = ControlClient::Open(mount_point);
    if (!client && client.error().value() == ENOTCONN) return ClearDeadMount(mount_point);
    if (!client)
      return FailWith(fmt::format("{}: its daemon cannot be asked: {}", mount_point,
                                  Describe(client.error())));
    if (const Result<void> settled = client->Settle(); !settled)
      return FailWith(fmt::format("{} cannot be settled: {}; it stays mounted", mount_point,
                                  Describe(settled.error())));
    // Watched from before the unmount, so that its number cannot be another's.
    Result<UniqueFd> watched = WatchProcess(client->status().daemon_pid);
    if (watched) watch = std::move(*watched);
  }
  if (const auto unmounted = UnmountPath(mount_point, /*lazily=*/false); !unmounted)
    return FailWith(fmt::format("{} cannot be unmounted: {}", mount_point, unmounted.error()));
  if (!watch) {
    Complain(kUmountName,
             "note: {} is unmounted; its daemon is in another process namespace and may "
             "still be settling",
             mount_point);
    return 0;
  }
  if (const Result<void> ended = WaitForExit(watch.get()); !ended)
    return FailWith(fmt::format("{} is unmounted, but its daemon cannot be waited for: {}",
                                mount_point, Describe(ended.error())));
  if (WasLeftUnsettled(store_path))
    return FailWith(fmt::format("{} is unmounted, but not all of {} could be settled; the log says "
                                "why; what was fsynced is kept for the next mount",
                                mount_point, store_path));
  return 0;
}

int RunUmount(const std::string& path) {
  const Result<std::string> resolved = ResolveMountPoint(path);
  if (!resolved) return FailWith(fmt::format("{}: {}", path, Describe(resolved.error())));
  const Result<std::vector<MountEntry>> mounts = ReadMounts();
  if (!mounts)
    return FailWith(fmt::format("/proc/self/mountinfo: {}", Describe(mounts.error())));
  const std::optional<MountEntry> mount = FindMountOf(*mounts, *resolved);
  if (!mount || mount->type != kMountType)
    return FailWith(fmt::format("{} is not a gzipfs mount", path));
  if (mount->mount_point != *resolved)
    return FailWith(fmt::format("{} is inside a mount; unmount {}", path, mount->mount_point));
  return UnmountServed(*resolved, mount->source);
}

}  // namespace

void AddUmountCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand(kUmountName, "Settle, unmount, and wait until the daemon has gone");
  command->footer(kUmountExamples);
  auto path = std::make_shared<std::string>();
  command->add_option("MOUNTPOINT", *path, "where it is mounted")->required()->type_name("");
  command->callback([path, &exit_status] { exit_status = RunUmount(*path); });
}

}  // namespace gzipfs
