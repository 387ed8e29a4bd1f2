// Notices that somebody else changed a base file while it is open.
//
// Size and modification time are compared with what they were when this process
// last changed the file. The change time says too much: it moves with every
// rename and link. What is changed from outside within the clock tick of a
// change of our own, to the same size, is not noticed.
#pragma once

#include <sys/stat.h>

#include <optional>

#include "codec/base/mutex.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/privileges.h"

namespace gzipfs {

// One for each stored inode: a checkpoint that copies an image over the base gives
// it a new BaseFile, and times may be set through either one meanwhile. Thread-safe.
// `ops` outlives it.
class BaseWatch {
 public:
  // `base`: the file as it was before anything was read of it.
  BaseWatch(FileOps& ops, const struct stat& base) : ops_(ops), seen_(StateOf(base)) {}

  // While one lives this process changes the file's size or times itself.
  // Several may live at once. `fd`, of the file, outlives it.
  class OwnChange {
   public:
    OwnChange(BaseWatch& watch, int fd) : watch_(watch), fd_(fd) { watch_.Begin(); }
    ~OwnChange() { watch_.End(fd_); }
    OwnChange(const OwnChange&) = delete;
    OwnChange& operator=(const OwnChange&) = delete;

   private:
    BaseWatch& watch_;
    const int fd_;
  };

  // ESTALE if somebody else has changed the file, which `fd` is a descriptor of;
  // then for good. Else what fstat(2) says. While an OwnChange lives, nothing new
  // is found.
  Result<void> Check(int fd) EXCLUDES(mutex_);
  // What Check said last, without a look.
  bool is_changed() const EXCLUDES(mutex_);

  // For each KeptPrivileges of the file, and whoever reads its attributes.
  PrivilegeView& privileges() { return privileges_; }

 private:
  struct State {
    off_t stored_bytes;
    timespec mtime;
  };
  static State StateOf(const struct stat& base) { return {base.st_size, base.st_mtim}; }

  void Begin() EXCLUDES(mutex_);
  void End(int fd) EXCLUDES(mutex_);

  FileOps& ops_;
  PrivilegeView privileges_;
  mutable Mutex mutex_;  // innermost; not held across fstat
  std::optional<State> seen_ GUARDED_BY(mutex_);  // not known: the next look tells
  uint64_t change_count_ GUARDED_BY(mutex_) = 0;  // counts each begin and each end
  int changes_ GUARDED_BY(mutex_) = 0;            // under way
  bool is_changed_ GUARDED_BY(mutex_) = false;
};

}  // namespace gzipfs
