// Life and identity of inodes: who is known, by which key, for how long.
//
// Inodes leave the table in two steps: unlinked from every map under the
// mutex, destroyed (which may close a descriptor) after it. The walk to
// parents that are needed no longer is a loop, not a recursion: a path can be
// thousands of directories deep.
#include "fs/vfs/inode_table.h"

#include <algorithm>
#include <cstdlib>

#include "fs/sys/at.h"

namespace gzipfs {
namespace {

// Set in an st_ino that we made up because the base's own is still shown for
// another inode. No filesystem's real numbers come near it.
constexpr uint64_t kMadeUpInoBit = uint64_t{1} << 62;

}  // namespace

BaseStamp StampOf(const struct stat& base) {
  return {.stored_bytes = base.st_size,
          .mtime_ns = Nanoseconds(base.st_mtim),
          .ctime_ns = Nanoseconds(base.st_ctim)};
}

InodeRef::~InodeRef() {
  if (inode_ == nullptr) return;
  // While it is not the last one, a reference goes without the mutex.
  uint32_t count = inode_->refs_.load(std::memory_order_relaxed);
  while (count > 1) {
    if (inode_->refs_.compare_exchange_weak(count, count - 1, std::memory_order_acq_rel)) return;
  }
  table_->Release(inode_);
}

size_t InodeTable::KeyHash::operator()(const BaseKey& key) const {
  uint64_t hash = key.ino * 0x9e3779b97f4a7c15;
  hash ^= (key.device + (uint64_t{key.type} << 32) + static_cast<uint64_t>(key.form)) *
          0xbf58476d1ce4e5b9;
  return hash ^ hash >> 29;
}

InodeTable::InodeTable(const struct stat& root, size_t pin_limit) : pin_limit_(pin_limit) {
  const BaseKey key = KeyOf(root, Form::kRaw);
  auto inode = std::make_unique<Inode>(kRootNodeId, key, root.st_ino);
  const MutexLock lock(mutex_);
  inode->lookup_count_ = 1;  // never given back
  by_key_.insert(inode.get());
  by_id_.emplace(kRootNodeId, std::move(inode));
}

InodeTable::~InodeTable() = default;

Result<InodeRef> InodeTable::Get(NodeId id) {
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return Fail(ESTALE);
  return RefTo(found->second.get());
}

InodeRef InodeTable::RefTo(Inode* inode) {
  if (inode == nullptr) return {};
  inode->refs_.fetch_add(1, std::memory_order_relaxed);
  return InodeRef(this, inode);
}

Inode* InodeTable::FindKey(const BaseKey& key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : *found;
}

Inode* InodeTable::FindEntry(const Inode* parent, std::string_view store_name,
                             const BaseKey& key) {
  if (Inode* inode = FindKey(key)) return inode;
  // A checkpoint may have replaced the base, and is about to say so.
  for (const Replacement& each : replacements_) {
    if (each.parent == parent && each.store_name == store_name && each.inode->form_ == key.form) {
      return each.inode;
    }
  }
  return nullptr;
}

InodeRef InodeTable::Enter(const InodeRef& parent, std::string_view store_name,
                           const struct stat& base, Form form) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  const BaseKey key = KeyOf(base, form);
  Inode* inode = FindEntry(parent.get(), store_name, key);
  return EnterInode(inode, key, parent, store_name, garbage);
}

InodeRef InodeTable::EnterNew(const InodeRef& parent, std::string_view store_name,
                              const struct stat& base, Form form) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  const BaseKey key = KeyOf(base, form);
  if (Inode* stale = FindKey(key)) Detach(stale);
  return EnterInode(nullptr, key, parent, store_name, garbage);
}

InodeRef InodeTable::EnterInode(Inode* inode, const BaseKey& key, const InodeRef& parent,
                                std::string_view store_name, Garbage& garbage) {
  if (inode == nullptr) inode = Make(key);
  InodeRef result = RefTo(inode);
  ++inode->lookup_count_;
  AddAlias(inode, parent.get(), store_name, garbage);
  return result;
}

bool InodeTable::LooksChangedOutside(const Inode& inode, const struct stat& base) const {
  if (!inode.is_regular() || inode.is_open_ || inode.own_changes_ > 0 || !inode.has_stamp_) {
    return false;
  }
  return inode.is_changed_outside_ || !HaveSameContents(inode.stamp_, StampOf(base));
}

std::optional<ChangeDoubt> InodeTable::DoubtOf(const struct stat& base, Form form) {
  const MutexLock lock(mutex_);
  Inode* inode = FindKey(KeyOf(base, form));
  if (inode == nullptr || !LooksChangedOutside(*inode, base)) return std::nullopt;
  return ChangeDoubt{RefTo(inode), inode->own_change_count_};
}

