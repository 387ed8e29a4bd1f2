// Finding restart points, and beginning at one.
#include "codec/restart_points.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace gzipfs {
namespace {

// A call of the decoder is to give about so much; points lie between calls.
constexpr uint64_t kStepPlainBytes = 256 * kKiB;
constexpr size_t kMinStepBytes = 256;
constexpr size_t kMaxStepBytes = 64 * kKiB;
constexpr size_t kFirstStepBytes = 4 * kKiB;
// When a point is due: short steps, because the one in which a block begins is
// decoded once more.
constexpr size_t kDueStepBytes = 8 * kKiB;
// Stored bytes to wait for the beginning of a block. gzip's have 30,000, libdeflate's
// less than 200,000, igzip's are as long as the file.
constexpr uint64_t kMaxDueBytes = 256 * kKiB;
constexpr uint64_t kMaxDuePlainBytes = 4 * kMiB;
// What is not known before there is a point.
constexpr uint64_t kFirstCostBytes = 4 * kKiB;
// Offsets and lengths of a point in an index.
constexpr uint64_t kPointFieldBytes = 16;
// Text gets a hundredth larger at 2 instead of 6, and is done in half the time.
constexpr int kWindowLevel = 2;
constexpr size_t kReadBytes = 64 * kKiB;
// To find what is used of a window: as much at once, and in all.
constexpr size_t kForgetReadBytes = 8 * kKiB;
constexpr size_t kMaxForgetBytes = 128 * kKiB;
constexpr size_t kSkipBytes = 64 * kKiB;

using Window = std::array<std::byte, kDeflateWindowBytes>;

// The byte of `source` that holds the first bit of `place`; 0 if none is needed.
Result<std::byte> FirstByte(const ByteSource& source, uint64_t deflate_offset,
                            const DeflatePlace& place) {
  std::byte first{0};
  if (place.bit % 8 == 0) return first;
  const Result<size_t> count = source.ReadAt(deflate_offset + place.bit / 8, {&first, 1});
  if (!count) return Fail(count.error());
  return *count == 1 ? Result<std::byte>(first) : Fail(DataError::kTruncated);
}

// Decodes as much as can refer to a window, with a made-up one; false when that fails, or
// takes more stored bytes than are worth it.
bool DecodeWith(const Window& window, size_t window_bytes, const DeflatePlace& place,
                std::byte first_byte, ByteWindow& input, uint64_t file_offset, Window& plain,
                size_t& plain_bytes) {
  const auto decompressor = MakeStreamDecompressor();
  const auto used = std::span(window).last(window_bytes);
  if (!decompressor->Resume(place, first_byte, used)) return false;
  const uint64_t file_end = file_offset + kMaxForgetBytes;
  for (plain_bytes = 0; plain_bytes < plain.size();) {
    const auto given = input.Peek(file_offset, 1, kForgetReadBytes);
    if (!given || given->empty() || file_offset > file_end) return false;
    const auto step = decompressor->Inflate(*given, std::span(plain).subspan(plain_bytes));
    if (!step) return false;
    plain_bytes += step->produced;
    file_offset += step->consumed;
    if (step->at_end) break;
    if (step->consumed == 0 && step->produced == 0) return false;
  }
  return true;
}

// Sets to zero what nothing behind the place refers to. Decodes what follows with two
// windows, of which one says the low byte of each position and the other one the high
// byte, its highest bit set: what differs between them came from there. A byte that is the
// same in both, with that bit, may be the stream's own or one of 128 positions, which are kept.
void ForgetUnused(const ByteSource& source, uint64_t deflate_offset, const DeflatePlace& place,
                  std::span<std::byte> window) {
  const Result<std::byte> first = FirstByte(source, deflate_offset, place);
  if (!first) return;
  const auto windows = std::make_unique<std::array<Window, 4>>();
  auto& [low, high, low_plain, high_plain] = *windows;
  for (size_t i = 0; i < low.size(); ++i) {
    low[i] = static_cast<std::byte>(i & 0xff);
    high[i] = static_cast<std::byte>(i >> 8 | 0x80);
  }
  ByteWindow input(source, source.Size());
  const uint64_t file_offset = deflate_offset + (place.bit + 7) / 8;
  size_t low_bytes = 0;
  size_t high_bytes = 0;
  if (!DecodeWith(low, window.size(), place, *first, input, file_offset, low_plain, low_bytes) ||
      !DecodeWith(high, window.size(), place, *first, input, file_offset, high_plain, high_bytes)) {
    return;
  }
  std::array<unsigned char, kDeflateWindowBytes> is_used{};
  for (size_t i = 0; i < std::min(low_bytes, high_bytes); ++i) {
    const auto from = std::to_integer<unsigned>(high_plain[i]);
    is_used[(from & 0x7f) << 8 | std::to_integer<unsigned>(low_plain[i])] |= from >> 7;
  }
  const size_t unseen = kDeflateWindowBytes - window.size();
  for (size_t i = 0; i < window.size(); ++i) {
    window[i] = is_used[unseen + i] != 0 ? window[i] : std::byte{0};
  }
}

}  // namespace

