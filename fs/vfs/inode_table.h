// Every inode the kernel knows, by node id and by base.
//
// An inode stays while the kernel has looked it up (lookup count), while a
// child or an open file refers to it, and while somebody works with it. A
// million of them cost less than 512 bytes each and no descriptor.
#pragma once

#include <sys/stat.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "codec/base/mutex.h"
#include "codec/base/result.h"
#include "fs/vfs/inode.h"

namespace gzipfs {

// Names kept for one inode; of a file with more links, the newest.
inline constexpr size_t kMaxAliases = 8;

// A closed file that looks as if it was changed behind the mount. It may be a
// change of our own that is under way: a second look decides.
struct ChangeDoubt {
  InodeRef inode;
  uint32_t own_change_count;  // when it was doubted
};

// A name of an inode in the store.
struct StorePlace {
  InodeRef parent;
  std::string store_name;
};

// Thread-safe. No system call happens under its mutex, which is innermost:
// nothing else is locked while it is held.
class InodeTable {
 public:
  // `root` is the store's directory; node kRootNodeId, known for good. At most
  // `pin_limit` inodes without a name keep a descriptor.
  InodeTable(const struct stat& root, size_t pin_limit);
  ~InodeTable();
  InodeTable(const InodeTable&) = delete;
  InodeTable& operator=(const InodeTable&) = delete;

  // ESTALE when the kernel does not know `id`.
  Result<InodeRef> Get(NodeId id) EXCLUDES(mutex_);

  // The inode of the entry `store_name` of `parent` with attributes `base`:
  // the known one, or a new one. Its lookup count goes up by one.
  InodeRef Enter(const InodeRef& parent, std::string_view store_name, const struct stat& base,
                 Form form) EXCLUDES(mutex_);
  // The same for an entry made just now: an inode that is known by its number
  // is gone from the store.
  InodeRef EnterNew(const InodeRef& parent, std::string_view store_name, const struct stat& base,
                    Form form) EXCLUDES(mutex_);

  // Whether the known inode with this base is closed, and was seen in another
  // state before.
  std::optional<ChangeDoubt> DoubtOf(const struct stat& base, Form form) EXCLUDES(mutex_);
  // `base` was read after the doubt. When it still differs, and no change of
  // our own can have been the reason, the inode makes way for a new one: the
  // kernel would keep its old size and pages. True when it did.
  bool ResolveDoubt(const ChangeDoubt& doubt, const struct stat& base) EXCLUDES(mutex_);
  // Whether an open file stands for the inode, or is about to.
  bool IsOpen(const InodeRef& inode) EXCLUDES(mutex_);
  // The inode makes way for a new one, in any case: what the kernel knows of it
  // is wrong. Who has it open keeps it.
  void Displace(const InodeRef& inode) EXCLUDES(mutex_);
  // The same for an open(2) that is answered with ESTALE: the kernel looks the name up
  // once more and opens what it finds (path_openat with LOOKUP_REVAL), once.
  void DisplaceAtOpen(const InodeRef& inode) EXCLUDES(mutex_);
  // Whether the first open of `inode` is that second try, as far as can be told.
  bool IsOpenedAgain(const InodeRef& inode) EXCLUDES(mutex_);
  // The known inode of that entry, or null.
  InodeRef Find(const InodeRef& parent, std::string_view store_name, const struct stat& base,
                Form form) EXCLUDES(mutex_);
  // The kernel was told of the inode once more.
  void AddLookup(const InodeRef& inode) EXCLUDES(mutex_);
  // The kernel forgets `count` lookups.
  void Forget(NodeId id, uint64_t count) EXCLUDES(mutex_);

  // The newest known name; nullopt when there is none.
  std::optional<StorePlace> PlaceOf(const InodeRef& inode) EXCLUDES(mutex_);
  bool HasPlace(const InodeRef& inode, const StorePlace& place) EXCLUDES(mutex_);
  void AddPlace(const InodeRef& inode, const InodeRef& parent, std::string_view store_name)
      EXCLUDES(mutex_);
  // How often the inode's base was replaced.
  uint32_t RekeyCount(const InodeRef& inode) EXCLUDES(mutex_);
  // The name was seen to lead to something else, by a look that began when the
  // base had been replaced `as_of` times. Ignored if that is no longer so: the
  // look may have been at the base before.
  void DisownPlace(const InodeRef& inode, const StorePlace& place, uint32_t as_of)
      EXCLUDES(mutex_);
  // Whether the last name was removed through the mount.
  bool WasUnlinked(const InodeRef& inode) EXCLUDES(mutex_);
  // The inode no longer has that name.
  void RemovePlace(const InodeRef& inode, const InodeRef& parent, std::string_view store_name)
      EXCLUDES(mutex_);
  // The name was removed from the store. When `is_last_link`, the base's inode
  // number may be given to another file from now on.
  void NameRemoved(const InodeRef& inode, const InodeRef& parent, std::string_view store_name,
                   bool is_last_link) EXCLUDES(mutex_);
  // The inode is about to lose its last known name: `fd` (O_PATH) keeps it
  // until it is forgotten, unless there are too many of these already.
  void Pin(const InodeRef& inode, UniqueFd fd) EXCLUDES(mutex_);
  // It has not lost it after all.
  void Unpin(const InodeRef& inode) EXCLUDES(mutex_);
  // The descriptor of an inode without a name; null when there is none.
  std::shared_ptr<const UniqueFd> PinOf(const InodeRef& inode) EXCLUDES(mutex_);

