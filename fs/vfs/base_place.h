// An inode's place in the store, as its open content sees it.
#pragma once

#include "fs/store/content.h"
#include "fs/vfs/name_space.h"

namespace gzipfs {

// What a checkpoint needs of the name space: the file's name, held still, and
// word when the name leads to a new base. Keeps the directory's modification
// time, too: to programs a checkpoint is not a change of the directory.
//
// Owned by an OpenFile, for the lifetime of its Content. Thread-safe.
class InodePlace final : public BasePlace {
 public:
  InodePlace(NameSpace& names, InodeRef inode)
      : names_(names), inode_(std::move(inode)), first_path_(names_.DescribePlace(inode_)) {}

  // `action` runs with the inode's place_mutex held and no other lock. The
  // directory descriptor it gets is O_PATH.
  Result<void> WithPlace(
      const std::function<Result<void>(int dir_fd, const char* name)>& action) override;
  uint32_t entry_change_count() const override { return inode_->entry_change_count.load(); }
  uint32_t durable_entry_change_count() const override {
    return inode_->durable_entry_change_count.load();
  }
  void SetEntryDurable(uint32_t change_count) override {
    inode_->durable_entry_change_count.store(change_count);
  }
  void BaseReplaced(const struct stat& new_base) override;
  bool HasName() override;
  // Of a file whose names are all gone, the one by which it was opened.
  std::string Describe() const override;

 private:
  // The directory of the running WithPlace, and its state before.
  struct Current {
    InodeRef dir;
    int dir_fd;
    uint32_t change_count;
    struct stat dir_before;
  };

  // False when the inode is not at `place` any more.
  Result<bool> TryAt(const StorePlace& place,
                     const std::function<Result<void>(int dir_fd, const char* name)>& action);
  void RestoreDirectoryTime();

  NameSpace& names_;
  const InodeRef inode_;
  const std::string first_path_;
  std::optional<Current> current_;  // guarded by the inode's place_mutex
};

}  // namespace gzipfs
