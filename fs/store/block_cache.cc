// What is kept too much goes back to the newcomers' front: it has one more chance.
#include "fs/store/block_cache.h"

#include <iterator>

namespace gzipfs {

BlockCache::Claim::~Claim() {
  MutexLock lock(shard_->mutex);
  shard_->claims.erase(key_);
  shard_->claim_ended.NotifyAll();
}

void BlockCache::Keep(Shard& shard, EntryList::iterator entry) {
  entry->is_kept = true;
  shard.kept_bytes += entry->block->size();
  shard.kept.splice(shard.kept.begin(), shard.newcomers, entry);
  while (shard.kept_bytes > shard_limit_bytes_ * kKeptPercent / 100 && shard.kept.size() > 1) {
    const auto last = std::prev(shard.kept.end());
    last->is_kept = false;
    last->came_at = shard.put_count;
    shard.kept_bytes -= last->block->size();
    shard.newcomers.splice(shard.newcomers.begin(), shard.kept, last);
  }
}

CachedBlock BlockCache::Find(Shard& shard, const Key& key) {
  const auto found = shard.entries.find(key);
  if (found == shard.entries.end()) return nullptr;
  const auto entry = found->second;
  if (entry->is_kept) {
    shard.kept.splice(shard.kept.begin(), shard.kept, entry);
  } else if (shard.put_count - entry->came_at >= kOneUse) {
    Keep(shard, entry);
  } else {
    shard.newcomers.splice(shard.newcomers.begin(), shard.newcomers, entry);
  }
  return entry->block;
}

CachedBlock BlockCache::Get(uint64_t base_id, uint64_t file_offset) {
  const Key key{base_id, file_offset};
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  return Find(shard, key);
}

CachedBlock BlockCache::GetOrClaim(uint64_t base_id, uint64_t file_offset,
                                   std::unique_ptr<Claim>& claim) {
  const Key key{base_id, file_offset};
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  for (;;) {
    if (CachedBlock block = Find(shard, key)) return block;
    if (!shard.claims.contains(key)) break;
    shard.claim_ended.Wait(shard.mutex);
  }
  claim = std::make_unique<Claim>(&shard, key);
  shard.claims.insert(key);
  return nullptr;
}

void BlockCache::Put(uint64_t base_id, uint64_t file_offset, CachedBlock block) {
  const Key key{base_id, file_offset};
  Shard& shard = ShardOf(key);
  EntryList evicted;  // freed after the lock
  MutexLock lock(shard.mutex);
  if (shard.entries.contains(key)) return;
  shard.bytes += block->size();
  shard.newcomers.push_front({key, std::move(block), ++shard.put_count});
  shard.entries.emplace(key, shard.newcomers.begin());
  while (shard.bytes > shard_limit_bytes_ && shard.entries.size() > 1) {
    // Not the one that has just come.
    EntryList& list = shard.newcomers.size() > 1 ? shard.newcomers : shard.kept;
    const auto last = std::prev(list.end());
    shard.bytes -= last->block->size();
    if (last->is_kept) shard.kept_bytes -= last->block->size();
    shard.entries.erase(last->key);
    evicted.splice(evicted.begin(), list, last);
  }
}

}  // namespace gzipfs
