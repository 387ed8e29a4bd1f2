// One byte is held back until it is known whether the next block begins in it.
#include "codec/deflate_joiner.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

#include "codec/byte_window.h"
#include "codec/codec.h"
#include "codec/gzip_format.h"
#include "codec/member_header.h"
#include "codec/member_scanner.h"

namespace gzipfs {
namespace {

constexpr size_t kPlainRoomBytes = 256 * kKiB;
constexpr size_t kJoinReadBytes = 256 * kKiB;
// What inflate leaves in data_type.
constexpr int kUnusedBits = 7;
constexpr int kLastBlock = 64;
constexpr int kAtBlockEnd = 128;
// LEN and NLEN of an empty stored block.
constexpr std::byte kEmptyStored[] = {std::byte{0}, std::byte{0}, std::byte{0xff},
                                      std::byte{0xff}};
constexpr unsigned kBlockHeaderBits = 3;

}  // namespace

struct DeflateJoiner::State {
  State() : room(std::make_unique_for_overwrite<std::byte[]>(kPlainRoomBytes)) {
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~State() { inflateEnd(&stream); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Result<bool> InflateToBoundary();
  void Keep(std::span<const std::byte> consumed);
  void PassBoundary(unsigned unused_bits);
  void End(unsigned unused_bits);

  z_stream stream{};
  std::unique_ptr<std::byte[]> room;  // plain bytes, only looked at
  std::vector<std::byte> open;        // the joined stream, not taken yet
  bool begins_block = true;           // the next byte begins with a block's header
  bool at_end = false;
  uint32_t crc = 0;
  uint64_t plain_bytes = 0;
};

// Decodes until a block ends or the input does; true at the end of a block.
Result<bool> DeflateJoiner::State::InflateToBoundary() {
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(room.get());
    stream.avail_out = kPlainRoomBytes;
    const int status = inflate(&stream, Z_BLOCK);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status != Z_OK && status != Z_BUF_ERROR) return Fail(DataError::kBadDeflate);
    const size_t produced = kPlainRoomBytes - stream.avail_out;
    crc = Crc32(crc, {room.get(), produced});
    plain_bytes += produced;
    if ((stream.data_type & kAtBlockEnd) != 0) return true;
    if (stream.avail_in == 0 && stream.avail_out > 0) return false;
    if (status == Z_BUF_ERROR) return Fail(DataError::kBadDeflate);
  }
}

void DeflateJoiner::State::Keep(std::span<const std::byte> consumed) {
  if (consumed.empty()) return;
  const size_t at = open.size();
  open.insert(open.end(), consumed.begin(), consumed.end());
  if (begins_block) open[at] &= std::byte{0xfe};
  begins_block = false;
}

// A block has ended, and another one begins behind it: in the last byte taken,
// of which `unused_bits` are left, or in the next one.
void DeflateJoiner::State::PassBoundary(unsigned unused_bits) {
  begins_block = unused_bits == 0;
  if (!begins_block) open.back() &= ~(std::byte{1} << (8 - unused_bits));
}

// The last block has ended: the next stream begins with a byte.
void DeflateJoiner::State::End(unsigned unused_bits) {
  at_end = true;
  if (unused_bits == 0) return;
  open.back() &= std::byte{0xff} >> unused_bits;
  if (unused_bits < kBlockHeaderBits) open.push_back(std::byte{0});
  open.insert(open.end(), std::begin(kEmptyStored), std::end(kEmptyStored));
}

DeflateJoiner::DeflateJoiner() : state_(std::make_unique<State>()) {}
DeflateJoiner::~DeflateJoiner() = default;

void DeflateJoiner::Reset() {
  State& state = *state_;
  inflateReset(&state.stream);
  state.open.clear();
  state.begins_block = true;
  state.at_end = false;
  state.crc = 0;
  state.plain_bytes = 0;
}

Result<DeflateJoiner::Progress> DeflateJoiner::Add(std::span<const std::byte> deflate) {
  State& state = *state_;
  z_stream& stream = state.stream;
  size_t consumed = 0;
  while (consumed < deflate.size() && !state.at_end) {
    const auto rest = deflate.subspan(consumed);
    const size_t piece_bytes = std::min<size_t>(rest.size(), std::numeric_limits<uInt>::max());
    // zlib does not write through next_in, but declares it without const.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest.data()));
    stream.avail_in = static_cast<uInt>(piece_bytes);
    const Result<bool> is_boundary = state.InflateToBoundary();
    if (!is_boundary) return Fail(is_boundary.error());
    const size_t taken = piece_bytes - stream.avail_in;
    state.Keep(rest.first(taken));
    consumed += taken;
    if (!*is_boundary) continue;
    const auto unused_bits = static_cast<unsigned>(stream.data_type & kUnusedBits);
    if ((stream.data_type & kLastBlock) != 0) {
      state.End(unused_bits);
    } else {
      state.PassBoundary(unused_bits);
    }
  }
  return Progress{.consumed = consumed, .at_end = state.at_end};
}

void DeflateJoiner::TakeOpen(std::vector<std::byte>* open) {
  std::vector<std::byte>& ready = state_->open;
  const size_t count = state_->at_end || ready.empty() ? ready.size() : ready.size() - 1;
  const auto end = ready.begin() + static_cast<ptrdiff_t>(count);
  open->insert(open->end(), ready.begin(), end);
  ready.erase(ready.begin(), end);
}

uint32_t DeflateJoiner::crc32() const { return state_->crc; }
uint64_t DeflateJoiner::plain_bytes() const { return state_->plain_bytes; }

Result<JoinedPart> JoinMember(std::span<const std::byte> member, std::vector<std::byte>* open) {
  thread_local DeflateJoiner joiner;
  const Result<MemberHeader> header = ParseMemberHeader(member);
  if (!header) return Fail(header.error());
  if (header->profile && header->member_bytes != member.size())
    return Fail(DataError::kBadHeader);
  if (member.size() < header->header_bytes + kTrailerBytes) return Fail(DataError::kTruncated);
  const MemberTrailer trailer = ParseTrailer(member.last(kTrailerBytes));
  const auto deflate =
      member.first(member.size() - kTrailerBytes).subspan(header->header_bytes);
  joiner.Reset();
  const Result<DeflateJoiner::Progress> progress = joiner.Add(deflate);
  if (!progress) return Fail(progress.error());
  if (!progress->at_end) return Fail(DataError::kBadDeflate);
  if (progress->consumed != deflate.size() ||
      trailer.plain_bytes != static_cast<uint32_t>(joiner.plain_bytes()))
    return Fail(DataError::kBadSize);
  if (trailer.crc32 != joiner.crc32()) return Fail(DataError::kBadChecksum);
  if (joiner.plain_bytes() > 0) joiner.TakeOpen(open);
  return JoinedPart{.crc32 = joiner.crc32(), .plain_bytes = joiner.plain_bytes()};
}

struct MemberJoinStream::State {
  State(const ByteSource& source, uint64_t member_offset)
      : window(source, ~uint64_t{0}), file_offset(member_offset) {}

