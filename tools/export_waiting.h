// Files of a store whose newest bytes are in a redo log, read as a mount would read them:
// nothing of the store is changed for it.
#pragma once

#include <memory>
#include <string>

#include "fs/store/store.h"
#include "tools/export_file.h"

namespace gzipfs {

// Thread-safe. While it lives nobody can write to the store.
class WaitingFiles {
 public:
  // Of the store `root`. The error is a clause for a person, to follow "has changes in a redo
  // log": a process that writes to the store has it, or why it cannot be read.
  static tl::expected<std::unique_ptr<WaitingFiles>, std::string> Open(const std::string& root,
                                                                       unsigned thread_count);

  // As ExportGzip, for the stored file open as `fd` at the full path `path`, with its log
  // applied. A single member is compressed anew for it, in a file of no name in the directory
  // `scratch_dir` (canonical). What its program wrote last goes to `mtime`, if the log tells.
  tl::expected<void, std::string> Export(const std::string& path, int fd,
                                         const ExportOptions& options,
                                         const std::string& scratch_dir, timespec& mtime,
                                         int out_fd);

 private:
  explicit WaitingFiles(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  const std::unique_ptr<Store> store_;
};

}  // namespace gzipfs
