// Each slot has the last member whose print leads to it.
#include "fs/store/seen_members.h"

#include <cstring>

#include "codec/member_header.h"

namespace gzipfs {

// From some of the bytes: whether all are the same is seen by decoding.
uint64_t SeenMembers::PrintOf(std::span<const std::byte> plain) {
  constexpr size_t kSampleCount = 32;
  const size_t step = (plain.size() - sizeof(uint64_t)) / (kSampleCount - 1);
  uint64_t print = plain.size();
  for (size_t i = 0; i < kSampleCount; ++i) {
    uint64_t sample;
    std::memcpy(&sample, plain.data() + i * step, sizeof(sample));
    // The multiplier of splitmix64, by which every bit moves the upper ones.
    print = (print ^ sample) * 0xbf58476d1ce4e5b9;
    print ^= print >> 31;
  }
  return print;
}

SeenMembers::OpenBase::OpenBase(SeenMembers& seen, const struct stat& attributes,
                                std::shared_ptr<const UniqueFd> fd)
    : seen_(seen), id_{attributes.st_dev, attributes.st_ino}, fd_(std::move(fd)) {
  FileShard& shard = seen_.FilesOf(id_);
  const MutexLock lock(shard.mutex);
  shard.open.insert_or_assign(id_, fd_);
}

// Another one of the same file may have taken its place.
SeenMembers::OpenBase::~OpenBase() {
  FileShard& shard = seen_.FilesOf(id_);
  const MutexLock lock(shard.mutex);
  const auto found = shard.open.find(id_);
  if (found == shard.open.end()) return;
  if (const auto fd = found->second.lock(); !fd || fd == fd_) shard.open.erase(found);
}

std::shared_ptr<const UniqueFd> SeenMembers::FdOf(const FileId& id) {
  FileShard& shard = FilesOf(id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.open.find(id);
  return found != shard.open.end() ? found->second.lock() : nullptr;
}

void SeenMembers::Note(std::span<const std::byte> plain, Profile profile, const OpenBase& base,
                       uint64_t file_offset, uint32_t member_bytes) {
  if (plain.size() < sizeof(uint64_t)) return;
  const uint64_t print = PrintOf(plain);
  SlotShard& shard = SlotsOf(print);
  const MutexLock lock(shard.mutex);
  if (shard.slots.empty()) shard.slots.resize(kSlotCount / kShardCount);
  shard.slots[PlaceOf(print)] = {print, base.id_, file_offset, member_bytes, profile};
}

std::optional<EncodedBlock> SeenMembers::Find(std::span<const std::byte> plain,
                                              Profile profile) {
  if (plain.size() < sizeof(uint64_t)) return std::nullopt;
  const uint64_t print = PrintOf(plain);
  Slot slot;
  {
    SlotShard& shard = SlotsOf(print);
    const MutexLock lock(shard.mutex);
    if (shard.slots.empty()) return std::nullopt;
    slot = shard.slots[PlaceOf(print)];
  }
  if (slot.print != print || slot.profile != profile) return std::nullopt;
  // Others may make members that are larger than ours can be.
  if (slot.member_bytes > MaxEncodedBytes(profile, plain.size())) return std::nullopt;
  const std::shared_ptr<const UniqueFd> fd = FdOf(slot.file);
  if (!fd) return std::nullopt;

  EncodedBlock block;
  block.bytes.resize(slot.member_bytes);
  const Result<size_t> count = ops_.ReadAt(fd->get(), slot.file_offset, block.bytes);
  if (!count || *count != block.bytes.size()) return std::nullopt;
  const auto header = ParseMemberHeader(block.bytes);
  if (!header || !header->is_exact_shape) return std::nullopt;
  thread_local std::vector<std::byte> decoded;
  if (decoded.size() < plain.size()) decoded.resize(plain.size());
  const std::span again = std::span(decoded).first(plain.size());
  if (!DecodeMember(block.bytes, again)) return std::nullopt;
  if (std::memcmp(again.data(), plain.data(), plain.size()) != 0) return std::nullopt;
  block.members = {{static_cast<uint32_t>(plain.size()), slot.member_bytes}};
  return block;
}

}  // namespace gzipfs
