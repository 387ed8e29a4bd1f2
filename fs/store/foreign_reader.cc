// Decoders that are shared, parked and sent ahead.
#include "fs/store/foreign_reader.h"

#include <algorithm>
#include <cstring>

#include "codec/base/units.h"

namespace gzipfs {
namespace {

// Each takes 130 KiB.
constexpr size_t kMaxParkedCursors = 8;
// Pieces read one after the other before anything is decoded ahead.
constexpr uint64_t kAheadAfterPieces = 4;
constexpr uint64_t kNearPieces = 8;
// A cache smaller than that would lose what was decoded ahead.
constexpr uint64_t kMinAheadCacheBytes = 16 * kMiB;

// Of a member without restart points: it is decoded from its start.
RestartsRef StartAlone(const MemberInfo& member) {
  MemberRestarts restarts;
  restarts.file_offset = member.file_offset;
  restarts.deflate_offset = member.file_offset + member.header_bytes;
  restarts.plain_bytes = member.plain_bytes;
  if (member.plain_bytes <= restarts.piece_bytes) restarts.piece_crcs = {member.crc32};
  return std::make_shared<const MemberRestarts>(std::move(restarts));
}

}  // namespace

// Decodes pieces that somebody will ask for next; deletes itself.
class ForeignReader::AheadJob final : public Job {
 public:
  AheadJob(ForeignReader& reader, const Target& target, uint64_t first_piece, uint64_t end_piece)
      : reader_(reader), member_(target.member), restarts_(target.restarts),
        cache_id_(target.cache_id), first_piece_(first_piece), end_piece_(end_piece) {}

  void Run() override {
    reader_.DecodeAhead({member_, restarts_, cache_id_}, first_piece_, end_piece_);
    delete this;
  }

