// Every file of the store that is open, or closed but not settled yet.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "codec/base/mutex.h"
#include "fs/vfs/open_file.h"
#include "fs/vfs/settler.h"

namespace gzipfs {

struct OpenedFile {
  OpenFileRef file;
  bool keeps_pages;  // what the kernel has cached of it is still right
};

// One OpenFile for each inode, joined by every handle. Thread-safe. Opening,
// closing and settling happen without its mutex; under it only the inode
// table's mutex and those of OpenFile and Content (IsSettled) are taken.
class OpenFileTable {
 public:
  explicit OpenFileTable(NameSpace& names);
  // Whether the kernel keeps the sizes of files. Before the first Open.
  void UseWriteback(bool writeback) { writeback_ = writeback; }
  // Every OpenFileRef is gone before.
  ~OpenFileTable() = default;
  OpenFileTable(const OpenFileTable&) = delete;
  OpenFileTable& operator=(const OpenFileTable&) = delete;

  // Joins the inode's open file, or opens it. With `wants_write`, EACCES and
  // EROFS when the base cannot be written; without, it may be opened for
  // reading only. EIO when the file is damaged.
  Result<OpenedFile> Open(const InodeRef& inode, bool wants_write) EXCLUDES(mutex_);
  // For a gzip file made just now; `fd` may read and write it.
  Result<OpenFileRef> OpenNew(const InodeRef& inode, UniqueFd fd, const struct stat& base)
      EXCLUDES(mutex_);
  // Empty when the inode is not open.
  OpenFileRef Find(const InodeRef& inode) EXCLUDES(mutex_);

  // Settles every file, open ones too; the first error. In a store that is
  // hurried, files that need a checkpoint are synced instead: ECANCELED when that
  // is all that went wrong.
  Result<void> SettleAll() EXCLUDES(mutex_);

  // Whether the base was changed behind the mount since it was opened. Of a raw file that
  // was changed through the mount, too, that cannot be told: false.
  bool WasChangedOutside(const OpenFile& file) const;
  // The same of a raw file, once for each change: the caller makes it known.
  bool AdoptRawChange(OpenFile& file) const;

  std::vector<NodeId> OpenIds() const EXCLUDES(mutex_);
  size_t open_count() const EXCLUDES(mutex_);
  size_t unsettled_count() const EXCLUDES(mutex_);

 private:
  friend class OpenFileRef;
  using FilePtr = std::shared_ptr<OpenFile>;
  // A base opened for an OpenFile.
  struct OpenedBase {
    std::shared_ptr<Content> content;
    std::shared_ptr<const UniqueFd> raw_fd;
    bool is_writable;
    bool keeps_pages;
    BaseStamp stamp;
  };

  // The joined file, or one that the caller has to open (and then to give to
  // FinishOpen or CancelOpen).
  struct Joined {
    FilePtr file;
    bool needs_opening;
  };
  Result<Joined> Join(const InodeRef& inode, bool wants_write) EXCLUDES(mutex_);
  Result<FilePtr> AddFile(const InodeRef& inode) REQUIRES(mutex_);
  Result<OpenedBase> OpenBase(OpenFile& file, bool wants_write) EXCLUDES(mutex_);
  Result<OpenedBase> OpenBaseWith(OpenFile& file, UniqueFd fd, const struct stat& base,
                                  bool is_writable, bool is_new) EXCLUDES(mutex_);
  bool MustBeLookedUp(const OpenFile& file, bool wants_write) EXCLUDES(mutex_);
  void FinishOpen(const FilePtr& file, OpenedBase base) EXCLUDES(mutex_);
  void CancelOpen(const FilePtr& file) EXCLUDES(mutex_);

  void Release(const FilePtr& file) EXCLUDES(mutex_);
  void CloseUnused(const FilePtr& file) EXCLUDES(mutex_);
  void Drop(const FilePtr& file, uint64_t open_count, bool is_in_doubt) EXCLUDES(mutex_);
  bool SettleUnused(const FilePtr& file) EXCLUDES(mutex_);

  NameSpace& names_;
  bool writeback_ = true;

  mutable Mutex mutex_;
  CondVar changed_;  // a file was opened, or could not be
  std::unordered_map<NodeId, FilePtr> files_ GUARDED_BY(mutex_);

  Settler settler_;  // last: its threads use all of the above
};

}  // namespace gzipfs
