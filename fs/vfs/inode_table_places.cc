// What the table keeps about an inode: its names, its base's state.
#include <algorithm>

#include "fs/vfs/inode_table.h"

namespace gzipfs {

void InodeTable::AddAlias(Inode* inode, Inode* parent, std::string_view store_name,
                          Garbage& garbage) {
  auto& aliases = inode->aliases_;
  const auto known = std::find_if(aliases.begin(), aliases.end(), [&](const Inode::Alias& each) {
    return each.parent == parent && each.store_name == store_name;
  });
  if (known != aliases.end()) {
    std::rotate(known, known + 1, aliases.end());
    return;
  }
  const size_t limit = inode->is_directory() ? 1 : kMaxAliases;
  if (aliases.size() == limit) {
    Inode* oldest_parent = aliases.front().parent;
    aliases.erase(aliases.begin());
    DropRef(oldest_parent, garbage);
  }
  if (aliases.empty()) aliases.reserve(1);  // most inodes never have a second one
  parent->refs_.fetch_add(1, std::memory_order_relaxed);
  aliases.push_back({parent, std::string(store_name)});
}

void InodeTable::RemoveAlias(Inode* inode, const Inode* parent, std::string_view store_name,
                             Garbage& garbage) {
  auto& aliases = inode->aliases_;
  const auto known = std::find_if(aliases.begin(), aliases.end(), [&](const Inode::Alias& each) {
    return each.parent == parent && each.store_name == store_name;
  });
  if (known == aliases.end()) return;
  Inode* counted = known->parent;
  aliases.erase(known);
  DropRef(counted, garbage);
}

std::optional<StorePlace> InodeTable::PlaceOf(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  if (inode->aliases_.empty()) return std::nullopt;
  const Inode::Alias& newest = inode->aliases_.back();
  return StorePlace{RefTo(newest.parent), newest.store_name};
}

bool InodeTable::HasPlace(const InodeRef& inode, const StorePlace& place) {
  const MutexLock lock(mutex_);
  return std::any_of(inode->aliases_.begin(), inode->aliases_.end(),
                     [&](const Inode::Alias& each) {
                       return each.parent == place.parent.get() &&
                              each.store_name == place.store_name;
                     });
}

void InodeTable::AddPlace(const InodeRef& inode, const InodeRef& parent,
                          std::string_view store_name) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  AddAlias(inode.get(), parent.get(), store_name, garbage);
}

uint32_t InodeTable::RekeyCount(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  return inode->rekey_count_;
}

void InodeTable::DisownPlace(const InodeRef& inode, const StorePlace& place, uint32_t as_of) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  if (inode->rekey_count_ != as_of) return;
  RemoveAlias(inode.get(), place.parent.get(), place.store_name, garbage);
}

bool InodeTable::WasUnlinked(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  return inode->was_unlinked_;
}

void InodeTable::RemovePlace(const InodeRef& inode, const InodeRef& parent,
                             std::string_view store_name) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  RemoveAlias(inode.get(), parent.get(), store_name, garbage);
}

void InodeTable::NameRemoved(const InodeRef& inode, const InodeRef& parent,
                             std::string_view store_name, bool is_last_link) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  RemoveAlias(inode.get(), parent.get(), store_name, garbage);
  if (!is_last_link) return;
  inode->was_unlinked_ = true;
  Detach(inode.get());
}

void InodeTable::Pin(const InodeRef& inode, UniqueFd fd) {
  auto pin = std::make_shared<const UniqueFd>(std::move(fd));  // outlives the lock
  const MutexLock lock(mutex_);
  const bool is_wanted =
      inode->aliases_.size() <= 1 && !inode->pin_ && pin_count_ < pin_limit_;
  if (!is_wanted) return;
  inode->pin_ = std::move(pin);
  ++pin_count_;
}

void InodeTable::Unpin(const InodeRef& inode) {
  std::shared_ptr<const UniqueFd> dropped;  // outlives the lock
  const MutexLock lock(mutex_);
  if (!inode->pin_) return;
  dropped = std::move(inode->pin_);
  --pin_count_;
}

std::shared_ptr<const UniqueFd> InodeTable::PinOf(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  return inode->pin_;
}