bool InodeTable::ResolveDoubt(const ChangeDoubt& doubt, const struct stat& base) {
  const MutexLock lock(mutex_);
  Inode* inode = doubt.inode.get();
  if (inode->own_change_count_ != doubt.own_change_count || inode->is_detached_ ||
      inode->key_ != KeyOf(base, inode->form_) || !LooksChangedOutside(*inode, base)) {
    return false;
  }
  Detach(inode);
  return true;
}

bool InodeTable::IsOpen(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  return inode->is_open_;
}

void InodeTable::Displace(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  Detach(inode.get());
}

void InodeTable::DisplaceAtOpen(const InodeRef& inode) {
  const int64_t now = Nanoseconds(FileClockNow());
  const MutexLock lock(mutex_);
  displaced_at_open_[displaced_count_++ % displaced_at_open_.size()] = {inode->key_, now};
  Detach(inode.get());
}

bool InodeTable::IsOpenedAgain(const InodeRef& inode) {
  constexpr int64_t kMoment = 1'000'000'000;  // ns; a lookup and the open that follows it
  const int64_t now = Nanoseconds(FileClockNow());
  const MutexLock lock(mutex_);
  if (inode->was_opened_) return false;
  return std::any_of(displaced_at_open_.begin(), displaced_at_open_.end(),
                     [&](const Displaced& each) {
                       return each.key == inode->key_ && now - each.time_ns < kMoment;
                     });
}

InodeRef InodeTable::Find(const InodeRef& parent, std::string_view store_name,
                          const struct stat& base, Form form) {
  const MutexLock lock(mutex_);
  return RefTo(FindEntry(parent.get(), store_name, KeyOf(base, form)));
}

void InodeTable::AddLookup(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  ++inode->lookup_count_;
}

void InodeTable::Forget(NodeId id, uint64_t count) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || id == kRootNodeId) return;
  Inode* inode = found->second.get();
  inode->lookup_count_ -= std::min(count, inode->lookup_count_);
  CollectIfUnused(inode, garbage);
}

Inode* InodeTable::Make(const BaseKey& key) {
  const NodeId id = next_id_++;
  auto made = std::make_unique<Inode>(id, key, ChooseShownIno(key, id));
  Inode* inode = made.get();
  by_id_.emplace(id, std::move(made));
  by_key_.insert(inode);
  return inode;
}

uint64_t InodeTable::ChooseShownIno(const BaseKey& key, NodeId id) {
  return borrowed_inos_.contains(key.ino) ? kMadeUpInoBit | id : key.ino;
}

// True when it shows a real number that is no longer its base's.
bool InodeTable::BorrowsIno(const Inode& inode) {
  return inode.shown_ino_ != inode.key_.ino && (inode.shown_ino_ & kMadeUpInoBit) == 0;
}

void InodeTable::Detach(Inode* inode) {
  if (inode->is_detached_) return;
  by_key_.erase(inode);
  inode->is_detached_ = true;
}

void InodeTable::SetKey(Inode* inode, const BaseKey& key) {
  if (BorrowsIno(*inode)) borrowed_inos_.erase(borrowed_inos_.find(inode->shown_ino_));
  const bool was_detached = inode->is_detached_;
  Detach(inode);
  inode->key_ = key;
  if (BorrowsIno(*inode)) borrowed_inos_.insert(inode->shown_ino_);
  if (was_detached) return;
  // Whoever had the key before is gone from the store: its number was reused.
  if (Inode* stale = FindKey(key)) Detach(stale);
  inode->is_detached_ = false;
  by_key_.insert(inode);
}

void InodeTable::Rekey(const InodeRef& inode, const struct stat& new_base) {
  const MutexLock lock(mutex_);
  SetKey(inode.get(), KeyOf(new_base, inode->form_));
  ++inode->rekey_count_;
}

void InodeTable::Release(Inode* inode) {
  Garbage garbage;
  const MutexLock lock(mutex_);
  DropRef(inode, garbage);
}

void InodeTable::DropRef(Inode* inode, Garbage& garbage) {
  if (inode->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) CollectIfUnused(inode, garbage);
}

void InodeTable::CollectIfUnused(Inode* inode, Garbage& garbage) {
  std::vector<Inode*> candidates = {inode};
  while (!candidates.empty()) {
    Inode* each = candidates.back();
    candidates.pop_back();
    if (each->lookup_count_ > 0 || each->refs_.load(std::memory_order_acquire) > 0) continue;
    Detach(each);
    if (BorrowsIno(*each)) borrowed_inos_.erase(borrowed_inos_.find(each->shown_ino_));
    if (each->pin_) --pin_count_;
    for (const Inode::Alias& alias : each->aliases_) {
      if (alias.parent->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        candidates.push_back(alias.parent);
      }
    }
    const auto entry = by_id_.find(each->id_);
    garbage.push_back(std::move(entry->second));
    by_id_.erase(entry);
  }
}

size_t InodeTable::inode_count() const {
  const MutexLock lock(mutex_);
  return by_id_.size();
}

}  // namespace gzipfs