const RestartPoint* MemberRestarts::PointBefore(uint64_t plain_offset) const {
  const auto behind = std::partition_point(
      points.begin(), points.end(),
      [plain_offset](const RestartPoint& point) { return point.plain_offset <= plain_offset; });
  return behind == points.begin() ? nullptr : &*std::prev(behind);
}

uint32_t MemberRestarts::CombinedCrc32() const {
  uint32_t crc = 0;
  for (size_t i = 0; i < piece_crcs.size(); ++i) {
    crc = CombineCrc32(crc, piece_crcs[i], PieceBytes(i));
  }
  return crc;
}

size_t MemberRestarts::MemoryBytes() const {
  size_t bytes = sizeof(*this) + piece_crcs.capacity() * sizeof(uint32_t);
  for (const RestartPoint& point : points) bytes += point.MemoryBytes();
  return bytes;
}

RestartRecorder::RestartRecorder(const ByteSource& source, uint64_t member_offset,
                                 uint64_t deflate_offset)
    : source_(source),
      tracer_(MakeTracingDecompressor()),
      window_(std::make_unique_for_overwrite<std::byte[]>(kDeflateWindowBytes)),
      step_bytes_(kFirstStepBytes),
      point_cost_bytes_(kFirstCostBytes) {
  restarts_.file_offset = member_offset;
  restarts_.deflate_offset = deflate_offset;
}

bool RestartRecorder::IsDue() const {
  const uint64_t plain_bytes = restarts_.plain_bytes - point_plain_;
  return plain_bytes >= max_spacing_ ||
         (plain_bytes >= kMinRestartSpacing &&
          consumed_ - point_consumed_ >= kRestartShareOfFile * point_cost_bytes_);
}

void RestartRecorder::Note(const StreamDecompressor::Progress& progress,
                           std::span<const std::byte> plain) {
  consumed_ += progress.consumed;
  CountPieces(plain);
  KeepWindow(plain);
  if (progress.at_end) return;
  ChooseStep(progress);
  if (!IsDue()) return;
  if (due_since_ == 0) {
    due_since_ = consumed_;
    due_plain_ = restarts_.plain_bytes;
  }
  const bool insists = consumed_ - due_since_ > kMaxDueBytes ||
                       restarts_.plain_bytes - due_plain_ > kMaxDuePlainBytes;
  // Finding where a block began in a long step takes longer than a few short ones.
  if (progress.consumed > kDueStepBytes && !insists) return;
  auto place = tracer_->Place(insists);
  if (place) AddPoint(std::move(*place));
}

void RestartRecorder::ChooseStep(const StreamDecompressor::Progress& progress) {
  if (progress.consumed > 0 && progress.produced > 0) {
    const double ratio =
        static_cast<double>(progress.consumed) / static_cast<double>(progress.produced);
    const double wanted = static_cast<double>(kStepPlainBytes) * ratio;
    step_bytes_ = static_cast<size_t>(
        std::clamp(wanted, static_cast<double>(kMinStepBytes), static_cast<double>(kMaxStepBytes)));
  }
  if (IsDue()) step_bytes_ = std::min(step_bytes_, kDueStepBytes);
}

void RestartRecorder::KeepWindow(std::span<const std::byte> plain) {
  const auto added = plain.last(std::min(plain.size(), kDeflateWindowBytes));
  const size_t kept = std::min(window_bytes_, kDeflateWindowBytes - added.size());
  if (kept > 0) std::memmove(window_.get(), window_.get() + window_bytes_ - kept, kept);
  if (!added.empty()) std::memcpy(window_.get() + kept, added.data(), added.size());
  window_bytes_ = kept + added.size();
}

void RestartRecorder::CountPieces(std::span<const std::byte> plain) {
  while (!plain.empty()) {
    const uint64_t within = restarts_.plain_bytes % kRestartPieceBytes;
    const size_t count = std::min<uint64_t>(plain.size(), kRestartPieceBytes - within);
    piece_crc_ = Crc32(piece_crc_, plain.first(count));
    restarts_.plain_bytes += count;
    plain = plain.subspan(count);
    if (restarts_.plain_bytes % kRestartPieceBytes == 0) {
      restarts_.piece_crcs.push_back(std::exchange(piece_crc_, 0));
    }
  }
}

uint32_t RestartRecorder::PlainCrc32() const {
  return CombineCrc32(restarts_.CombinedCrc32(), piece_crc_,
                      restarts_.plain_bytes % kRestartPieceBytes);
}

