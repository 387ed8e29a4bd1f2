// gzipfs pack: a parallel gzip that writes what a store would hold.
#include "tools/commands.h"
#include "tools/gzip_options.h"

namespace gzipfs {
namespace {

constexpr char kPackExamples[] =
    "As gzip(1) and pigz(1): each FILE becomes FILE.gz, which has its owner, mode and times,\n"
    "and goes, unless -k, -c or -o is given; without FILE standard input goes to standard\n"
    "output. A file appears under its name only when it is complete.\n\n"
    "Examples:\n"
    "  pg_dump db | gzipfs pack > ~/store/db.sql.gz\n"
    "  tar -c src | gzipfs pack -9 -p 4 > src.tar.gz\n"
    "  tar -I 'gzipfs pack' -cf src.tar.gz src\n"
    "  gzipfs pack -k notes.txt\n"
    "  gzipfs pack -b 1M -12 -o dump.tar.gz dump.tar\n\n"
    "Exit status: 0; 1 when something could not be read or written; 2 when a file was left\n"
    "out with a warning.";

}  // namespace

void AddPackCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("pack", "Compress as gzip does, in parallel, in the store's format");
  command->footer(kPackExamples);
  AddGzipOptions(*command, GzipArguments::Action::kCompress, exit_status);
}

}  // namespace gzipfs