bool InodeTable::IsBaseOf(const InodeRef& inode, const struct stat& base) {
  const MutexLock lock(mutex_);
  if (inode->key_ == KeyOf(base, inode->form_)) return true;
  // While a checkpoint replaces the base, its name may lead to either one.
  return std::any_of(replacements_.begin(), replacements_.end(), [&](const Replacement& each) {
    return each.inode == inode.get() && S_ISREG(base.st_mode);
  });
}

void InodeTable::BeginReplace(const InodeRef& inode, const StorePlace& place) {
  const MutexLock lock(mutex_);
  replacements_.push_back({inode.get(), place.parent.get(), place.store_name});
}

void InodeTable::EndReplace(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  std::erase_if(replacements_, [&](const Replacement& each) { return each.inode == inode.get(); });
}

bool InodeTable::SetOpen(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  if (inode->is_detached_ && !inode->aliases_.empty()) return false;
  inode->is_open_ = true;
  ++inode->own_change_count_;
  return true;
}

void InodeTable::SetClosed(const InodeRef& inode, const struct stat& base, uint64_t plain_bytes) {
  const MutexLock lock(mutex_);
  inode->is_open_ = false;
  inode->was_opened_ = true;
  ++inode->own_change_count_;
  inode->is_changed_outside_ = false;
  inode->has_stamp_ = true;
  inode->stamp_ = StampOf(base);
  inode->plain_bytes_ = plain_bytes;
}

void InodeTable::SetNotOpened(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  inode->is_open_ = false;
}

void InodeTable::SetClosedInDoubt(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  inode->is_open_ = false;
  inode->was_opened_ = true;
  ++inode->own_change_count_;
  inode->is_changed_outside_ = true;
}

std::optional<uint64_t> InodeTable::KnownPlainBytes(const InodeRef& inode,
                                                    const struct stat& base) {
  const MutexLock lock(mutex_);
  if (!inode->has_stamp_ || inode->stamp_ != StampOf(base)) return std::nullopt;
  return inode->plain_bytes_;
}

bool InodeTable::IsKnownGzip(const struct stat& base) {
  const MutexLock lock(mutex_);
  const Inode* inode = FindKey(KeyOf(base, Form::kGzip));
  if (inode == nullptr) return false;
  return inode->is_open_ || (inode->has_stamp_ && inode->stamp_ == StampOf(base));
}

void InodeTable::Remember(const InodeRef& inode, const struct stat& base,
                          uint64_t plain_bytes) {
  const BaseStamp stamp = StampOf(base);
  const MutexLock lock(mutex_);
  if (inode->is_open_) return;  // the stamp is taken when it closes
  if (inode->has_stamp_ && !HaveSameContents(inode->stamp_, stamp)) return;
  inode->has_stamp_ = true;
  inode->stamp_ = stamp;
  inode->plain_bytes_ = plain_bytes;
}

void InodeTable::BeginOwnChange(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  ++inode->own_changes_;
  ++inode->own_change_count_;
}

void InodeTable::EndOwnChange(const InodeRef& inode, const struct stat* before,
                              const struct stat* after) {
  const MutexLock lock(mutex_);
  --inode->own_changes_;
  ++inode->own_change_count_;
  if (before == nullptr || after == nullptr || !inode->has_stamp_) return;
  if (!HaveSameContents(inode->stamp_, StampOf(*before))) return;
  const bool was_exact = inode->stamp_ == StampOf(*before);
  const int64_t old_ctime_ns = inode->stamp_.ctime_ns;
  inode->stamp_ = StampOf(*after);
  // The plain size then is not vouched for by this stamp either.
  if (!was_exact) inode->stamp_.ctime_ns = old_ctime_ns;
}

bool InodeTable::MayKeepPages(const InodeRef& inode, const struct stat& base) {
  const MutexLock lock(mutex_);
  const bool is_unchanged = !inode->is_changed_outside_ &&
                            (!inode->has_stamp_ || HaveSameContents(inode->stamp_, StampOf(base)));
  inode->is_changed_outside_ = false;
  return is_unchanged;
}

uint64_t InodeTable::ShownInoOf(const struct stat& base, Form form) {
  const MutexLock lock(mutex_);
  const Inode* inode = FindKey(KeyOf(base, form));
  return inode != nullptr ? inode->shown_ino_ : base.st_ino;
}

}  // namespace gzipfs
