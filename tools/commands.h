// The subcommands, one file each: how they are declared on the command line
// and what runs them.
//
// Each function adds its subcommand to `app`; when that is the one called, it
// runs while the command line is parsed and leaves the exit status in
// `exit_status`, which must outlive the app.
#pragma once

#include <CLI/CLI.hpp>

namespace gzipfs {

void AddMountCommand(CLI::App& app, int& exit_status);
void AddUmountCommand(CLI::App& app, int& exit_status);
void AddSyncCommand(CLI::App& app, int& exit_status);
void AddStatCommand(CLI::App& app, int& exit_status);
void AddLsCommand(CLI::App& app, int& exit_status);
void AddCatCommand(CLI::App& app, int& exit_status);
void AddCheckCommand(CLI::App& app, int& exit_status);
void AddIndexCommand(CLI::App& app, int& exit_status);
void AddPackCommand(CLI::App& app, int& exit_status);
void AddUnpackCommand(CLI::App& app, int& exit_status);
void AddExportCommand(CLI::App& app, int& exit_status);
void AddImportCommand(CLI::App& app, int& exit_status);

}  // namespace gzipfs
