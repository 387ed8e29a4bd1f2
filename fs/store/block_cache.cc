// Get moves a block to the front of its shard, Put evicts from the back.
#include "fs/store/block_cache.h"

namespace gzipfs {

CachedBlock BlockCache::Get(uint64_t base_id, uint64_t file_offset) {
  const Key key{base_id, file_offset};
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  const auto found = shard.entries.find(key);
  if (found == shard.entries.end()) return nullptr;
  shard.recent.splice(shard.recent.begin(), shard.recent, found->second);
  return found->second->block;
}

void BlockCache::Put(uint64_t base_id, uint64_t file_offset, CachedBlock block) {
  const Key key{base_id, file_offset};
  Shard& shard = ShardOf(key);
  std::list<Entry> evicted;  // freed after the lock
  MutexLock lock(shard.mutex);
  if (shard.entries.contains(key)) return;
  shard.bytes += block->size();
  shard.recent.push_front({key, std::move(block)});
  shard.entries.emplace(key, shard.recent.begin());
  while (shard.bytes > shard_limit_bytes_ && shard.recent.size() > 1) {
    const auto last = std::prev(shard.recent.end());
    shard.bytes -= last->block->size();
    shard.entries.erase(last->key);
    evicted.splice(evicted.begin(), shard.recent, last);
  }
}

}  // namespace gzipfs
