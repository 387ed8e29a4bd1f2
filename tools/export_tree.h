// A store, a directory of one, or one file of it, exported to other files.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "codec/codec_pool.h"
#include "fs/store/survey.h"
#include "tools/export_file.h"
#include "tools/export_waiting.h"
#include "tools/progress.h"

namespace gzipfs {

struct ExportTreeOptions {
  ExportForm form = ExportForm::kSingleMember;
  unsigned thread_count = 1;
  bool replaces = false;             // files that are there already
  std::set<FileIdentity> waiting;    // files with a redo log
  // Reads those; null: they are refused.
  std::shared_ptr<WaitingFiles> waiting_files;
  std::string refusal;  // then, the clause that tells why
};

// Exports the directory `from` as the directory `to` (both canonical): files in the form
// asked for, everything else as it is, with owners where permitted, modes, times,
// attributes and hard links; the private directory is left out. A file that cannot be
// exported is told, and the others go on. False when there was one.
bool ExportTree(const std::string& from, const std::string& to, const ExportTreeOptions& options);

// Writes the gzip file open as `fd`, with the full path `path` and the attributes `status`, to
// `out_fd`, its log applied where it has one. `status` gets the time of that. `scratch_dir`
// as in WaitingFiles::Export. The error is a clause.
tl::expected<void, std::string> ExportStored(const std::string& path, int fd, struct stat& status,
                                             const ExportOptions& how,
                                             const ExportTreeOptions& options,
                                             const std::string& scratch_dir, int out_fd);

// Exports the file `from` as the file `to` (both canonical). False after a complaint.
bool ExportToFile(const std::string& from, const std::string& to,
                  const ExportTreeOptions& options);

}  // namespace gzipfs
