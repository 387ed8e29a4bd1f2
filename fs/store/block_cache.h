// Decoded blocks that may be wanted again, bounded in bytes.
//
// Sixteen shards, each under its own lock. A block is shared: it stays alive for the
// reader that holds it after it was evicted.
//
// Each shard has two lists, least recently used last. A block begins as a newcomer; it is
// kept once it is used again after a while. Newcomers are evicted first, so a scan, which
// uses each block once (or often, but within a short time), only evicts other newcomers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "codec/base/mutex.h"

namespace gzipfs {

using CachedBlock = std::shared_ptr<const std::vector<std::byte>>;

// Thread-safe.
class BlockCache {
  struct Shard;
  struct Key {
    uint64_t base_id;
    uint64_t file_offset;
    bool operator==(const Key&) const = default;
  };

 public:
  explicit BlockCache(uint64_t limit_bytes) : shard_limit_bytes_(limit_bytes / kShardCount) {}

  uint64_t limit_bytes() const { return shard_limit_bytes_ * kShardCount; }

  // A number no other base in this process has; part of every key.
  uint64_t NewBaseId() { return next_base_id_.fetch_add(1, std::memory_order_relaxed); }

  // The block of the member at `file_offset` of base `base_id`, or null.
  CachedBlock Get(uint64_t base_id, uint64_t file_offset);
  void Put(uint64_t base_id, uint64_t file_offset, CachedBlock block);

  // While it lives, others who want the block wait. Goes after Put, or without it: then
  // one of the others has the next try.
  class Claim {
   public:
    Claim(Shard* shard, const Key& key) : shard_(shard), key_(key) {}
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim();

   private:
    Shard* const shard_;
    const Key key_;
  };

  // As Get. Where that gives null, `claim` says that it is for the caller to decode and
  // Put the block; if it is somebody else's, this waits for him. Who has a claim may ask for
  // more in the order of file offsets of one base only, and waits for nobody but by this.
  CachedBlock GetOrClaim(uint64_t base_id, uint64_t file_offset, std::unique_ptr<Claim>& claim);

 private:
  static constexpr size_t kShardCount = 16;
  // Uses of a block before so many others have come to its shard are one.
  static constexpr uint64_t kOneUse = 4;
  // Of the shard's limit, what may be kept: newcomers have the rest, and what is not used.
  static constexpr uint64_t kKeptPercent = 50;

  struct KeyHash {
    size_t operator()(const Key& key) const {
      return (key.base_id * 0x9e3779b97f4a7c15 ^ key.file_offset) * 0xbf58476d1ce4e5b9 >> 16;
    }
  };
  struct Entry {
    Key key;
    CachedBlock block;
    uint64_t came_at;  // by the shard's put_count
    bool is_kept = false;
  };
  using EntryList = std::list<Entry>;
  struct Shard {
    Mutex mutex;
    CondVar claim_ended;
    EntryList newcomers GUARDED_BY(mutex);  // most recently used first, as the next one
    EntryList kept GUARDED_BY(mutex);
    std::unordered_map<Key, EntryList::iterator, KeyHash> entries GUARDED_BY(mutex);
    std::unordered_set<Key, KeyHash> claims GUARDED_BY(mutex);
    uint64_t bytes GUARDED_BY(mutex) = 0;       // of both lists
    uint64_t kept_bytes GUARDED_BY(mutex) = 0;
    uint64_t put_count GUARDED_BY(mutex) = 0;
  };

  Shard& ShardOf(const Key& key) { return shards_[KeyHash{}(key) % kShardCount]; }
  CachedBlock Find(Shard& shard, const Key& key) REQUIRES(shard.mutex);
  void Keep(Shard& shard, EntryList::iterator entry) REQUIRES(shard.mutex);

  const uint64_t shard_limit_bytes_;
  std::array<Shard, kShardCount> shards_;
  std::atomic<uint64_t> next_base_id_{1};
};

}  // namespace gzipfs
