// Whole blocks that come in one request of the kernel's writeback cache are compressed by
// the thread that serves the request, from where the request's bytes are: no copy, no
// hand-off, and as many at a time as there are requests under way. They become part of the
// file as members only (a packed block).
#include "fs/store/content_impl.h"

namespace gzipfs {

// The member of a whole block `plain` that somebody read and now writes again; null when
// none is known. Who chose a level wants that one.
std::shared_ptr<const EncodedBlock> ContentImpl::FindSeen(std::span<const std::byte> plain) {
  if (plain.size() != block_bytes_ || !store_.is_level_auto()) return nullptr;
  std::optional<EncodedBlock> seen = store_.seen_members().Find(plain, profile_);
  return seen ? std::make_shared<const EncodedBlock>(std::move(*seen)) : nullptr;
}

// Whether the thread that serves a request compresses its blocks at `level`. What takes long
// is better shared out among the workers, unless they have more than they can do: handing it
// over would then cost a copy and gain nothing. (Under level=auto what is dense comes slowly.)
bool ContentImpl::Packs(int level) const {
  if (level == kLevelFast) return true;
  return !store_.is_level_auto() && store_.pool().HasBacklog();
}

// Whether packed blocks from `plain_offset` on can become part of the file: else they would
// be compressed for nothing, and once more by a worker.
bool ContentImpl::TakesPacked(uint64_t plain_offset) const {
  return mode_ == Mode::kAppend && plain_offset >= base_plain_ && base_->is_conforming() &&
         !has_redo_;
}

// Compresses every block that lies wholly in [plain_offset, plain_offset + bytes.size()),
// if that is to be done here.
ContentImpl::PackedBlocks ContentImpl::PackWholeBlocks(uint64_t plain_offset,
                                                       std::span<const std::byte> bytes,
                                                       int level) {
  PackedBlocks packed;
  if (!Packs(level)) return packed;
  const uint64_t begin = RoundUp(plain_offset, block_bytes_);
  const uint64_t end = RoundDown(plain_offset + bytes.size(), block_bytes_);
  {
    MutexLock lock(mutex_);
    if (!TakesPacked(begin)) return packed;
  }
  const DirtyBudget::Progress progress(store_.budget());
  for (uint64_t at = begin; at < end; at += block_bytes_) {
    const auto plain = bytes.subspan(at - plain_offset, block_bytes_);
    std::shared_ptr<const EncodedBlock> members = FindSeen(plain);
    if (!members) {
      members = std::make_shared<EncodedBlock>(EncodeBlock(profile_, level, plain));
    }
    packed.emplace(at / block_bytes_, std::move(members));
  }
  return packed;
}

// Makes the packed block at `block_index` part of the file. False if there is none, or
// if it would be in the way of something: what is there already takes the bytes then.
bool ContentImpl::TakePacked(uint64_t block_index, PackedBlocks& packed,
                             uint64_t& reserved_bytes) {
  const auto found = packed.find(block_index);
  if (found == packed.end()) return false;
  if (!TakesPacked(BlockStart(block_index)) || blocks_.contains(block_index)) return false;
  auto block = std::make_shared<DirtyBlock>(block_index, block_bytes_, std::move(found->second),
                                            store_.budget());
  // What it does not need of the whole block that was reserved for it goes back.
  reserved_bytes -= block->charged_bytes;
  blocks_.emplace(block_index, std::move(block));
  packed.erase(found);
  return true;
}

}  // namespace gzipfs
