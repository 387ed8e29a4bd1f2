// Cutting copies each member into its batch: the copy is small beside the
// decoding, and a batch then owns all it needs.
#include "tools/plain_stream.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "codec/member.h"
#include "codec/reference_decoder.h"
#include "tools/pipe_source.h"

namespace gzipfs {
namespace {

constexpr size_t kReadBytes = kMiB;
constexpr size_t kHeaderPeekBytes = 256;
constexpr size_t kMaxHeaderBytes = kMiB;       // FNAME and FCOMMENT have no bound of their own
constexpr uint64_t kBatchStoredBytes = 512 * kKiB;
constexpr uint64_t kBatchPlainBytes = 2 * kMiB;
// Members with a length are decoded as a whole up to this size; MiGz and mgzip
// write longer ones, which are streamed.
constexpr uint64_t kMaxHopBytes = kMaxLargeBlockBytes + kMaxLargeBlockBytes / 8;
static_assert(2 * kMaxHopBytes <= kPipeRetainBytes, "a pipe must still have the last member");
constexpr size_t kStreamPieceBytes = kMiB;

}  // namespace

const PassedMember* PlainPiece::FirstBad() const {
  const auto bad = std::find_if(members.begin(), members.end(),
                                [](const PassedMember& member) { return bool{member.error}; });
  return bad == members.end() ? nullptr : &*bad;
}

// Consecutive members to decode together.
struct PlainStream::Batch {
  std::vector<std::byte> stored;   // the members that are to be decoded, one after the other
  PlainPiece piece;                // its members already described
  uint64_t plain_bytes = 0;
};

// Owns its batch and deletes itself. `results` must outlive it.
class PlainStream::DecodeJob final : public Job {
 public:
  DecodeJob(std::unique_ptr<Batch> batch, Keep keep, Proof proof,
            OrderedResults<Result<PlainPiece>>& results)
      : batch_(std::move(batch)), keep_(keep), proof_(proof), results_(results) {}

  // Before it is submitted: from here on a result has to come.
  void Reserve() { serial_ = results_.NextSerial(); }

  void Run() override {
    try {
      if (keep_ == Keep::kDeflate) {
        Join();
      } else {
        Decode();
      }
      const size_t joined_bytes = batch_->piece.deflate.size();
      CodecPool::CountBytes(batch_->stored.size(),
                            keep_ == Keep::kDeflate ? joined_bytes : batch_->plain_bytes);
      results_.Put(serial_, std::move(batch_->piece));
    } catch (const std::bad_alloc&) {
      results_.Put(serial_, Fail(ENOMEM));
    }
    delete this;
  }

 private:
  void Join() {
    PlainPiece& piece = batch_->piece;
    size_t stored_at = 0;
    for (PassedMember& member : piece.members) {
      if (member.error) return;
      const auto stored = std::span(batch_->stored).subspan(stored_at, member.member_bytes);
      stored_at += member.member_bytes;
      const Result<JoinedPart> part = JoinMember(stored, &piece.deflate);
      if (!part) {
        member.error = part.error();
        return;
      }
      piece.joined.crc32 = CombineCrc32(piece.joined.crc32, part->crc32, part->plain_bytes);
      piece.joined.plain_bytes += part->plain_bytes;
    }
  }

  void Decode() {
    PlainPiece& piece = batch_->piece;
    std::vector<std::byte> plain(batch_->plain_bytes);
    size_t stored_at = 0;
    size_t plain_at = 0;
    std::optional<size_t> good_bytes;
    for (PassedMember& member : piece.members) {
      if (!member.error) {
        const auto stored = std::span(batch_->stored).subspan(stored_at, member.member_bytes);
        const auto out = std::span(plain).subspan(plain_at, member.plain_bytes);
        Result<void> decoded = DecodeMember(stored, out);
        if (decoded && proof_ == Proof::kTwice) decoded = CheckByReference(stored, out);
        if (!decoded) member.error = decoded.error();
        stored_at += member.member_bytes;
      }
      if (member.error && !good_bytes) good_bytes = plain_at;
      plain_at += member.plain_bytes;
    }
    if (keep_ == Keep::kVerdicts) return;
    plain.resize(good_bytes.value_or(plain_at));
    piece.plain = std::move(plain);
  }

