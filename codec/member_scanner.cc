// Hopping costs one read per member: it takes the trailer of one and, in the
// same window, the header of the next.
#include "codec/member_scanner.h"

#include <algorithm>

#include "codec/codec.h"

namespace gzipfs {
namespace {

// Trailer and next header are 28 bytes; the rest serves runs of tiny members.
constexpr size_t kHopReadBytes = 4 * kKiB;
constexpr size_t kEmptyReadBytes = 64 * kKiB;
// An input piece of a stream; the first is small because the member may be.
constexpr size_t kFirstStreamReadBytes = 4 * kKiB;
constexpr size_t kMaxStreamReadBytes = 64 * kKiB;
// Plain bytes decoded at once when only the member's end is wanted.
constexpr size_t kDiscardBytes = 512 * kKiB;
// FNAME and FCOMMENT have no bound in RFC 1952. Nobody needs more than this.
constexpr size_t kMaxHeaderBytes = kMiB;
// Profile large can say 4 GiB, but no compressor makes more than a few bytes
// too many of the largest block. Whoever reads a member as a whole needs so
// much memory.
constexpr uint64_t kMaxHopMemberBytes = 2 * kMaxLargeBlockBytes;

constexpr uint64_t MaxHopPlainBytes(Profile profile) {
  return profile == Profile::kBgzf ? kBgzfBlockBytes : kMaxLargeBlockBytes;
}

}  // namespace

Result<MemberHeader> PeekMemberHeader(ByteWindow& window, uint64_t offset, size_t read_bytes) {
  size_t wanted_bytes = EmptyMemberBytes(Profile::kLarge);
  for (;;) {
    const Result<std::span<const std::byte>> bytes =
        window.Peek(offset, wanted_bytes, read_bytes);
    if (!bytes) return Fail(bytes.error());
    Result<MemberHeader> header = ParseMemberHeader(*bytes);
    if (header || header.error() != DataError::kTruncated) return header;
    if (bytes->size() < wanted_bytes) return header;  // nothing follows
    if (wanted_bytes >= kMaxHeaderBytes) return Fail(DataError::kBadHeader);
    wanted_bytes = std::min(2 * bytes->size(), kMaxHeaderBytes);
  }
}

Result<MemberTrailer> PeekTrailer(ByteWindow& window, uint64_t offset, size_t read_bytes) {
  const Result<std::span<const std::byte>> bytes =
      window.Peek(offset, kTrailerBytes, read_bytes);
  if (!bytes) return Fail(bytes.error());
  if (bytes->size() < kTrailerBytes) return Fail(DataError::kTruncated);
  return ParseTrailer(*bytes);
}

MemberScanner::MemberScanner(const ByteSource& source, uint64_t file_offset,
                             uint64_t plain_offset, uint64_t file_limit)
    : source_(source),
      file_limit_(file_limit),
      file_offset_(file_offset),
      plain_offset_(plain_offset),
      read_bytes_(kHopReadBytes),
      window_(source, file_limit) {}

void MemberScanner::ExpectEmptyMembers() { read_bytes_ = kEmptyReadBytes; }

Result<std::optional<MemberInfo>> MemberScanner::Next() {
  if (file_offset_ >= file_limit_) return std::nullopt;
  const Result<MemberInfo> member = Scan();
  if (!member) return Fail(member.error());
  if (member->plain_bytes > kMaxPlainBytes - std::min(plain_offset_, kMaxPlainBytes))
    return Fail(DataError::kTooLarge);
  file_offset_ = member->file_end();
  plain_offset_ = member->plain_end();
  return *member;
}

Result<MemberInfo> MemberScanner::Scan() {
  restarts_.reset();
  const Result<MemberHeader> header = PeekMemberHeader(window_, file_offset_, read_bytes_);
  if (!header) return Fail(header.error());
  return header->profile ? ScanHop(*header) : ScanByDecoding(*header);
}

Result<MemberInfo> MemberScanner::ScanHop(const MemberHeader& header) {
  if (header.member_bytes > file_limit_ - file_offset_) return Fail(DataError::kTruncated);
  if (header.member_bytes > kMaxHopMemberBytes) return ScanByDecoding(header);
  bool is_empty_shape = false;
  if (header.HasEmptyLength()) {
    const size_t member_bytes = header.member_bytes;
    const Result<std::span<const std::byte>> bytes =
        window_.Peek(file_offset_, member_bytes, read_bytes_);
    if (!bytes) return Fail(bytes.error());
    is_empty_shape = ParseEmptyMember(*header.profile, *bytes).has_value();
  }
  const Result<MemberTrailer> trailer =
      PeekTrailer(window_, file_offset_ + header.member_bytes - kTrailerBytes, read_bytes_);
  if (!trailer) return Fail(trailer.error());
  if (trailer->plain_bytes > MaxHopPlainBytes(*header.profile)) return ScanByDecoding(header);
  if (trailer->plain_bytes == 0) GZIPFS_TRY(CheckEmpty(header));
  return MemberInfo{.plain_offset = plain_offset_,
                    .file_offset = file_offset_,
                    .plain_bytes = trailer->plain_bytes,
                    .member_bytes = header.member_bytes,
                    .header_bytes = static_cast<uint32_t>(header.header_bytes),
                    .crc32 = trailer->crc32,
                    .profile = header.profile,
                    .payload = header.payload,
                    .is_empty_shape = is_empty_shape};
}

// Nobody decodes a member without plain bytes. One whose length is wrong would
// hide the members that it reaches over, so a long one is decoded here.
Result<void> MemberScanner::CheckEmpty(const MemberHeader& header) {
  const uint64_t frame_bytes = header.header_bytes + kTrailerBytes;
  if (header.member_bytes == frame_bytes + kEmptyDeflate.size()) return {};
  const Result<MemberInfo> decoded = ScanByDecoding(header);
  restarts_.reset();
  if (!decoded) return Fail(decoded.error());
  return decoded->member_bytes == header.member_bytes ? Result<void>()
                                                      : Fail(DataError::kBadHeader);
}

Result<MemberInfo> MemberScanner::ScanByDecoding(const MemberHeader& header) {
  if (!discard_) discard_ = std::make_unique_for_overwrite<std::byte[]>(kDiscardBytes);
  MemberStream stream(source_, file_offset_, file_limit_, records_restarts_);
  std::error_code failure;
  while (!stream.at_end() && !failure) {
    const Result<size_t> read = stream.Read({discard_.get(), kDiscardBytes});
    if (!read) failure = read.error();
  }
  std::optional<MemberRestarts> restarts = stream.TakeRestarts(failure);
  if (restarts && (failure || restarts->plain_bytes > kRestartPieceBytes))
    restarts_ = std::make_shared<const MemberRestarts>(std::move(*restarts));
  if (failure) return Fail(failure);
  return MemberInfo{.plain_offset = plain_offset_,
                    .file_offset = file_offset_,
                    .plain_bytes = stream.plain_position(),
                    .member_bytes = stream.file_position() - file_offset_,
                    .header_bytes = static_cast<uint32_t>(header.header_bytes),
                    .crc32 = stream.crc32(),
                    .profile = std::nullopt,
                    .payload = header.payload};
}

struct MemberStream::State {
  State(const ByteSource& bytes, uint64_t first_byte, uint64_t file_limit, bool records)
      : window(bytes, file_limit), source(bytes), member_offset(first_byte),
        records_restarts(records), file_offset(first_byte) {}

