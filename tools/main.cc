// gzipfs: a filesystem that keeps plain files as standard gzip, and tools for
// its files. Finds the subcommand and runs it.
#include <signal.h>

#include <algorithm>
#include <array>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "codec/codec.h"
#include "tools/commands.h"
#include "tools/gzip_names.h"
#include "tools/messages.h"

#ifndef GZIPFS_VERSION
#define GZIPFS_VERSION "unknown"
#endif

namespace gzipfs {
namespace {

constexpr int kExitUsage = 1;
constexpr int kExitCheckUsage = 16;  // fsck(8)

constexpr char kDescription[] =
    "gzipfs keeps plain files as standard gzip: it mounts a directory in which programs\n"
    "read and write plain files, each of which is stored as a .gz that any gzip reads.";
constexpr char kFooter[] =
    "Without the name of a subcommand: mount.\n\n"
    "Examples:\n"
    "  gzipfs ~/store ~/plain              mount the store on ~/plain\n"
    "  gzipfs umount ~/plain               settle, unmount, wait for the end\n"
    "  gzipfs check ~/store                verify every file of it\n\n"
    "'gzipfs SUBCOMMAND --help' tells more; so does gzipfs(1).";

void DeclareCommands(CLI::App& app, int& exit_status) {
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("-V,--version",
                       "gzipfs " GZIPFS_VERSION "\n" + std::string(CodecLibraries()));
  AddMountCommand(app, exit_status);
  AddUmountCommand(app, exit_status);
  AddSyncCommand(app, exit_status);
  AddStatCommand(app, exit_status);
  AddLsCommand(app, exit_status);
  AddCatCommand(app, exit_status);
  AddCheckCommand(app, exit_status);
  AddIndexCommand(app, exit_status);
  AddPackCommand(app, exit_status);
  AddUnpackCommand(app, exit_status);
  AddExportCommand(app, exit_status);
  AddImportCommand(app, exit_status);
}

bool IsCommand(const CLI::App& app, const std::string& word) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  return std::any_of(commands.begin(), commands.end(),
                     [&](const CLI::App* command) { return command->get_name() == word; });
}

// mount(8) and short hands say "gzipfs STORE MOUNTPOINT ...": the subcommand
// is mount unless one is named or help is asked for.
bool NeedsMountWord(const CLI::App& app, const std::vector<std::string>& words) {
  constexpr std::array<const char*, 4> kTopOptions = {"-h", "--help", "-V", "--version"};
  if (words.empty() || IsCommand(app, words.front())) return false;
  return std::none_of(kTopOptions.begin(), kTopOptions.end(),
                      [&](const char* option) { return words.front() == option; });
}

// What CLI11 says about a command line, as a clause in our style.
std::string DescribeUsage(const CLI::ParseError& error) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  for (const std::string_view wordy : {"The following argument was not expected:",
                                       "The following arguments were not expected:"}) {
    if (text.starts_with(wordy))
      text.replace(0, wordy.size(), "unknown option or one argument too many:");
  }
  return text;
}

// Says in one sentence what is wrong with the command line.
int ReportUsage(const CLI::ParseError& error, const std::string& command) {
  const std::string help = command.empty() ? "gzipfs --help" : "gzipfs " + command + " --help";
  Complain(command, "{}; see '{}'", DescribeUsage(error), help);
  return command == "check" ? kExitCheckUsage : kExitUsage;
}

int Run(std::vector<std::string> words) {
  CLI::App app(kDescription, "gzipfs");
  int exit_status = 0;
  DeclareCommands(app, exit_status);
  if (words.empty()) {
    std::cerr << app.help();
    return kExitUsage;
  }
  if (NeedsMountWord(app, words)) {
    if (words.size() == 1 && !words.front().starts_with('-')) {
      Complain("", "'{}' is not a subcommand, and to mount takes STORE and MOUNTPOINT; "
               "see 'gzipfs --help'", words.front());
      return kExitUsage;
    }
    words.insert(words.begin(), "mount");
  }
  const std::string command = IsCommand(app, words.front()) ? words.front() : "";
  if (command == "pack" || command == "unpack") words = SpellOutLevels(words);
  std::reverse(words.begin(), words.end());  // as CLI::App::parse wants them
  try {
    app.parse(words);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return ReportUsage(error, command);
  }
  return exit_status;
}

}  // namespace
}  // namespace gzipfs

int main(int argument_count, char** arguments) {
  try {
    return gzipfs::Run({arguments + 1, arguments + argument_count});
  } catch (const std::exception& error) {
    gzipfs::Complain("", error.what());
    return gzipfs::kExitFailure;
  }
}