  std::unique_ptr<Batch> batch_;
  const Keep keep_;
  const Proof proof_;
  uint64_t serial_ = 0;
  OrderedResults<Result<PlainPiece>>& results_;
};

PlainStream::PlainStream(const ByteSource& source, CodecPool* pool, Start start,
                         uint64_t plain_end, Keep keep, Proof proof)
    : source_(source),
      pool_(pool),
      plain_end_(plain_end),
      keep_(keep),
      proof_(proof),
      max_pending_(pool == nullptr ? 1 : 2 * pool->worker_count() + 2),
      position_(start) {}

PlainStream::~PlainStream() {
  while (results_.pending() > 0) results_.Take();
}

Result<std::optional<PlainPiece>> PlainStream::Next() {
  GZIPFS_TRY(Fill());
  if (results_.pending() > 0) {
    Result<PlainPiece> piece = results_.Take();
    if (!piece) return Fail(piece.error());
    return std::move(*piece);
  }
  if (!stream_) return std::nullopt;
  Result<PlainPiece> piece = keep_ == Keep::kDeflate ? JoinHere() : DecodeHere();
  if (!piece) return Fail(piece.error());
  return std::move(*piece);
}

// Cuts batches until enough are under way, the stream ends, or a member comes
// that has to be decoded in its place.
Result<void> PlainStream::Fill() {
  while (!is_finished_ && !stream_ && results_.pending() < max_pending_) GZIPFS_TRY(CutBatch());
  return {};
}

// The source from position_ on, at least `min_bytes` unless it ends before.
Result<std::span<const std::byte>> PlainStream::Peek(size_t min_bytes) {
  const uint64_t window_end = window_offset_ + window_bytes_;
  if (position_.file_offset < window_offset_ || position_.file_offset > window_end) {
    window_offset_ = position_.file_offset;
    window_bytes_ = 0;
  }
  size_t skip = position_.file_offset - window_offset_;
  if (window_bytes_ - skip < min_bytes) {
    if (window_bytes_ > skip)
      std::memmove(window_.data(), window_.data() + skip, window_bytes_ - skip);
    window_offset_ += skip;
    window_bytes_ -= skip;
    skip = 0;
    const size_t room = std::max(min_bytes, kReadBytes);
    if (window_.size() < room) window_.resize(room);
    const auto rest = std::span(window_).subspan(window_bytes_);
    const Result<size_t> count = source_.ReadAt(window_offset_ + window_bytes_, rest);
    if (!count) return Fail(count.error());
    window_bytes_ += *count;
  }
  return std::span<const std::byte>(window_.data(), window_bytes_).subspan(skip);
}

Result<MemberHeader> PlainStream::PeekHeader() {
  for (size_t wanted = kHeaderPeekBytes;; wanted = kMaxHeaderBytes) {
    const Result<std::span<const std::byte>> bytes = Peek(wanted);
    if (!bytes) return Fail(bytes.error());
    Result<MemberHeader> header = ParseMemberHeader(*bytes);
    if (header || header.error() != DataError::kTruncated) return header;
    if (bytes->size() < wanted) return header;
    if (wanted == kMaxHeaderBytes) return Fail(DataError::kBadHeader);
  }
}

Result<void> PlainStream::CutBatch() {
  auto batch = std::make_unique<Batch>();
  batch->piece.plain_offset = position_.plain_offset;
  for (bool goes_on = true; goes_on;) {
    const Result<bool> cut = CutMember(*batch);
    if (!cut) return Fail(cut.error());
    goes_on = *cut && batch->stored.size() < kBatchStoredBytes &&
              batch->plain_bytes < kBatchPlainBytes;
  }
  if (!batch->piece.members.empty()) Submit(std::move(batch));
  return {};
}

// Moves the member at position_ into `batch`; false when the batch ends here.
Result<bool> PlainStream::CutMember(Batch& batch) {
  if (position_.plain_offset >= plain_end_) {
    is_finished_ = true;
    return false;
  }
  const Result<std::span<const std::byte>> at_hand = Peek(1);
  if (!at_hand) return Fail(at_hand.error());
  if (at_hand->empty()) {
    if (position_.file_offset == 0) StopAt(DataError::kTruncated, batch);
    is_finished_ = true;
    return false;
  }
  const Result<MemberHeader> header = PeekHeader();
  if (!header) {
    if (header.error().category() == std::system_category()) return Fail(header.error());
    StopAt(header.error(), batch);
    return false;
  }
  const bool is_short = header->profile && header->member_bytes <= kMaxHopBytes;
  const Result<std::span<const std::byte>> bytes = Peek(is_short ? header->member_bytes : 1);
  if (!bytes) return Fail(bytes.error());
  if (is_short && bytes->size() < header->member_bytes) {
    StopAt(DataError::kTruncated, batch);
    return false;
  }
  if (!is_short || !IsHop(*header, bytes->first(header->member_bytes))) {
    // Not before everything that was cut already has been given out.
    if (batch.piece.members.empty())
      stream_.emplace(source_, position_.file_offset, ~uint64_t{0});
    return false;
  }
  const std::span<const std::byte> member = bytes->first(header->member_bytes);
  batch.piece.members.push_back(DescribeHop(*header, member));
  batch.stored.insert(batch.stored.end(), member.begin(), member.end());
  batch.plain_bytes += batch.piece.members.back().plain_bytes;
  Advance(batch.piece.members.back());
  return true;
}

// True when the member, whose length is known, can be decoded as a whole.
bool PlainStream::IsHop(const MemberHeader& header, std::span<const std::byte> member) const {
  return member.size() >= header.header_bytes + kTrailerBytes &&
         ParseTrailer(member.last(kTrailerBytes)).plain_bytes <= kMaxHopBytes;
}

PassedMember PlainStream::DescribeHop(const MemberHeader& header,
                                      std::span<const std::byte> member) const {
  PassedMember passed{.plain_offset = position_.plain_offset,
                      .file_offset = position_.file_offset,
                      .plain_bytes = ParseTrailer(member.last(kTrailerBytes)).plain_bytes,
                      .member_bytes = member.size(),
                      .is_tail = false,
                      .is_marker = false,
                      .error = {}};
  if (header.HasEmptyLength()) {
    const std::optional<Payload> payload = ParseEmptyMember(*header.profile, member);
    passed.is_marker = payload == kEofPayload;
    passed.is_tail = payload && !passed.is_marker;
  }
  return passed;
}

void PlainStream::Advance(const PassedMember& member) {
  position_.file_offset += member.member_bytes;
  position_.plain_offset += member.plain_bytes;
}

// Ends the stream: what stands at position_ is no complete member.
void PlainStream::StopAt(std::error_code reason, Batch& batch) {
  batch.piece.members.push_back({.plain_offset = position_.plain_offset,
                                 .file_offset = position_.file_offset,
                                 .error = reason});
  is_finished_ = true;
}

void PlainStream::Submit(std::unique_ptr<Batch> batch) {
  auto* job = new DecodeJob(std::move(batch), keep_, proof_, results_);
  job->Reserve();
  if (pool_ == nullptr) {
    job->Run();
  } else {
    pool_->Submit(job);
  }
}

// The next piece of the member at position_, by its MemberStream.
Result<PlainPiece> PlainStream::DecodeHere() {
  PlainPiece piece;
  const uint64_t done_bytes = stream_->plain_position();
  piece.plain_offset = position_.plain_offset + done_bytes;
  piece.plain.resize(kStreamPieceBytes);
  const Result<size_t> count = stream_->Read(piece.plain);
  if (!count && count.error().category() == std::system_category()) return Fail(count.error());
  const uint64_t plain_bytes = stream_->plain_position();
  piece.plain.resize(plain_bytes - done_bytes);
  if (keep_ == Keep::kVerdicts) piece.plain = {};
  PassedMember member{.plain_offset = position_.plain_offset,
                      .file_offset = position_.file_offset,
                      .plain_bytes = plain_bytes,
                      .error = count ? std::error_code{} : count.error()};
  const bool is_enough = position_.plain_offset + plain_bytes >= plain_end_;
  if (count && !stream_->at_end() && !is_enough) return piece;
  is_finished_ = !count || is_enough;
  if (count) member.member_bytes = stream_->file_position() - position_.file_offset;
  if (count && proof_ == Proof::kTwice && stream_->at_end()) {
    const Result<void> again =
        CheckByReference(source_, position_.file_offset, member.member_bytes);
    if (!again && again.error().category() == std::system_category()) return Fail(again.error());
    if (!again) member.error = again.error();
  }
  piece.members.push_back(member);
  Advance(member);
  stream_.reset();
  return piece;
}

// The same for Keep::kDeflate.
Result<PlainPiece> PlainStream::JoinHere() {
  if (!join_stream_) join_stream_.emplace(source_, position_.file_offset);
  const JoinedPart before = join_stream_->part();
  PlainPiece piece;
  piece.plain_offset = position_.plain_offset + before.plain_bytes;
  Result<void> read;
  while (read && !join_stream_->at_end() && piece.deflate.size() < kStreamPieceBytes)
    read = join_stream_->Read(&piece.deflate);
  if (!read && read.error().category() == std::system_category()) return Fail(read.error());
  if (read && !join_stream_->at_end()) return piece;
  piece.joined = join_stream_->part();
  PassedMember member{.plain_offset = position_.plain_offset,
                      .file_offset = position_.file_offset,
                      .plain_bytes = piece.joined.plain_bytes,
                      .error = read ? std::error_code{} : read.error()};
  is_finished_ = !read;
  if (read) member.member_bytes = join_stream_->file_position() - position_.file_offset;
  piece.members.push_back(member);
  Advance(member);
  stream_.reset();
  join_stream_.reset();
  return piece;
}

}  // namespace gzipfs
