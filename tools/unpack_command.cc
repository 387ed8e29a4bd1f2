// gzipfs unpack: a parallel gunzip for any gzip file.
#include "tools/commands.h"
#include "tools/gzip_options.h"

namespace gzipfs {
namespace {

constexpr char kUnpackExamples[] =
    "As gunzip(1): each FILE.gz becomes FILE, and goes, unless -k, -c or -o is given; without\n"
    "FILE standard input goes to standard output. A file appears under its name only when it\n"
    "is complete. Files of many members with lengths (gzipfs, bgzip) are decoded in parallel,\n"
    "others in one thread while another one writes.\n\n"
    "Examples:\n"
    "  gzipfs unpack < db.sql.gz | psql\n"
    "  gzipfs unpack -k notes.txt.gz\n"
    "  gzipfs unpack -t *.gz\n\n"
    "Exit status: 0; 1 when the input is damaged or something could not be read or written;\n"
    "2 when a file was left out, or something that is not gzip follows the data.";

}  // namespace

void AddUnpackCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("unpack", "Decompress any gzip stream or file");
  command->footer(kUnpackExamples);
  AddGzipOptions(*command, GzipArguments::Action::kDecompress, exit_status);
}

}  // namespace gzipfs
