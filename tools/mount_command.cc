// gzipfs mount: a store becomes a directory of plain files. Also what mount(8)
// calls for "mount -t fuse.gzipfs".
#include <memory>

#include "fs/fuse/options.h"
#include "fs/fuse/session.h"
#include "tools/commands.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

constexpr char kMountName[] = "mount";
constexpr char kMountExamples[] =
    "\nExamples:\n"
    "  gzipfs ~/store ~/plain                        in the background\n"
    "  gzipfs ~/store ~/plain -o level=9,ro\n"
    "  gzipfs mount ~/store ~/plain -f -o log=stderr in the foreground, until Ctrl-C\n"
    "  mount -t fuse.gzipfs /srv/store /srv/plain -o allow_other\n"
    "  /srv/store /srv/plain fuse.gzipfs allow_other,nofail 0 0      in /etc/fstab\n\n"
    "Exit status, as of mount(8): 0 when the mount answers; 1 wrong usage; 32 it could\n"
    "not be mounted.";

struct MountArguments {
  MountOptions options;
  std::vector<std::string> option_lists;
};

}  // namespace

void AddMountCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand(kMountName, "Mount a store (also done without a subcommand)");
  command->footer(kMountOptionsHelp + std::string(kMountExamples));
  auto arguments = std::make_shared<MountArguments>();
  MountOptions& options = arguments->options;
  command->add_option("STORE", options.store_path, "directory that holds the .gz files")
      ->required()
      ->type_name("");
  command->add_option("MOUNTPOINT", options.mount_point, "empty directory to show plain files in")
      ->required()
      ->type_name("");
  command->add_option("-o", arguments->option_lists, "mount options, separated by commas")
      ->type_name("OPTIONS")
      ->allow_extra_args(false);
  command->add_flag("-f,--foreground", options.foreground, "stay in the foreground");
  command->add_flag("-d,--debug", options.debug, "trace every request; stays in the foreground");
  command->callback([arguments, &exit_status] {
    for (const std::string& list : arguments->option_lists) {
      if (const auto applied = ApplyMountOptions(list, arguments->options); !applied)
        throw CLI::ValidationError(applied.error());
    }
    exit_status = RunMount(arguments->options);
  });
}

}  // namespace gzipfs