void RestartRecorder::AddPoint(DeflatePlace place) {
  if (!compressor_) compressor_ = MakeCompressor(kWindowLevel);
  std::vector<std::byte> window(window_.get(), window_.get() + window_bytes_);
  ForgetUnused(source_, restarts_.deflate_offset, place, window);
  std::vector<std::byte> packed(window.size() + kKiB);
  packed.resize(compressor_->Deflate(window, packed));
  if (packed.empty()) return;
  point_cost_bytes_ = packed.size() + place.header.size() + kPointFieldBytes;
  point_plain_ = restarts_.plain_bytes;
  point_consumed_ = consumed_;
  due_since_ = 0;
  packed.shrink_to_fit();
  restarts_.points.push_back({.plain_offset = restarts_.plain_bytes,
                              .place = std::move(place),
                              .window_bytes = static_cast<uint32_t>(window.size()),
                              .window = std::move(packed)});
  points_bytes_ += restarts_.points.back().MemoryBytes();
  ThinPoints();
}

// Drops every other point as long as they take too much.
void RestartRecorder::ThinPoints() {
  std::vector<RestartPoint>& points = restarts_.points;
  while (points_bytes_ > kSparedRestartBytes + consumed_ / kRestartShareOfFile &&
         points.size() > 1) {
    // The second one stays: decoding can begin at the stream's start as well.
    for (size_t i = 1; i < points.size(); i += 2) points[i / 2] = std::move(points[i]);
    points.resize(points.size() / 2);
    points_bytes_ = 0;
    for (const RestartPoint& point : points) points_bytes_ += point.MemoryBytes();
    max_spacing_ *= 2;
  }
}

// Two neighbours become one as long as they take too much of an index.
void RestartRecorder::JoinPieces() {
  std::vector<uint32_t>& crcs = restarts_.piece_crcs;
  while (crcs.size() * sizeof(uint32_t) * kRestartShareOfFile > consumed_ &&
         restarts_.piece_bytes < kMaxRestartPieceBytes) {
    for (size_t i = 0; i + 1 < crcs.size(); i += 2) {
      crcs[i / 2] = CombineCrc32(crcs[i], crcs[i + 1], restarts_.PieceBytes(i + 1));
    }
    if (crcs.size() % 2 == 1) crcs[crcs.size() / 2] = crcs.back();
    crcs.resize((crcs.size() + 1) / 2);
    restarts_.piece_bytes *= 2;
  }
}

MemberRestarts RestartRecorder::Finish(std::error_code error) {
  if (restarts_.plain_bytes % kRestartPieceBytes > 0) restarts_.piece_crcs.push_back(piece_crc_);
  JoinPieces();
  restarts_.piece_crcs.shrink_to_fit();
  restarts_.points.shrink_to_fit();
  restarts_.error = error;
  return std::move(restarts_);
}

Result<std::unique_ptr<RestartStream>> RestartStream::Begin(const ByteSource& source,
                                                            const MemberRestarts& restarts,
                                                            const RestartPoint* point,
                                                            uint64_t file_limit) {
  std::unique_ptr<RestartStream> stream(new RestartStream(source, file_limit));
  stream->decompressor_ = MakeStreamDecompressor();
  stream->file_offset_ = restarts.deflate_offset;
  if (point == nullptr) return stream;
  const Result<std::byte> first = FirstByte(source, restarts.deflate_offset, point->place);
  if (!first) return Fail(first.error());
  std::vector<std::byte> window(point->window_bytes);
  GZIPFS_TRY(ThreadDecompressor().Inflate(point->window, window));
  GZIPFS_TRY(stream->decompressor_->Resume(point->place, *first, window));
  stream->file_offset_ += (point->place.bit + 7) / 8;
  stream->plain_offset_ = point->plain_offset;
  return stream;
}

Result<void> RestartStream::Read(std::span<std::byte> out) {
  while (!out.empty()) {
    if (is_finished_) return Fail(DataError::kTruncated);
    const auto input = window_.Peek(file_offset_, 1, kReadBytes);
    if (!input) return Fail(input.error());
    const auto step = decompressor_->Inflate(*input, out);
    if (!step) return Fail(step.error());
    if (step->consumed == 0 && step->produced == 0 && !step->at_end)
      return Fail(input->empty() ? DataError::kTruncated : DataError::kBadDeflate);
    file_offset_ += step->consumed;
    plain_offset_ += step->produced;
    is_finished_ = step->at_end;
    out = out.subspan(step->produced);
  }
  return {};
}

Result<void> RestartStream::SkipTo(uint64_t plain_offset) {
  if (!skipped_ && plain_offset > plain_offset_)
    skipped_ = std::make_unique_for_overwrite<std::byte[]>(kSkipBytes);
  while (plain_offset_ < plain_offset) {
    const uint64_t left_bytes = plain_offset - plain_offset_;
    GZIPFS_TRY(Read({skipped_.get(), std::min<uint64_t>(left_bytes, kSkipBytes)}));
  }
  return {};
}

}  // namespace gzipfs
