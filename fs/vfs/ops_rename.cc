// Renaming, replacing and exchanging.
//
// What is renamed keeps its form: X.gz becomes Y.gz, anything else X becomes
// Y. Where the target is replaced and lies under that very name, the store's
// rename does it atomically. A target of the other form (a symlink Y replaced
// by the file Y.gz) lies under another name and is removed after the rename.
//
// A plan is made first; then the places of the inodes are held, the name space
// is locked exclusively, and the plan is carried out if the entries still are
// what it was made for.
#include <fcntl.h>
#include <linux/fs.h>

#include <algorithm>

#include "fs/vfs/vfs.h"

namespace gzipfs {
namespace {

// Holds the place_mutex of up to two inodes, the lower node id first.
class PlacePairLock {
 public:
  PlacePairLock(const InodeRef& a, const InodeRef& b) NO_THREAD_SAFETY_ANALYSIS
      : first_(a.get()),
        second_(b.get() == a.get() ? nullptr : b.get()) {
    if (first_ != nullptr && second_ != nullptr && first_->id() > second_->id()) {
      std::swap(first_, second_);
    }
    if (first_ != nullptr) first_->place_mutex.Lock();
    if (second_ != nullptr) second_->place_mutex.Lock();
  }
  ~PlacePairLock() NO_THREAD_SAFETY_ANALYSIS {
    if (second_ != nullptr) second_->place_mutex.Unlock();
    if (first_ != nullptr) first_->place_mutex.Unlock();
  }
  PlacePairLock(const PlacePairLock&) = delete;
  PlacePairLock& operator=(const PlacePairLock&) = delete;

 private:
  Inode* first_;
  Inode* second_;
};

bool IsDirectory(const BaseName& base) { return S_ISDIR(base.stat.st_mode); }

// The name in the store of `base` once the mount calls it `mount_name`.
std::string StoreNameAs(const BaseName& base, const std::string& mount_name) {
  return base.form == Form::kGzip ? GzipStoreName(mount_name) : mount_name;
}

}  // namespace

// What a rename is going to do.
struct Vfs::RenamePlan {
  InodeRef parent;
  InodeRef new_parent;
  DirFd dir;
  DirFd new_dir;
  FoundEntry source;
  std::optional<FoundEntry> target;
  std::string new_store_name;   // of the source
  std::string old_store_name;   // of the target, when both are exchanged
  bool is_exchange = false;
  bool is_nothing = false;      // both names are links of one file
};

Result<void> Vfs::Rename(NodeId parent_id, const char* name, NodeId new_parent_id,
                         const char* new_name, unsigned flags) {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) return Fail(EINVAL);
  const auto new_parent = ParentForNew(new_parent_id, new_name);
  if (!new_parent) return Fail(new_parent.error());
  const auto parent = inodes().Get(parent_id);
  if (!parent) return Fail(parent.error());
  if (IsHidden(*parent, name)) return Fail(ENOENT);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    auto plan = PlanRename(*parent, name, *new_parent, new_name, flags);
    if (!plan) return Fail(plan.error());
    if (plan->is_nothing) return {};
    const auto done = CarryOut(*plan);
    if (!done) return Fail(done.error());
    if (*done) return {};
  }
  return Fail(ESTALE);
}

Result<Vfs::RenamePlan> Vfs::PlanRename(const InodeRef& parent, const std::string& name,
                                        const InodeRef& new_parent, const std::string& new_name,
                                        unsigned flags) {
  const SharedLock lock(names_.lock);
  const auto dir = names_.OpenDir(parent);
  if (!dir) return Fail(dir.error());
  const auto new_dir = names_.OpenDir(new_parent);
  if (!new_dir) return Fail(new_dir.error());
  auto source = FindEntry(parent, name);
  if (!source) return Fail(source.error());
  RenamePlan plan{.parent = parent,
                  .new_parent = new_parent,
                  .dir = *dir,
                  .new_dir = *new_dir,
                  .source = std::move(*source),
                  .target = std::nullopt,
                  .new_store_name = {},
                  .old_store_name = {},
                  .is_exchange = (flags & RENAME_EXCHANGE) != 0};
  auto target = FindEntry(new_parent, new_name);
  if (target) {
    plan.target = std::move(*target);
  } else if (ErrnoOf(target.error()) != ENOENT || plan.is_exchange) {
    return Fail(target.error());
  }
  if (plan.target && (flags & RENAME_NOREPLACE) != 0) return Fail(EEXIST);
  GZIPFS_TRY(ChooseStoreNames(plan, name, new_name));
  return plan;
}