  Result<void> Begin();
  Result<size_t> Read(std::span<std::byte> out);
  Result<size_t> Step(std::span<std::byte> out);
  Result<void> Finish();

  ByteWindow window;
  const ByteSource& source;
  const uint64_t member_offset;
  const bool records_restarts;
  std::optional<RestartRecorder> recorder;
  std::unique_ptr<StreamDecompressor> own_decompressor;
  StreamDecompressor* decompressor = nullptr;  // null before the header is read
  size_t read_bytes = kFirstStreamReadBytes;
  uint64_t file_offset;   // of the next byte to look at
  uint64_t plain_bytes = 0;
  uint32_t crc = 0;
  bool is_finished = false;
  std::error_code failure;
};

// Passes the header.
Result<void> MemberStream::State::Begin() {
  const Result<MemberHeader> header = PeekMemberHeader(window, file_offset, kHopReadBytes);
  if (!header) return Fail(header.error());
  file_offset += header->header_bytes;
  if (records_restarts) {
    recorder.emplace(source, member_offset, file_offset);
    decompressor = &recorder->decompressor();
  } else {
    own_decompressor = MakeStreamDecompressor();
    decompressor = own_decompressor.get();
  }
  return {};
}

Result<size_t> MemberStream::State::Read(std::span<std::byte> out) {
  if (!decompressor) GZIPFS_TRY(Begin());
  size_t produced = 0;
  while (produced < out.size() && !is_finished) {
    const Result<size_t> piece = Step(out.subspan(produced));
    if (!piece) return piece;
    if (!recorder) crc = Crc32(crc, out.subspan(produced, *piece));
    plain_bytes += *piece;
    produced += *piece;
    if (is_finished) GZIPFS_TRY(Finish());
  }
  return produced;
}

// Decodes from one piece of input; sets is_finished at the end of the stream.
Result<size_t> MemberStream::State::Step(std::span<std::byte> out) {
  const Result<std::span<const std::byte>> input = window.Peek(file_offset, 1, read_bytes);
  if (!input) return Fail(input.error());
  const auto given =
      recorder ? input->first(std::min(input->size(), recorder->MaxInputBytes())) : *input;
  const Result<StreamDecompressor::Progress> progress = decompressor->Inflate(given, out);
  if (!progress) return Fail(progress.error());
  if (recorder) recorder->Note(*progress, out.first(progress->produced));
  if (progress->consumed == 0 && progress->produced == 0 && !progress->at_end)
    return Fail(input->empty() ? DataError::kTruncated : DataError::kBadDeflate);
  if (progress->consumed == input->size())
    read_bytes = std::min(2 * read_bytes, kMaxStreamReadBytes);
  file_offset += progress->consumed;
  if (progress->at_end) {
    file_offset -= progress->overrun;
    is_finished = true;
  }
  return progress->produced;
}

// Checks the trailer.
Result<void> MemberStream::State::Finish() {
  const Result<MemberTrailer> trailer = PeekTrailer(window, file_offset, kHopReadBytes);
  if (!trailer) return Fail(trailer.error());
  if (recorder) crc = recorder->PlainCrc32();
  if (trailer->crc32 != crc) return Fail(DataError::kBadChecksum);
  if (trailer->plain_bytes != static_cast<uint32_t>(plain_bytes))
    return Fail(DataError::kBadSize);
  file_offset += kTrailerBytes;
  return {};
}

MemberStream::MemberStream(const ByteSource& source, uint64_t file_offset, uint64_t file_limit,
                           bool records_restarts)
    : state_(std::make_unique<State>(source, file_offset, file_limit, records_restarts)) {}
MemberStream::~MemberStream() = default;
MemberStream::MemberStream(MemberStream&&) noexcept = default;
MemberStream& MemberStream::operator=(MemberStream&&) noexcept = default;

Result<size_t> MemberStream::Read(std::span<std::byte> out) {
  if (state_->failure) return Fail(state_->failure);
  Result<size_t> produced = state_->Read(out);
  if (!produced) state_->failure = produced.error();
  return produced;
}

uint64_t MemberStream::plain_position() const { return state_->plain_bytes; }
bool MemberStream::at_end() const { return state_->is_finished && !state_->failure; }
uint64_t MemberStream::file_position() const { return state_->file_offset; }
uint32_t MemberStream::crc32() const { return state_->crc; }
std::optional<MemberRestarts> MemberStream::TakeRestarts(std::error_code error) {
  if (!state_->recorder) return std::nullopt;
  return state_->recorder->Finish(error);
}

}  // namespace gzipfs
