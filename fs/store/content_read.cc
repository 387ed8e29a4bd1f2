// Reading: dirty blocks, then the log, then the base, then zeros.
//
// What is in memory is copied under the lock; what has to be fetched is noted
// and fetched after the lock is gone.
#include <algorithm>
#include <cstring>

#include <spdlog/spdlog.h>

#include "fs/store/content_impl.h"

namespace gzipfs {

void ContentImpl::CollectBase(uint64_t plain_offset, std::span<std::byte> out,
                              const BaseView& base, std::vector<PendingRead>& pending) const {
  // What is zeroed splits the range: zeros, and what is between them.
  while (!base.zeros.empty() && !out.empty()) {
    const auto zeroed = base.zeros.FindFrom(plain_offset / block_bytes_);
    const uint64_t begin = zeroed ? BlockStart(zeroed->begin) : ~uint64_t{0};
    if (begin >= plain_offset + out.size()) break;
    const bool is_zeroed = begin <= plain_offset;
    const uint64_t part_end = is_zeroed ? BlockStart(zeroed->end) : begin;
    const auto part = out.first(std::min<uint64_t>(out.size(), part_end - plain_offset));
    if (is_zeroed) {
      std::fill(part.begin(), part.end(), std::byte{0});
    } else {
      CollectBase(plain_offset, part, {base.limit, {}}, pending);
    }
    plain_offset += part.size();
    out = out.subspan(part.size());
  }
  const uint64_t in_base =
      plain_offset < base.limit ? std::min<uint64_t>(out.size(), base.limit - plain_offset) : 0;
  if (in_base > 0) {
    // Neighbouring ranges become one read, which decodes in parallel.
    PendingRead* last = pending.empty() ? nullptr : &pending.back();
    if (last && !last->logged && last->plain_offset + last->out.size() == plain_offset &&
        last->out.data() + last->out.size() == out.data()) {
      last->out = std::span(last->out.data(), last->out.size() + in_base);
    } else {
      pending.push_back({plain_offset, out.first(in_base), nullptr, nullptr});
    }
  }
  std::fill(out.begin() + static_cast<ptrdiff_t>(in_base), out.end(), std::byte{0});
}

void ContentImpl::CollectBlock(const BlockPtr& block, uint64_t block_start, uint32_t begin,
                               uint32_t end, std::span<std::byte> out, const BaseView& base,
                               std::vector<PendingRead>& pending) const {
  if (block == nullptr) {
    CollectBase(block_start + begin, out, base, pending);
    return;
  }
  for (const auto& [from, to, is_valid] : block->valid.Pieces(begin, end)) {
    const std::span part = out.subspan(from - begin, to - from);
    if (!is_valid) {
      CollectBlock(block->beneath, block_start, from, to, part, base, pending);
    } else if (block->data) {
      std::memcpy(part.data(), block->data.get() + from, part.size());
    } else {
      pending.push_back({block_start + from, part, block,
                         block->IsPacked() ? block->encoded : nullptr});
    }
  }
}

void ContentImpl::CollectRange(const BlockMap& blocks, uint64_t plain_offset,
                               std::span<std::byte> out, const BaseView& base,
                               std::vector<PendingRead>& pending) const {
  while (!out.empty()) {
    const uint64_t index = plain_offset / block_bytes_;
    const auto next = blocks.lower_bound(index);
    if (next == blocks.end() || next->first > index) {
      // No dirty block until `next`: all of it is the base's.
      const uint64_t gap_end = next == blocks.end() ? ~uint64_t{0} : BlockStart(next->first);
      const size_t count = std::min<uint64_t>(out.size(), gap_end - plain_offset);
      CollectBase(plain_offset, out.first(count), base, pending);
      plain_offset += count;
      out = out.subspan(count);
      continue;
    }
    const auto begin = static_cast<uint32_t>(plain_offset - BlockStart(index));
    const size_t count = std::min<uint64_t>(out.size(), block_bytes_ - begin);
    CollectBlock(next->second, BlockStart(index), begin,
                 static_cast<uint32_t>(begin + count), out.first(count), base, pending);
    plain_offset += count;
    out = out.subspan(count);
  }
}

// A logged block does not change any more: no lock is needed to look at it.
Result<EncodedBlock> ContentImpl::FetchMembers(const DirtyBlock& logged) {
  EncodedBlock members{std::vector<std::byte>(logged.log_place.byte_count),
                       logged.encoded->members};
  GZIPFS_TRY(logged.log->Read(logged.log_place, members.bytes));
  return members;
}

Result<void> ContentImpl::FetchLogged(const PendingRead& pending) {
  const DirtyBlock& block = *pending.logged;
  const uint64_t begin = pending.plain_offset - BlockStart(block.index);
  uint64_t skip = begin;
  Result<std::vector<std::byte>> plain;
  if (pending.packed) {  // what the block has by now may be in the log
    plain = DecodeBlock(*pending.packed);
  } else if (!block.log) {
    return FetchPieces(block, static_cast<uint32_t>(begin), pending.out);
  } else {
    const Result<EncodedBlock> encoded = FetchMembers(block);
    if (!encoded) return Fail(encoded.error());
    plain = DecodeBlock(*encoded);
    skip -= block.encode_begin;
  }
  if (!plain) return Fail(plain.error());
  if (skip + pending.out.size() > plain->size()) return Fail(DataError::kBadSize);
  std::memcpy(pending.out.data(), plain->data() + skip, pending.out.size());
  return {};
}

Result<void> ContentImpl::Fetch(BaseFile& base, std::span<PendingRead> pending) {
  for (const PendingRead& read : pending) {
    GZIPFS_TRY(read.logged ? FetchLogged(read) : base.Read(read.plain_offset, read.out));
  }
  return {};
}

Result<size_t> ContentImpl::Read(uint64_t plain_offset, std::span<std::byte> out) {
  const Result<size_t> count = ReadLayers(plain_offset, out);
  if (!count && count.error().value() == ESTALE) (void)CheckBase();  // tells why
  return count;
}

Result<size_t> ContentImpl::ReadLayers(uint64_t plain_offset, std::span<std::byte> out) {
  SharedLock base_lock(base_lock_);
  std::vector<PendingRead> pending;
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    if (plain_offset >= plain_bytes_) return 0;
    out = out.first(std::min<uint64_t>(out.size(), plain_bytes_ - plain_offset));
    CollectRange(blocks_, plain_offset, out, CountedBase(), pending);
    base = base_;
  }
  if (Result<void> fetched = Fetch(*base, pending); !fetched) {
    ReportDamage(plain_offset, out.size(), fetched.error());
    return Fail(fetched.error());
  }
  return out.size();
}

