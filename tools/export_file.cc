// The joined stream needs no look ahead: an empty last block ends it.
#include "tools/export_file.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "codec/base/endian.h"
#include "codec/codec.h"
#include "codec/member_header.h"
#include "fs/sys/process.h"
#include "fs/sys/stream.h"
#include "tools/messages.h"
#include "tools/plain_stream.h"

namespace gzipfs {
namespace {

std::array<std::byte, kMinHeaderBytes> SingleHeader(int64_t mtime) {
  std::array<std::byte, kMinHeaderBytes> header{};
  header[0] = kGzipId1;
  header[1] = kGzipId2;
  header[2] = kMethodDeflate;
  if (mtime > 0 && mtime <= std::numeric_limits<uint32_t>::max())
    StoreLe32(&header[kPayloadOffset], static_cast<uint32_t>(mtime));
  header[9] = kOsUnknown;
  return header;
}

std::string DescribeBad(const PassedMember& bad) {
  if (bad.error == DataError::kNotGzip && bad.file_offset == 0) return Describe(bad.error);
  return fmt::format("member at file offset {} (plain offset {}): {}", bad.file_offset,
                     bad.plain_offset, Describe(bad.error));
}

class Exporter {
 public:
  Exporter(const ByteSource& source, const ExportOptions& options, int out_fd)
      : source_(source), options_(options), out_fd_(out_fd) {}

  tl::expected<void, std::string> Run(int64_t mtime) {
    const bool is_single = options_.form == ExportForm::kSingleMember;
    if (is_single) Write(SingleHeader(mtime));
    if (source_.Size() > 0) CopyMembers();
    if (is_single && failure_.empty()) {
      Write(kEmptyDeflate);
      std::array<std::byte, kTrailerBytes> trailer;
      EncodeTrailer({.crc32 = joined_.crc32,
                     .plain_bytes = static_cast<uint32_t>(joined_.plain_bytes)}, trailer);
      Write(trailer);
    }
    if (!failure_.empty()) return tl::unexpected(failure_);
    return {};
  }

 private:
  void CopyMembers() {
    const bool is_single = options_.form == ExportForm::kSingleMember;
    PlainStream stream(source_, options_.pool, {}, ~uint64_t{0},
                       is_single ? PlainStream::Keep::kDeflate : PlainStream::Keep::kPlain);
    while (failure_.empty()) {
      const Result<std::optional<PlainPiece>> piece = stream.Next();
      if (!piece) failure_ = Describe(piece.error());
      if (!piece || !*piece) break;
      Write(is_single ? (*piece)->deflate : (*piece)->plain);
      Account(**piece);
    }
  }

  void Account(const PlainPiece& piece) {
    if (const PassedMember* bad = piece.FirstBad(); bad != nullptr && failure_.empty())
      failure_ = DescribeBad(*bad);
    joined_.crc32 =
        CombineCrc32(joined_.crc32, piece.joined.crc32, piece.joined.plain_bytes);
    joined_.plain_bytes += piece.joined.plain_bytes;
    uint64_t stored_bytes = 0;
    for (const PassedMember& member : piece.members) stored_bytes += member.member_bytes;
    if (options_.done_bytes != nullptr) *options_.done_bytes += stored_bytes;
    if (WasInterrupted() && failure_.empty()) failure_ = "interrupted";
  }

  void Write(std::span<const std::byte> bytes) {
    if (!failure_.empty()) return;
    const Result<void> written = WriteStream(out_fd_, bytes);
    if (!written) failure_ = "cannot write: " + Describe(written.error());
  }

  const ByteSource& source_;
  const ExportOptions& options_;
  const int out_fd_;
  JoinedPart joined_;
  std::string failure_;
};

}  // namespace

tl::expected<void, std::string> ExportGzip(const ByteSource& source, const ExportOptions& options,
                                           int64_t mtime, int out_fd) {
  return Exporter(source, options, out_fd).Run(mtime);
}

}  // namespace gzipfs
