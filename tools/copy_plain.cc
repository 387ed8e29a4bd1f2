// Pieces come in order, so that writing them one by one is all there is to do.
#include "tools/copy_plain.h"

#include "fs/sys/stream.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

using Kind = CopyFailure::Kind;

// The part of `piece` that lies in `range`.
std::span<const std::byte> Clip(const PlainPiece& piece, PlainRange range) {
  const uint64_t piece_end = piece.plain_offset + piece.plain.size();
  const uint64_t begin = std::max(range.begin, piece.plain_offset);
  const uint64_t end = std::min(range.end, piece_end);
  if (begin >= end) return {};
  return std::span(piece.plain).subspan(begin - piece.plain_offset, end - begin);
}

// What `bad` means for the bytes of `range`; damage outside of it is nobody's business.
tl::expected<void, CopyFailure> Judge(const PassedMember& bad, PlainRange range) {
  const bool is_end = bad.member_bytes == 0;
  if (is_end && bad.error == DataError::kNotGzip && bad.file_offset > 0)
    return tl::unexpected(CopyFailure{Kind::kLeftover, bad.error, bad});
  const bool is_before = !is_end && bad.plain_offset + bad.plain_bytes <= range.begin;
  if (bad.plain_offset >= range.end || is_before) return {};
  return tl::unexpected(CopyFailure{Kind::kData, bad.error, bad});
}

}  // namespace

tl::expected<void, CopyFailure> CopyPlain(const ByteSource& source, CodecPool& pool,
                                          PlainStream::Start start, PlainRange range,
                                          int out_fd) {
  PlainStream stream(source, &pool, start, range.end, PlainStream::Keep::kPlain);
  for (;;) {
    const Result<std::optional<PlainPiece>> piece = stream.Next();
    if (!piece) return tl::unexpected(CopyFailure{Kind::kInput, piece.error(), {}});
    if (!*piece) return {};
    const Result<void> written = WriteStream(out_fd, Clip(**piece, range));
    if (!written) return tl::unexpected(CopyFailure{Kind::kOutput, written.error(), {}});
    const PassedMember* bad = (*piece)->FirstBad();
    if (bad == nullptr) continue;
    if (auto verdict = Judge(*bad, range); !verdict) return verdict;
  }
}

std::string DescribeFailure(const CopyFailure& failure, std::string_view input_name,
                            std::string_view output_name) {
  const std::string reason = Describe(failure.code);
  const PassedMember& member = failure.member;
  switch (failure.kind) {
    case Kind::kInput: return fmt::format("{}: {}", input_name, reason);
    case Kind::kOutput: return fmt::format("cannot write to {}: {}", output_name, reason);
    case Kind::kLeftover:
      return fmt::format("{}: what follows the data, from file offset {} on, is not gzip; ignored",
                         input_name, member.file_offset);
    case Kind::kData: break;
  }
  const bool is_nothing = member.file_offset == 0 && member.plain_bytes == 0;
  if (is_nothing && failure.code == DataError::kTruncated)
    return fmt::format("{}: empty, or ends inside the first gzip header", input_name);
  if (failure.code == DataError::kNotGzip) return fmt::format("{}: {}", input_name, reason);
  return fmt::format("{}: member at file offset {} (plain offset {}): {}", input_name,
                     member.file_offset, member.plain_offset, reason);
}

int ExitStatusOf(const CopyFailure& failure) {
  return failure.kind == Kind::kLeftover ? kExitLeftover : kExitFailure;
}

}  // namespace gzipfs
