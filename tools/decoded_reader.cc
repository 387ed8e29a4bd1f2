// One piece of the stream at a time.
#include "tools/decoded_reader.h"

#include <algorithm>
#include <cstring>

#include "codec/codec.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/process.h"

namespace gzipfs {

Result<size_t> DecodedReader::operator()(std::span<std::byte> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    if (at_ == piece_.plain.size()) {
      const Result<bool> more = Next();
      if (!more) return Fail(more.error());
      if (!*more) break;
    }
    const size_t count = std::min(out.size() - filled, piece_.plain.size() - at_);
    std::memcpy(out.data() + filled, piece_.plain.data() + at_, count);
    at_ += count;
    filled += count;
  }
  return filled;
}

Result<bool> DecodedReader::Next() {
  if (WasInterrupted()) return Fail(ECANCELED);
  Result<std::optional<PlainPiece>> piece = stream_.Next();
  if (!piece) return Fail(piece.error());
  if (!*piece) return false;
  if (const PassedMember* bad = (*piece)->FirstBad()) return Fail(bad->error);
  for (const PassedMember& member : (*piece)->members) done_bytes_ += member.member_bytes;
  piece_ = std::move(**piece);
  at_ = 0;
  return true;
}

Result<bool> ReadsBack(int fd, uint64_t file_bytes, CodecPool* pool, uint32_t crc,
                       uint64_t plain_bytes) {
  const FileSource source(RealFileOps(), fd, file_bytes);
  PlainStream stream(source, pool, {}, ~uint64_t{0}, PlainStream::Keep::kPlain);
  uint32_t read_crc = 0;
  uint64_t read_bytes = 0;
  for (;;) {
    const Result<std::optional<PlainPiece>> piece = stream.Next();
    if (!piece) return Fail(piece.error());
    if (!*piece) break;
    if ((*piece)->FirstBad() != nullptr) return false;
    read_crc = Crc32(read_crc, (*piece)->plain);
    read_bytes += (*piece)->plain.size();
  }
  return read_crc == crc && read_bytes == plain_bytes;
}

}  // namespace gzipfs
