// The options that pack and unpack have in common: those of gzip(1) and pigz(1),
// and the store's block sizes.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include "tools/gzip_run.h"

namespace gzipfs {

// Declares them on `command`, whose action is `action` unless an option says
// otherwise; runs when the command line is parsed, and leaves the exit status in
// `exit_status`.
void AddGzipOptions(CLI::App& command, GzipArguments::Action action, int& exit_status);

}  // namespace gzipfs
