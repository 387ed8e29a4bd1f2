// An open file of the store: one for each inode that is open or not settled.
#pragma once

#include <cstdint>
#include <memory>

#include "codec/base/mutex.h"
#include "fs/store/content.h"
#include "fs/sys/at.h"
#include "fs/sys/privileges.h"
#include "fs/vfs/base_place.h"

namespace gzipfs {

class OpenFileTable;

// What all handles of one inode share: the Content of a file in gzip form, or
// the descriptor of a raw one. Lives in, and is made by, the OpenFileTable.
//
// Thread-safe. What Content and Raw return stays valid while held, also when
// the file is opened anew for writing meanwhile.
class OpenFile {
 public:
  OpenFile(NameSpace& names, InodeRef inode) : inode_(inode), place_(names, std::move(inode)) {}

  const InodeRef& inode() const { return inode_; }
  bool is_gzip() const { return inode_->is_gzip(); }

  // Null for a raw file.
  std::shared_ptr<Content> content() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return content_;
  }
  // Null for a file in gzip form.
  std::shared_ptr<const UniqueFd> raw_fd() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return raw_fd_;
  }
  bool is_writable() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return is_writable_;
  }
  // Of a raw file: held while its attributes change, while the kernel's unwritten pages,
  // of a program's write long ago, go to it (KeptPrivileges), and while a part is copied to
  // it that may have to be cut off again.
  Mutex raw_attr_mutex;
  PrivilegeView raw_privileges;
  // Counts the handles that may write.
  void AddWriter() { writer_count_.fetch_add(1); }
  void RemoveWriter() { writer_count_.fetch_sub(1); }
  bool has_writers() const { return writer_count_.load() > 0; }
  bool has_one_writer() const { return writer_count_.load() == 1; }
  // Likewise, but only those that were not closed in part: a handle's first flush.
  void AddUnflushedWriter() { unflushed_writer_count_.fetch_add(1); }
  void RemoveUnflushedWriter() { unflushed_writer_count_.fetch_sub(1); }
  bool has_unflushed_writers() const { return unflushed_writer_count_.load() > 0; }
  // While the kernel's cache is filled behind the file's end: no other open(2) of it is
  // answered meanwhile, since who has opened it may map it.
  void SetFilling(bool is_filling) { is_filling_.store(is_filling); }
  bool is_filling() const { return is_filling_.load(); }

  // Opened although the kernel may have the size of a moment ago.
  std::atomic<bool> has_doubtful_size{false};

  // How often settling it had failed before.
  unsigned CountSettleFailure() { return settle_failures_.fetch_add(1); }

  // The bytes were changed now: the base's change time will show it only when
  // they are written there.
  void NoteChange() { change_time_ns_.store(Nanoseconds(FileClockNow())); }
  int64_t change_time_ns() const { return change_time_ns_.load(); }

  // Whether the file is known to have no capabilities (security.capability).
  // Known is what was found by a look that began at a given count of changes.
  bool lacks_capability() const { return lacking_as_of_.load() == xattr_change_count_.load(); }
  void SetLacksCapability(uint32_t as_of) { lacking_as_of_.store(as_of); }
  uint32_t xattr_change_count() const { return xattr_change_count_.load(); }
  void NoteXattrChange() { xattr_change_count_.fetch_add(1); }

 private:
  friend class OpenFileTable;
  enum class State { kOpening, kOpen };

  const InodeRef inode_;
  InodePlace place_;  // before content_, which refers to it

  // Guarded by the table's mutex.
  State state_ = State::kOpening;
  bool is_reopening_ = false;
  bool is_queued_ = false;    // for the settler
  size_t user_count_ = 1;
  uint64_t open_count_ = 1;   // how often users came: tells that nobody did

  std::atomic<unsigned> settle_failures_{0};
  std::atomic<unsigned> writer_count_{0};
  std::atomic<unsigned> unflushed_writer_count_{0};
  std::atomic<bool> is_filling_{false};
  std::atomic<int64_t> change_time_ns_{0};
  std::atomic<uint32_t> xattr_change_count_{1};
  std::atomic<uint32_t> lacking_as_of_{0};

  mutable Mutex mutex_;  // innermost
  std::shared_ptr<Content> content_ GUARDED_BY(mutex_);
  std::shared_ptr<const UniqueFd> raw_fd_ GUARDED_BY(mutex_);
  bool is_writable_ GUARDED_BY(mutex_) = false;
  BaseStamp opened_stamp_ GUARDED_BY(mutex_);  // the base's, when it was opened
};

// Counts as a user of an OpenFile. When the last one goes, the file is closed,
// or handed to the settler if its base is not the whole truth. Movable; not to
// be destroyed with a lock held.
class OpenFileRef {
 public:
  OpenFileRef() = default;
  OpenFileRef(OpenFileTable* table, std::shared_ptr<OpenFile> file)
      : table_(table), file_(std::move(file)) {}
  OpenFileRef(OpenFileRef&& other) noexcept = default;
  OpenFileRef& operator=(OpenFileRef&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~OpenFileRef();

  OpenFile* operator->() const { return file_.get(); }
  OpenFile& operator*() const { return *file_; }
  explicit operator bool() const { return file_ != nullptr; }

 private:
  OpenFileTable* table_ = nullptr;
  std::shared_ptr<OpenFile> file_;
};

}  // namespace gzipfs
