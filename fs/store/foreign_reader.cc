// A cursor over one foreign member at a time.
#include "fs/store/foreign_reader.h"

#include <algorithm>
#include <cstring>

#include "codec/base/units.h"

namespace gzipfs {
namespace {

constexpr uint64_t kPieceBytes = 64 * kKiB;

}  // namespace

Result<CachedBlock> ForeignReader::DecodeTo(const MemberInfo& member, uint64_t cache_id,
                                            uint64_t piece_index) {
  const uint64_t begin = piece_index * kPieceBytes;
  if (!stream_ || file_offset_ != member.file_offset || stream_->plain_position() > begin) {
    stream_.emplace(source_, member.file_offset, member.file_end());
    file_offset_ = member.file_offset;
  }
  for (;;) {
    const uint64_t at = stream_->plain_position();
    const uint64_t count = std::min(kPieceBytes, member.plain_bytes - at);
    auto piece = std::make_shared<std::vector<std::byte>>(count);
    Result<size_t> read = stream_->Read(*piece);
    if (!read || *read != count) {
      stream_.reset();
      return Fail(read ? make_error_code(DataError::kBadSize) : read.error());
    }
    cache_.Put(cache_id, member.plain_offset + at, piece);
    if (at == begin) return CachedBlock(std::move(piece));
  }
}

Result<CachedBlock> ForeignReader::Piece(const MemberInfo& member, uint64_t cache_id,
                                         uint64_t piece_index) {
  const uint64_t key = member.plain_offset + piece_index * kPieceBytes;
  if (CachedBlock piece = cache_.Get(cache_id, key)) return piece;
  MutexLock lock(mutex_);
  if (CachedBlock piece = cache_.Get(cache_id, key)) return piece;
  return DecodeTo(member, cache_id, piece_index);
}

Result<void> ForeignReader::Read(const MemberInfo& member, uint64_t cache_id, uint64_t skip,
                                 std::span<std::byte> out) {
  while (!out.empty()) {
    Result<CachedBlock> piece = Piece(member, cache_id, skip / kPieceBytes);
    if (!piece) return Fail(piece.error());
    const uint64_t within = skip % kPieceBytes;
    const size_t count = std::min<uint64_t>(out.size(), (*piece)->size() - within);
    std::memcpy(out.data(), (*piece)->data() + within, count);
    out = out.subspan(count);
    skip += count;
  }
  return {};
}

}  // namespace gzipfs