// A few lines for each open file: a reader that goes on would fill the log.
void ContentImpl::ReportDamage(uint64_t plain_offset, uint64_t byte_count,
                               std::error_code why) {
  constexpr int kMaxReports = 10;
  if (report_count_.fetch_add(1) >= kMaxReports) return;
  spdlog::error("{}: plain bytes {} to {} cannot be read: {}; 'gzipfs check' names the member",
                place_.Describe(), plain_offset, plain_offset + byte_count, why.message());
}

Result<void> ContentImpl::ReadSnapshot(const Snapshot& snapshot, uint64_t plain_offset,
                                       std::span<std::byte> out) {
  std::vector<PendingRead> pending;
  {
    MutexLock lock(mutex_);
    const BaseView base{snapshot.base_limit, snapshot.zeros};
    CollectRange(snapshot.blocks, plain_offset, out, base, pending);
  }
  return Fetch(*snapshot.base, pending);
}

Result<void> ContentImpl::Complete(const BlockPtr& block, uint32_t begin, uint32_t end) {
  SharedLock base_lock(base_lock_);
  std::vector<PendingRead> pending;
  std::shared_ptr<BaseFile> base;
  {
    MutexLock lock(mutex_);
    const std::span bytes(block->data.get(), block_bytes_);
    for (const auto& [from, to, is_valid] : block->valid.Pieces(begin, end)) {
      if (is_valid) continue;
      CollectBlock(block->beneath, BlockStart(block->index), from, to,
                   bytes.subspan(from, to - from), CountedBase(), pending);
    }
    base = base_;
  }
  GZIPFS_TRY(Fetch(*base, pending));
  MutexLock lock(mutex_);
  block->valid.Add(begin, end);
  return {};
}

}  // namespace gzipfs
