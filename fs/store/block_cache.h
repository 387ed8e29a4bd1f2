// Decoded blocks that may be wanted again, bounded in bytes.
//
// Sixteen shards, each a least-recently-used list under its own lock. A block
// is shared: it stays alive for the reader that holds it after it was evicted.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "codec/base/mutex.h"

namespace gzipfs {

using CachedBlock = std::shared_ptr<const std::vector<std::byte>>;

// Thread-safe.
class BlockCache {
 public:
  explicit BlockCache(uint64_t limit_bytes) : shard_limit_bytes_(limit_bytes / kShardCount) {}

  uint64_t limit_bytes() const { return shard_limit_bytes_ * kShardCount; }

  // A number no other base in this process has; part of every key.
  uint64_t NewBaseId() { return next_base_id_.fetch_add(1, std::memory_order_relaxed); }

  // The block of the member at `file_offset` of base `base_id`, or null.
  CachedBlock Get(uint64_t base_id, uint64_t file_offset);
  void Put(uint64_t base_id, uint64_t file_offset, CachedBlock block);

 private:
  static constexpr size_t kShardCount = 16;
  struct Key {
    uint64_t base_id;
    uint64_t file_offset;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return (key.base_id * 0x9e3779b97f4a7c15 ^ key.file_offset) * 0xbf58476d1ce4e5b9 >> 16;
    }
  };
  struct Entry {
    Key key;
    CachedBlock block;
  };
  struct Shard {
    Mutex mutex;
    std::list<Entry> recent GUARDED_BY(mutex);  // most recently used first
    std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> entries GUARDED_BY(mutex);
    uint64_t bytes GUARDED_BY(mutex) = 0;
  };

  Shard& ShardOf(const Key& key) { return shards_[KeyHash{}(key) % kShardCount]; }

  const uint64_t shard_limit_bytes_;
  std::array<Shard, kShardCount> shards_;
  std::atomic<uint64_t> next_base_id_{1};
};

}  // namespace gzipfs
