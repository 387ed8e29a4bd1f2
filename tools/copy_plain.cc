// Pieces come in order, so that writing them one by one is all there is to do:
// on a thread of its own, beside the decoding.
#include "tools/copy_plain.h"

#include <algorithm>
#include <deque>
#include <thread>

#include "codec/base/mutex.h"
#include "codec/codec.h"
#include "fs/sys/stream.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

using Kind = CopyFailure::Kind;

using Verdict = tl::expected<void, CopyFailure>;

constexpr size_t kCopyBytes = 256 * kKiB;
// Pieces decoded and not written yet.
constexpr size_t kMaxQueuedPieces = 4;

struct Clip {
  size_t begin = 0;
  size_t length = 0;
};

// The part of `piece` that lies in `range`.
Clip ClipOf(const PlainPiece& piece, PlainRange range) {
  const uint64_t piece_end = piece.plain_offset + piece.plain.size();
  const uint64_t begin = std::max(range.begin, piece.plain_offset);
  const uint64_t end = std::min(range.end, piece_end);
  if (begin >= end) return {};
  return {begin - piece.plain_offset, end - begin};
}

void Count(const PlainPiece& piece, CopyCounts& counts) {
  for (const PassedMember& member : piece.members) {
    if (member.error) continue;
    counts.plain_bytes += member.plain_bytes;
    counts.file_bytes += member.member_bytes;
    counts.member_count += member.plain_bytes > 0;
  }
}

// Writes pieces in order, on a thread of its own: a decoder that waits for a pipe
// or a disk decodes nothing meanwhile. One thread pushes.
class OutputThread {
 public:
  explicit OutputThread(int fd) : fd_(fd) {
    if (fd >= 0) thread_ = std::jthread([this] { Work(); });
  }
  ~OutputThread() { (void)Finish(); }
  OutputThread(const OutputThread&) = delete;
  OutputThread& operator=(const OutputThread&) = delete;

  // Waits while too much is queued.
  void Push(std::vector<std::byte> plain, Clip clip) {
    if (clip.length == 0 || fd_ < 0) return;
    MutexLock lock(mutex_);
    while (queue_.size() >= kMaxQueuedPieces && failure_) changed_.Wait(mutex_);
    queue_.push_back({std::move(plain), clip});
    changed_.NotifyAll();
  }
  Result<void> failure() {
    MutexLock lock(mutex_);
    return failure_;
  }
  // Waits until all is written, or something could not be.
  Result<void> Finish() {
    {
      MutexLock lock(mutex_);
      is_ending_ = true;
      changed_.NotifyAll();
    }
    if (thread_.joinable()) thread_.join();
    MutexLock lock(mutex_);
    return failure_;
  }

 private:
  struct Piece {
    std::vector<std::byte> plain;
    Clip clip;
  };

  void Work() {
    MutexLock lock(mutex_);
    while (failure_) {
      while (queue_.empty() && !is_ending_) changed_.Wait(mutex_);
      if (queue_.empty()) return;
      const Piece piece = std::move(queue_.front());
      lock.Unlock();
      const Result<void> written =
          WriteStream(fd_, std::span(piece.plain).subspan(piece.clip.begin, piece.clip.length));
      lock.Lock();
      queue_.pop_front();
      if (!written) failure_ = written;
      changed_.NotifyAll();
    }
  }

  const int fd_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Piece> queue_ GUARDED_BY(mutex_);
  Result<void> failure_ GUARDED_BY(mutex_);
  bool is_ending_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;  // not running when nothing is written
};

// What `bad` means for the bytes of `range`; damage outside of it is nobody's business.
Verdict Judge(const PassedMember& bad, PlainRange range) {
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
                                          int out_fd, CopyCounts* counts) {
  PlainStream stream(source, &pool, start, range.end,
                     out_fd < 0 ? PlainStream::Keep::kVerdicts : PlainStream::Keep::kPlain);
  OutputThread output(out_fd);
  CopyCounts ignored;
  for (;;) {
    const Result<std::optional<PlainPiece>> piece = stream.Next();
    if (!piece) return tl::unexpected(CopyFailure{Kind::kInput, piece.error(), {}});
    const bool is_end = !*piece;
    const PassedMember* bad = is_end ? nullptr : (*piece)->FirstBad();
    if (!is_end) Count(**piece, counts == nullptr ? ignored : *counts);
    const auto verdict = bad == nullptr ? Verdict{} : Judge(*bad, range);
    if (!is_end) {
      const Clip clip = ClipOf(**piece, range);
      output.Push(std::move((*piece)->plain), clip);
    }
    const Result<void> written =
        is_end || !verdict ? output.Finish() : output.failure();
    if (!written) return tl::unexpected(CopyFailure{Kind::kOutput, written.error(), {}});
    if (is_end || !verdict) return verdict;
  }
}

tl::expected<uint64_t, CopyFailure> CopyFromRestarts(const ByteSource& source,
                                                     const MemberRestarts& restarts,
                                                     uint64_t member_plain_offset,
                                                     uint64_t file_limit, PlainRange range,
                                                     int out_fd) {
  const uint64_t end = std::min(range.end, member_plain_offset + restarts.plain_bytes);
  if (range.begin < member_plain_offset || range.begin >= end) return range.begin;
  uint64_t index = (range.begin - member_plain_offset) / restarts.piece_bytes;
  const uint64_t first = index * restarts.piece_bytes;
  auto stream = RestartStream::Begin(source, restarts, restarts.PointBefore(first), file_limit);
  Result<void> decoded = stream ? (*stream)->SkipTo(first) : Fail(stream.error());
  uint64_t at = range.begin;
  OutputThread output(out_fd);
  for (; decoded && at < end; ++index) {
    std::vector<std::byte> plain(restarts.PieceBytes(index));
    decoded = (*stream)->Read(plain);
    if (!decoded || Crc32(0, plain) != restarts.piece_crcs[index]) break;
    const uint64_t begin = member_plain_offset + index * restarts.piece_bytes;
    const uint64_t piece_end = begin + plain.size();
    output.Push(std::move(plain), {at - begin, std::min(end, piece_end) - at});
    at = std::min(end, piece_end);
    if (!output.failure()) break;
  }
  const Result<void> written = output.Finish();
  if (!written) return tl::unexpected(CopyFailure{Kind::kOutput, written.error(), {}});
  const bool is_read = decoded || decoded.error().category() != std::system_category();
  if (!is_read) return tl::unexpected(CopyFailure{Kind::kInput, decoded.error(), {}});
  return at;
}

tl::expected<void, CopyFailure> CopyAsItIs(const ByteSource& source, int out_fd) {
  std::vector<std::byte> buffer(kCopyBytes);
  for (uint64_t offset = 0;;) {
    const Result<size_t> count = source.ReadAt(offset, buffer);
    if (!count) return tl::unexpected(CopyFailure{Kind::kInput, count.error(), {}});
    if (*count == 0) return {};
    const Result<void> written = WriteStream(out_fd, std::span(buffer).first(*count));
    if (!written) return tl::unexpected(CopyFailure{Kind::kOutput, written.error(), {}});
    offset += *count;
  }
}

bool IsZeroFrom(const ByteSource& source, uint64_t offset) {
  std::vector<std::byte> buffer(kCopyBytes);
  for (;;) {
    const Result<size_t> count = source.ReadAt(offset, buffer);
    if (!count || *count == 0) return count.has_value();
    const auto end = buffer.begin() + static_cast<ptrdiff_t>(*count);
    if (std::any_of(buffer.begin(), end, [](std::byte b) { return b != std::byte{0}; }))
      return false;
    offset += *count;
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
