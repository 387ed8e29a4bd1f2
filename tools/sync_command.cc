// gzipfs sync: returns when the store of a mount is settled.
#include <memory>

#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

constexpr char kSyncName[] = "sync";
constexpr char kSyncExamples[] =
    "Afterwards every file in the store holds all that was written and can be read with\n"
    "zcat, and is on stable storage.\n\n"
    "Example:\n"
    "  gzipfs sync ~/plain && rsync -a ~/store/ backup:store/\n\n"
    "Exit status: 0; 1 when something could not be settled.";

int RunSync(const std::string& path) {
  Result<ControlClient> client = ControlClient::Open(path);
  if (!client && client.error().value() == ENOTTY) {
    Complain(kSyncName, "{} is not in a gzipfs mount", path);
    return kExitFailure;
  }
  if (!client) {
    Complain(kSyncName, "{}: {}", path, Describe(client.error()));
    return kExitFailure;
  }
  const Result<void> settled = client->Settle();
  if (settled) return 0;
  Complain(kSyncName, "{} cannot be settled: {}; the mount's log names the file", path,
           Describe(settled.error()));
  return kExitFailure;
}

}  // namespace

void AddSyncCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(kSyncName, "Settle all files of a mount");
  command->footer(kSyncExamples);
  auto path = std::make_shared<std::string>();
  command->add_option("MOUNTPOINT", *path, "where it is mounted, or a directory in it")
      ->required()
      ->type_name("");
  command->callback([path, &exit_status] { exit_status = RunSync(*path); });
}

}  // namespace gzipfs
