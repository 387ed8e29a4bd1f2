// What is known about one object of the store: the name space side of a file.
//
// An inode has a number (the node id the kernel knows it by), the identity of
// its base (device, inode number, form), and the names under which it was seen.
// It holds no descriptor: it is reached by opening its newest name relative to
// its parent's directory and checking that what was opened is its base.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "codec/base/mutex.h"
#include "fs/sys/unique_fd.h"
#include "fs/vfs/name_codec.h"

namespace gzipfs {

class InodeTable;

// Table numbers: the kernel's names for inodes. Never used twice in a mount.
using NodeId = uint64_t;
inline constexpr NodeId kRootNodeId = 1;  // FUSE_ROOT_ID

// Which object of the store an inode stands for. The form is part of it: of
// two hard links a.gz and b one is shown plain, the other one raw, and they
// must not share cached pages. The type is part of it because a filesystem
// gives a freed inode number to the next file of any type.
struct BaseKey {
  dev_t device;
  ino_t ino;
  mode_t type;  // S_IFMT bits
  Form form;
  bool operator==(const BaseKey&) const = default;
};

inline BaseKey KeyOf(const struct stat& base, Form form) {
  return {base.st_dev, base.st_ino, base.st_mode & S_IFMT, form};
}

// The state of a base file by which a change is noticed.
struct BaseStamp {
  int64_t stored_bytes = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  bool operator==(const BaseStamp&) const = default;
};

inline int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

BaseStamp StampOf(const struct stat& base);

// Whether two stamps tell of the same contents. The change time says nothing
// of them: it moves with every rename and link.
inline bool HaveSameContents(const BaseStamp& a, const BaseStamp& b) {
  return a.stored_bytes == b.stored_bytes && a.mtime_ns == b.mtime_ns;
}

// One object known to the kernel, or needed by one that is. Lives in, and is
// owned by, the InodeTable; used through InodeRef.
class Inode {
 public:
  Inode(NodeId id, const BaseKey& key, uint64_t shown_ino)
      : id_(id), type_(key.type), form_(key.form), shown_ino_(shown_ino), key_(key) {}

  NodeId id() const { return id_; }
  Form form() const { return form_; }
  bool is_directory() const { return S_ISDIR(type_); }
  bool is_regular() const { return S_ISREG(type_); }
  bool is_gzip() const { return form_ == Form::kGzip; }
  // st_ino as programs see it: that of the base when the inode became known,
  // kept when a checkpoint gives it another base.
  uint64_t shown_ino() const { return shown_ino_; }

  // Held by whoever changes or relies on one of the inode's names: unlink,
  // rename, link, and a checkpoint that replaces the base. Before the name
  // space lock; of two inodes the lower id first.
  Mutex place_mutex;

  // Counts the changes of its own names that went through the mount, from 1 on;
  // and up to which of them they are known to be durable.
  std::atomic<uint32_t> entry_change_count{1};
  std::atomic<uint32_t> durable_entry_change_count{0};

  // Counts the changes of a directory's entries that went through the mount.
  std::atomic<uint32_t> change_count{0};

 private:
  friend class InodeTable;
  friend class InodeRef;
  struct Alias {
    Inode* parent;  // counted in parent->refs_
    std::string store_name;
  };

  // Constant after construction.
  const NodeId id_;
  const mode_t type_;
  const Form form_;
  const uint64_t shown_ino_;

  // From 1 to 0 under the table's mutex only.
  std::atomic<uint32_t> refs_{0};

  // Guarded by the table's mutex.
  bool is_detached_ = false;         // its key leads to it no longer
  bool was_unlinked_ = false;        // its last name was removed through the mount
  bool is_open_ = false;             // has an OpenFile
  bool was_opened_ = false;          // has had one, of which the kernel knows
  bool is_changed_outside_ = false;  // its base differs from stamp_, not by us
  bool has_stamp_ = false;
  uint32_t own_change_count_ = 0;  // counts when one begins and when it ends
  uint32_t own_changes_ = 0;       // under way
  uint32_t rekey_count_ = 0;
  BaseKey key_;
  uint64_t lookup_count_ = 0;   // what the kernel will forget
  std::vector<Alias> aliases_;  // newest last
  std::shared_ptr<const UniqueFd> pin_;  // O_PATH, when the last name goes
  uint64_t plain_bytes_ = 0;    // as of stamp_
  BaseStamp stamp_;
};

// A counted reference: the inode stays in its table while there is one. Copies
// are independent values; one thread at a time each, as any value.
class InodeRef {
 public:
  InodeRef() = default;
  InodeRef(const InodeRef& other) : table_(other.table_), inode_(other.inode_) {
    if (inode_ != nullptr) inode_->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  InodeRef(InodeRef&& other) noexcept
      : table_(other.table_), inode_(std::exchange(other.inode_, nullptr)) {}
  InodeRef& operator=(InodeRef other) noexcept {
    std::swap(table_, other.table_);
    std::swap(inode_, other.inode_);
    return *this;
  }
  // May destroy the inode; not to be called under the table's mutex.
  ~InodeRef();

  Inode* get() const { return inode_; }
  Inode* operator->() const { return inode_; }
  Inode& operator*() const { return *inode_; }
  explicit operator bool() const { return inode_ != nullptr; }
  bool operator==(const InodeRef& other) const { return inode_ == other.inode_; }

 private:
  friend class InodeTable;
  InodeRef(InodeTable* table, Inode* inode) : table_(table), inode_(inode) {}

  InodeTable* table_ = nullptr;
  Inode* inode_ = nullptr;
};

}  // namespace gzipfs