  bool IsBaseOf(const InodeRef& inode, const struct stat& base) EXCLUDES(mutex_);
  // Between the two, whatever `place` leads to is the inode's base.
  void BeginReplace(const InodeRef& inode, const StorePlace& place) EXCLUDES(mutex_);
  void EndReplace(const InodeRef& inode) EXCLUDES(mutex_);
  // The inode's base is another one now.
  void Rekey(const InodeRef& inode, const struct stat& new_base) EXCLUDES(mutex_);

  // An open file begins to stand for the inode, or has ended to. False when the
  // inode made way for another one and must not be opened any more.
  bool SetOpen(const InodeRef& inode) EXCLUDES(mutex_);
  void SetClosed(const InodeRef& inode, const struct stat& base, uint64_t plain_bytes)
      EXCLUDES(mutex_);
  // The same when it could not be opened after all.
  void SetNotOpened(const InodeRef& inode) EXCLUDES(mutex_);
  // The same when the base's state is not known, because settling failed.
  void SetClosedInDoubt(const InodeRef& inode) EXCLUDES(mutex_);

  // The plain size found earlier for just this state of the base.
  std::optional<uint64_t> KnownPlainBytes(const InodeRef& inode, const struct stat& base)
      EXCLUDES(mutex_);
  // Whether the base is open as a gzip file, or known for one in this state.
  bool IsKnownGzip(const struct stat& base) EXCLUDES(mutex_);
  // The base was seen like this. Not remembered when it was changed behind the
  // mount: ResolveDoubt shall notice it, too.
  void Remember(const InodeRef& inode, const struct stat& base, uint64_t plain_bytes)
      EXCLUDES(mutex_);
  // Around a change of the closed base's attributes, not its bytes, by us.
  // `before` and `after` are its states, null when not known.
  void BeginOwnChange(const InodeRef& inode) EXCLUDES(mutex_);
  void EndOwnChange(const InodeRef& inode, const struct stat* before, const struct stat* after)
      EXCLUDES(mutex_);
  // True when pages the kernel has of the closed file are still right. Ends
  // the doubt about them: the kernel drops them on false.
  bool MayKeepPages(const InodeRef& inode, const struct stat& base) EXCLUDES(mutex_);

  // st_ino for an entry that may or may not be known.
  uint64_t ShownInoOf(const struct stat& base, Form form) EXCLUDES(mutex_);

  size_t inode_count() const EXCLUDES(mutex_);

 private:
  friend class InodeRef;
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(const BaseKey& key) const;
    size_t operator()(const Inode* inode) const { return (*this)(inode->key_); }
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(const Inode* a, const Inode* b) const { return a->key_ == b->key_; }
    bool operator()(const BaseKey& a, const Inode* b) const { return a == b->key_; }
    bool operator()(const Inode* a, const BaseKey& b) const { return a->key_ == b; }
  };
  struct Replacement {
    Inode* inode;
    Inode* parent;
    std::string store_name;
  };
  struct Displaced {
    BaseKey key;
    int64_t time_ns;
  };
  using Garbage = std::vector<std::unique_ptr<Inode>>;

  void Release(Inode* inode) EXCLUDES(mutex_);
  InodeRef RefTo(Inode* inode) REQUIRES(mutex_);
  Inode* FindKey(const BaseKey& key) REQUIRES(mutex_);
  Inode* FindEntry(const Inode* parent, std::string_view store_name, const BaseKey& key)
      REQUIRES(mutex_);
  InodeRef EnterInode(Inode* inode, const BaseKey& key, const InodeRef& parent,
                      std::string_view store_name, Garbage& garbage) REQUIRES(mutex_);
  bool LooksChangedOutside(const Inode& inode, const struct stat& base) const REQUIRES(mutex_);
  Inode* Make(const BaseKey& key) REQUIRES(mutex_);
  void Detach(Inode* inode) REQUIRES(mutex_);
  void SetKey(Inode* inode, const BaseKey& key) REQUIRES(mutex_);
  void AddAlias(Inode* inode, Inode* parent, std::string_view store_name, Garbage& garbage)
      REQUIRES(mutex_);
  void RemoveAlias(Inode* inode, const Inode* parent, std::string_view store_name,
                   Garbage& garbage) REQUIRES(mutex_);
  void DropRef(Inode* inode, Garbage& garbage) REQUIRES(mutex_);
  void CollectIfUnused(Inode* inode, Garbage& garbage) REQUIRES(mutex_);
  static bool BorrowsIno(const Inode& inode);
  uint64_t ChooseShownIno(const BaseKey& key, NodeId id) REQUIRES(mutex_);

  const size_t pin_limit_;

  mutable Mutex mutex_;
  std::unordered_map<NodeId, std::unique_ptr<Inode>> by_id_ GUARDED_BY(mutex_);
  std::unordered_set<Inode*, KeyHash, KeyEqual> by_key_ GUARDED_BY(mutex_);
  // st_ino values shown for inodes whose base has another one by now.
  std::unordered_multiset<uint64_t> borrowed_inos_ GUARDED_BY(mutex_);
  std::vector<Replacement> replacements_ GUARDED_BY(mutex_);  // nearly always empty
  // The last ones, in a ring: at most as many second tries are under way at once.
  std::array<Displaced, 64> displaced_at_open_ GUARDED_BY(mutex_) = {};
  size_t displaced_count_ GUARDED_BY(mutex_) = 0;
  NodeId next_id_ GUARDED_BY(mutex_) = kRootNodeId + 1;
  size_t pin_count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace gzipfs