// The names in the store after `plan`, and whether they can be had.
Result<void> Vfs::ChooseStoreNames(RenamePlan& plan, const std::string& name,
                                   const std::string& new_name) {
  const BaseName& source = plan.source.base;
  plan.new_store_name = StoreNameAs(source, new_name);
  if (plan.target) {
    const BaseName& target = plan.target->base;
    plan.is_nothing = KeyOf(source.stat, source.form) == KeyOf(target.stat, target.form);
    if (plan.is_nothing) return {};
    plan.old_store_name = StoreNameAs(target, name);
    if (plan.is_exchange) return CheckExchange(plan);
    if (IsDirectory(target) && !IsDirectory(source)) return Fail(EISDIR);
    if (!IsDirectory(target) && IsDirectory(source)) return Fail(ENOTDIR);
  }
  if (!plan.target || plan.target->base.store_name != plan.new_store_name) {
    // The store's name may belong to a file that the mount shows otherwise.
    const auto taken = ops().StatAt(plan.new_dir.get(), plan.new_store_name.c_str());
    if (taken) return Fail(EEXIST);
    if (ErrnoOf(taken.error()) != ENOENT) return Fail(taken.error());
  }
  if (source.form == Form::kGzip) return {};
  return CheckStaysRaw(source.stat, plan.new_store_name, [&] {
    return ops().OpenAt(plan.dir.get(), source.store_name.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  });
}

// An exchange is atomic only if each name in the store is taken by the other.
Result<void> Vfs::CheckExchange(const RenamePlan& plan) {
  const BaseName& source = plan.source.base;
  const BaseName& target = plan.target->base;
  if (plan.new_store_name != target.store_name || plan.old_store_name != source.store_name) {
    return Fail(EINVAL);
  }
  if (source.form == Form::kGzip) return {};
  GZIPFS_TRY(CheckStaysRaw(source.stat, plan.new_store_name, [&] {
    return ops().OpenAt(plan.dir.get(), source.store_name.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  }));
  return CheckStaysRaw(target.stat, plan.old_store_name, [&] {
    return ops().OpenAt(plan.new_dir.get(), target.store_name.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  });
}

// False when an entry is another one by now.
Result<bool> Vfs::CarryOut(RenamePlan& plan) {
  FoundEntry& source = plan.source;
  const PlacePairLock place_lock(source.inode, plan.target ? plan.target->inode : InodeRef());
  const ExclusiveLock lock(names_.lock);
  const auto is_still = IsStill(plan.dir.get(), source.base);
  if (!is_still || !*is_still) return is_still;
  if (plan.target) {
    const auto target_is_still = IsStill(plan.new_dir.get(), plan.target->base);
    if (!target_is_still || !*target_is_still) return target_is_still;
  }
  const bool replaces = plan.target && !plan.is_exchange;
  const bool replaces_atomically =
      replaces && plan.target->base.store_name == plan.new_store_name;
  if (replaces_atomically && plan.target->inode) {
    PinBeforeRemoval(plan.target->inode, plan.new_dir.get(), plan.new_store_name);
  }
  const unsigned flags = plan.is_exchange       ? RENAME_EXCHANGE
                         : replaces_atomically ? 0
                                               : RENAME_NOREPLACE;
  if (auto renamed = RenameInStore(plan, flags); !renamed) {
    if (plan.target && plan.target->inode) inodes().Unpin(plan.target->inode);
    return Fail(renamed.error());
  }
  plan.parent->change_count.fetch_add(1);
  plan.new_parent->change_count.fetch_add(1);
  NoteRenamed(plan);
  if (!replaces) return true;
  if (!replaces_atomically) {
    GZIPFS_TRY(RemoveAt(plan.new_parent, plan.new_dir, *plan.target,
                        IsDirectory(plan.target->base) ? AT_REMOVEDIR : 0));
  } else if (plan.target->inode) {
    NoteReplaced(*plan.target, plan.new_parent);
  }
  return true;
}

// RENAME_NOREPLACE only guards against changes behind the mount: filesystems
// without it do without.
Result<void> Vfs::RenameInStore(const RenamePlan& plan, unsigned flags) {
  const auto move = [&](unsigned with_flags) {
    return ops().RenameAt(plan.dir.get(), plan.source.base.store_name.c_str(),
                          plan.new_dir.get(), plan.new_store_name.c_str(), with_flags);
  };
  const auto renamed = move(flags);
  if (renamed || flags != RENAME_NOREPLACE || ErrnoOf(renamed.error()) != EINVAL) return renamed;
  return move(0);
}

void Vfs::NoteRenamed(const RenamePlan& plan) {
  const FoundEntry& source = plan.source;
  if (source.inode) {
    inodes().RemovePlace(source.inode, plan.parent, source.base.store_name);
    inodes().AddPlace(source.inode, plan.new_parent, plan.new_store_name);
    source.inode->entry_change_count.fetch_add(1);
  }
  if (plan.is_exchange && plan.target->inode) {
    const InodeRef& other = plan.target->inode;
    other->entry_change_count.fetch_add(1);
    inodes().RemovePlace(other, plan.new_parent, plan.target->base.store_name);
    inodes().AddPlace(other, plan.parent, plan.old_store_name);
  }
}

void Vfs::NoteReplaced(const FoundEntry& target, const InodeRef& parent) {
  const bool is_last_link = IsDirectory(target.base) || target.base.stat.st_nlink == 1;
  inodes().NameRemoved(target.inode, parent, target.base.store_name, is_last_link);
  if (target.inode->is_directory()) names_.ForgetDir(target.inode);
}

}  // namespace gzipfs