 private:
  ForeignReader& reader_;
  const MemberInfo member_;
  const RestartsRef restarts_;
  const uint64_t cache_id_;
  const uint64_t first_piece_;
  const uint64_t end_piece_;
};

ForeignReader::ForeignReader(const ByteSource& source, BlockCache& cache, CodecPool& pool,
                             std::function<void()> doubt)
    : source_(source), cache_(cache), pool_(pool), doubt_(std::move(doubt)) {}

ForeignReader::~ForeignReader() {
  MutexLock lock(mutex_);
  is_closing_ = true;
  while (jobs_ > 0) {
    lock.Unlock();
    // The job may be behind others in the queue, and this thread a worker.
    const bool helped = pool_.HelpOnce();
    lock.Lock();
    if (!helped && jobs_ > 0) moved_.WaitFor(mutex_, std::chrono::milliseconds(10));
  }
}

// The decoder to go on with, as a cursor at work: a parked one that is before
// `piece` and not before the restart point, or, with `stream` null, none yet.
ForeignReader::CursorList::iterator ForeignReader::Claim(const Target& target, uint64_t piece,
                                                         std::unique_ptr<RestartStream>& stream) {
  const uint64_t begin = piece * target.restarts->piece_bytes;
  const RestartPoint* point = target.restarts->PointBefore(begin);
  const uint64_t point_offset = point == nullptr ? 0 : point->plain_offset;
  auto best = cursors_.end();
  for (auto cursor = cursors_.begin(); cursor != cursors_.end(); ++cursor) {
    if (!cursor->stream || cursor->restarts != target.restarts) continue;
    const uint64_t at = cursor->stream->plain_position();
    if (at > begin || at < point_offset) continue;
    if (best == cursors_.end() || at > best->stream->plain_position()) best = cursor;
  }
  if (best == cursors_.end()) {
    cursors_.push_front({.restarts = target.restarts, .point = point, .stream = nullptr});
    best = cursors_.begin();
  } else {
    cursors_.splice(cursors_.begin(), cursors_, best);
    stream = std::move(best->stream);
    best->point = point;
  }
  best->next_piece = piece;
  best->wanted_piece = piece;
  return best;
}

Result<CachedBlock> ForeignReader::DecodeNext(const Target& target, RestartStream& stream,
                                              uint64_t piece) {
  const MemberRestarts& restarts = *target.restarts;
  const uint64_t begin = piece * restarts.piece_bytes;
  GZIPFS_TRY(stream.SkipTo(begin));
  auto block = std::make_shared<std::vector<std::byte>>(restarts.PieceBytes(piece));
  GZIPFS_TRY(stream.Read(*block));
  const bool is_checked = piece < restarts.piece_crcs.size();
  if (is_checked && Crc32(0, *block) != restarts.piece_crcs[piece])
    return Fail(DataError::kBadChecksum);
  cache_.Put(target.cache_id, target.Key(piece), block);
  return CachedBlock(std::move(block));
}

bool ForeignReader::IsWanted(CursorList::iterator cursor, uint64_t piece) {
  MutexLock lock(mutex_);
  cursor->next_piece = piece;
  moved_.NotifyAll();
  return piece <= cursor->wanted_piece && !is_closing_;
}

// Decodes `piece`, and on as long as others want what follows.
Result<CachedBlock> ForeignReader::Run(const Target& target, CursorList::iterator cursor,
                                       std::unique_ptr<RestartStream>& stream, uint64_t piece) {
  if (!stream) {
    auto begun = RestartStream::Begin(source_, *target.restarts, cursor->point,
                                      target.member.file_end());
    if (!begun) return Fail(begun.error());
    stream = std::move(*begun);
  }
  Result<CachedBlock> first = DecodeNext(target, *stream, piece);
  if (!first) return first;
  while (IsWanted(cursor, ++piece)) {
    // Who waits for it finds out for himself why it cannot be had.
    if (!DecodeNext(target, *stream, piece)) break;
  }
  return first;
}

Result<CachedBlock> ForeignReader::DecodePiece(const Target& target, uint64_t piece) {
  MutexLock lock(mutex_);
  const RestartPoint* point =
      target.restarts->PointBefore(piece * target.restarts->piece_bytes);
  const auto comes_to_it = [&](const Cursor& cursor) {
    return !cursor.stream && cursor.restarts == target.restarts && cursor.point == point &&
           cursor.next_piece <= piece;
  };
  auto other = std::find_if(cursors_.begin(), cursors_.end(), comes_to_it);
  if (other != cursors_.end()) {
    other->wanted_piece = std::max(other->wanted_piece, piece);
    while (other != cursors_.end()) {
      moved_.Wait(mutex_);
      other = std::find_if(cursors_.begin(), cursors_.end(), comes_to_it);
    }
    if (CachedBlock block = Cached(target, piece)) return block;
  }
  std::unique_ptr<RestartStream> stream;
  const CursorList::iterator cursor = Claim(target, piece, stream);
  lock.Unlock();
  Result<CachedBlock> block = Fail(ENOMEM);
  try {
    block = Run(target, cursor, stream, piece);
  } catch (const std::bad_alloc&) {
    stream.reset();  // the cursor must not stay at work: others wait for it
  }
  lock.Lock();
  if (block && stream && stream->plain_position() < target.restarts->plain_bytes) {
    cursor->stream = std::move(stream);
    cursors_.splice(cursors_.begin(), cursors_, cursor);
  } else {
    cursors_.erase(cursor);
  }
  size_t parked = 0;
  for (auto at = cursors_.begin(); at != cursors_.end();) {
    const bool is_too_many = at->stream && ++parked > kMaxParkedCursors;
    at = is_too_many ? cursors_.erase(at) : std::next(at);
  }
  moved_.NotifyAll();
  return block;
}

// Null, too, for a block that was cached while pieces had another size.
CachedBlock ForeignReader::Cached(const Target& target, uint64_t piece) const {
  CachedBlock block = cache_.Get(target.cache_id, target.Key(piece));
  return block && block->size() == target.restarts->PieceBytes(piece) ? block : nullptr;
}

Result<CachedBlock> ForeignReader::Piece(const Target& target, uint64_t piece) {
  if (CachedBlock block = Cached(target, piece)) return block;
  return DecodePiece(target, piece);
}

// What is known of the member: what was found out here, or what the caller has.
RestartsRef ForeignReader::Known(const MemberInfo& member, const RestartsRef& restarts) {
  {
    MutexLock lock(mutex_);
    for (const RestartsRef& known : rebuilt_) {
      if (known->file_offset == member.file_offset) return known;
    }
  }
  return restarts ? restarts : StartAlone(member);
}

// Decodes the member from its start, by all the rules. The result is another
// one than target.restarts; fails if that was made here already.
Result<RestartsRef> ForeignReader::Rebuild(const Target& target) {
  MutexLock rebuild_lock(rebuild_mutex_);
  RestartsRef known = Known(target.member, nullptr);
  {
    MutexLock lock(mutex_);
    const auto is_it = [&](const RestartsRef& rebuilt) { return rebuilt == target.restarts; };
    if (std::any_of(rebuilt_.begin(), rebuilt_.end(), is_it)) return Fail(DataError::kBadDeflate);
    for (const RestartsRef& rebuilt : rebuilt_) {
      if (rebuilt->file_offset == target.member.file_offset) return rebuilt;
    }
  }
  if (doubt_) doubt_();
  MemberStream stream(source_, target.member.file_offset, target.member.file_end(),
                      /*records_restarts=*/true);
  std::vector<std::byte> plain(4 * kRestartPieceBytes);
  std::error_code error;
  while (!stream.at_end() && !error) {
    const Result<size_t> read = stream.Read(plain);
    if (!read) error = read.error();
  }
  if (error.category() == std::system_category() && error) return Fail(error);
  std::optional<MemberRestarts> found = stream.TakeRestarts(error);
  if (!found) return Fail(error ? error : make_error_code(DataError::kBadHeader));
  RestartsRef rebuilt = std::make_shared<const MemberRestarts>(std::move(*found));
  MutexLock lock(mutex_);
  rebuilt_.push_back(rebuilt);
  return rebuilt;
}

// Once somebody reads front to back: has the pool decode from the next restart
// point to the one behind it.
void ForeignReader::GoAhead(const Target& target, uint64_t piece) {
  const MemberRestarts& restarts = *target.restarts;
  const uint64_t begin = piece * restarts.piece_bytes;
  MutexLock lock(mutex_);
  const uint64_t key = target.Key(piece);
  if (key + restarts.piece_bytes == next_key_) return;  // more of the same piece
  // The kernel's requests come on several threads, a little out of order.
  const uint64_t near = kNearPieces * restarts.piece_bytes;
  const bool goes_on = key < next_key_ + near && next_key_ < key + near;
  run_pieces_ = goes_on ? run_pieces_ + 1 : 0;
  next_key_ = std::max(goes_on ? next_key_ : 0, key + restarts.piece_bytes);
  if (run_pieces_ < kAheadAfterPieces || cache_.limit_bytes() < kMinAheadCacheBytes) return;
  const auto next = std::partition_point(
      restarts.points.begin(), restarts.points.end(),
      [begin](const RestartPoint& point) { return point.plain_offset <= begin; });
  if (next == restarts.points.end() || is_closing_) return;
  const auto piece_at = [&](uint64_t plain_offset) {
    return (plain_offset + restarts.piece_bytes - 1) / restarts.piece_bytes;
  };
  const uint64_t first = piece_at(next->plain_offset);
  const auto after = std::next(next);
  const uint64_t end = piece_at(
      after == restarts.points.end() ? restarts.plain_bytes : after->plain_offset);
  const uint64_t end_key = target.Key(end);
  if (ahead_key_ == end_key || first == end) return;
  if ((end - first) * restarts.piece_bytes > cache_.limit_bytes() / 4) return;
  ahead_key_ = end_key;
  ++jobs_;
  lock.Unlock();
  pool_.Submit(new AheadJob(*this, target, first, end));
}

void ForeignReader::DecodeAhead(const Target& target, uint64_t first_piece, uint64_t end_piece) {
  for (uint64_t piece = first_piece; piece < end_piece; ++piece) {
    {
      MutexLock lock(mutex_);
      if (is_closing_) break;
    }
    if (!Piece(target, piece)) break;
  }
  MutexLock lock(mutex_);
  --jobs_;
  moved_.NotifyAll();
}

Result<void> ForeignReader::Read(const MemberInfo& member, const RestartsRef& restarts,
                                 uint64_t cache_id, uint64_t skip, std::span<std::byte> out) {
  Target target{member, Known(member, restarts), cache_id};
  while (!out.empty()) {
    const bool is_whole = target.restarts->error != DataError::kBadChecksum &&
                          target.restarts->error != DataError::kBadSize;
    if (!is_whole || skip >= target.restarts->plain_bytes) {
      const std::error_code why = target.restarts->error;
      return Fail(why ? why : make_error_code(DataError::kBadSize));
    }
    const uint64_t piece_bytes = target.restarts->piece_bytes;
    Result<CachedBlock> piece = Piece(target, skip / piece_bytes);
    if (!piece) {
      if (piece.error().category() == std::system_category()) return Fail(piece.error());
      const std::error_code why = piece.error();
      Result<RestartsRef> rebuilt = Rebuild(target);
      if (!rebuilt) return Fail(rebuilt.error() == DataError::kBadDeflate ? why : rebuilt.error());
      target.restarts = *rebuilt;
      continue;
    }
    const uint64_t within = skip % piece_bytes;
    if (within >= (*piece)->size()) return Fail(DataError::kBadSize);
    GoAhead(target, skip / piece_bytes);
    const size_t count = std::min<uint64_t>(out.size(), (*piece)->size() - within);
    std::memcpy(out.data(), (*piece)->data() + within, count);
    out = out.subspan(count);
    skip += count;
  }
  return {};
}

}  // namespace gzipfs