  Result<void> Read(std::vector<std::byte>* out);
  Result<void> Finish();

  ByteWindow window;
  DeflateJoiner joiner;
  uint64_t file_offset;  // of the next byte to look at
  bool is_begun = false;
  bool is_finished = false;
  std::error_code failure;
};

Result<void> MemberJoinStream::State::Read(std::vector<std::byte>* out) {
  if (!is_begun) {
    const Result<MemberHeader> header = PeekMemberHeader(window, file_offset, kJoinReadBytes);
    if (!header) return Fail(header.error());
    file_offset += header->header_bytes;
    is_begun = true;
  }
  const Result<std::span<const std::byte>> input = window.Peek(file_offset, 1, kJoinReadBytes);
  if (!input) return Fail(input.error());
  if (input->empty()) return Fail(DataError::kTruncated);
  const Result<DeflateJoiner::Progress> progress = joiner.Add(*input);
  if (!progress) return Fail(progress.error());
  file_offset += progress->consumed;
  if (progress->at_end) GZIPFS_TRY(Finish());
  joiner.TakeOpen(out);
  return {};
}

Result<void> MemberJoinStream::State::Finish() {
  const Result<MemberTrailer> trailer = PeekTrailer(window, file_offset, kJoinReadBytes);
  if (!trailer) return Fail(trailer.error());
  if (trailer->crc32 != joiner.crc32()) return Fail(DataError::kBadChecksum);
  if (trailer->plain_bytes != static_cast<uint32_t>(joiner.plain_bytes()))
    return Fail(DataError::kBadSize);
  file_offset += kTrailerBytes;
  is_finished = true;
  return {};
}

MemberJoinStream::MemberJoinStream(const ByteSource& source, uint64_t file_offset)
    : state_(std::make_unique<State>(source, file_offset)) {}
MemberJoinStream::~MemberJoinStream() = default;
MemberJoinStream::MemberJoinStream(MemberJoinStream&&) noexcept = default;
MemberJoinStream& MemberJoinStream::operator=(MemberJoinStream&&) noexcept = default;

Result<void> MemberJoinStream::Read(std::vector<std::byte>* open) {
  if (state_->failure) return Fail(state_->failure);
  Result<void> read = state_->Read(open);
  if (!read) state_->failure = read.error();
  return read;
}

bool MemberJoinStream::at_end() const { return state_->is_finished; }
uint64_t MemberJoinStream::file_position() const { return state_->file_offset; }
JoinedPart MemberJoinStream::part() const {
  return {.crc32 = state_->joiner.crc32(), .plain_bytes = state_->joiner.plain_bytes()};
}

}  // namespace gzipfs
