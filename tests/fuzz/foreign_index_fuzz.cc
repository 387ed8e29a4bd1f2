// Arbitrary bytes as a foreign gzip file, and as the index that is kept of one.
//
// The first byte of an input says which. Of a file: what the scan records must
// lead to the bytes that decoding from the start gives, from every point. An
// index: its checksums are put right, so that what is in it is looked at; then
// beginning at each of its points may fail, but not more.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/base/endian.h"
#include "codec/index_file.h"

namespace gzipfs {
namespace {

using Buffer = std::vector<std::byte>;

constexpr size_t kMaxInputBytes = 256 * kKiB;
constexpr uint64_t kMaxDecodedBytes = 8 * kMiB;  // of one input: bombs are slow here
// The decoders are not instrumented: what they write behind a buffer shows here.
constexpr size_t kGuardBytes = 512;
constexpr std::byte kGuard{0xa5};

void Require(bool condition) {
  if (!condition) std::abort();
}

// Reads from `point` on in pieces; nothing when it fails.
std::optional<Buffer> ReadFrom(const ByteSource& source, const MemberRestarts& restarts,
                               const RestartPoint* point, uint64_t byte_count) {
  auto stream = RestartStream::Begin(source, restarts, point, source.Size());
  if (!stream) return std::nullopt;
  Buffer plain;
  Buffer piece(4093 + kGuardBytes, kGuard);
  while (plain.size() < byte_count) {
    const size_t count = std::min<uint64_t>(4093, byte_count - plain.size());
    const auto read = (*stream)->Read(std::span(piece).first(count));
    Require(std::all_of(piece.end() - kGuardBytes, piece.end(),
                        [](std::byte byte) { return byte == kGuard; }));
    if (!read) return std::nullopt;
    plain.insert(plain.end(), piece.begin(), piece.begin() + static_cast<long>(count));
  }
  return plain;
}

// A recorder that is offered every place there is.
void FuzzPlaces(std::span<const std::byte> deflate) {
  const SpanSource source(deflate);
  const auto tracer = MakeTracingDecompressor();
  Buffer out(64 * kKiB);
  Buffer plain;
  struct Seen {
    DeflatePlace place;
    size_t plain_bytes;
  };
  std::vector<Seen> seen;
  uint32_t step_bytes = 1;
  for (auto rest = deflate; plain.size() < kMaxDecodedBytes;) {
    step_bytes = step_bytes * 1664525 + 1013904223;
    const auto given = rest.first(std::min<size_t>(rest.size(), step_bytes >> 25));
    const auto step = tracer->Inflate(given, out);
    if (!step || step->at_end) break;
    if (step->consumed == 0 && step->produced == 0 && rest.empty()) break;
    plain.insert(plain.end(), out.begin(), out.begin() + static_cast<long>(step->produced));
    rest = rest.subspan(step->consumed);
    if (seen.size() > 40) continue;
    if (auto place = tracer->Place(true)) seen.push_back({std::move(*place), plain.size()});
  }
  for (const Seen& at : seen) {
    const auto decompressor = MakeStreamDecompressor();
    const size_t first = at.place.bit / 8;
    const size_t window = std::min(at.plain_bytes, kDeflateWindowBytes);
    Require(first <= deflate.size());
    const std::byte first_byte = first < deflate.size() ? deflate[first] : std::byte{0};
    Require(decompressor
                ->Resume(at.place, first_byte,
                         std::span(plain).first(at.plain_bytes).last(window))
                .has_value());
    const auto input = deflate.subspan((at.place.bit + 7) / 8);
    const auto step = decompressor->Inflate(input, out);
    // What fails later does so at once where all of it is decoded in one call.
    if (!step) continue;
    const size_t count = std::min(step->produced, plain.size() - at.plain_bytes);
    Require(std::equal(out.begin(), out.begin() + static_cast<long>(count),
                       plain.begin() + static_cast<long>(at.plain_bytes)));
  }
}

void FuzzFile(std::span<const std::byte> file) {
  const SpanSource source(file);
  const auto layout = ScanLayout(source, kMinLayoutLimitBytes, ScanKeep::kRestarts);
  Require(layout.has_value());
  Require(layout->index.file_bytes() <= file.size());
  if (layout->foreign.empty() || layout->index.plain_bytes() > kMaxDecodedBytes) return;
  for (const RestartsRef& restarts : layout->restarts) {
    const auto whole = ReadFrom(source, *restarts, nullptr, restarts->plain_bytes);
    Require(whole.has_value());
    Require(Crc32(0, *whole) == restarts->CombinedCrc32());
    for (const RestartPoint& point : restarts->points) {
      const auto rest =
          ReadFrom(source, *restarts, &point, restarts->plain_bytes - point.plain_offset);
      Require(rest && std::equal(rest->begin(), rest->end(),
                                 whole->begin() + static_cast<long>(point.plain_offset)));
    }
  }
  const IndexedFile about{.device = 1, .inode = 2, .file_bytes = file.size()};
  const auto again = DecodeIndexFile(about, EncodeIndexFile(about, *layout));
  Require(again && again->index.plain_bytes() == layout->index.plain_bytes() &&
          again->foreign.size() == layout->foreign.size() &&
          again->restarts.size() == layout->restarts.size());
}

void FuzzIndex(std::span<const std::byte> body) {
  constexpr IndexedFile kAbout{.device = 1, .inode = 2, .file_bytes = 64 * kKiB};
  Buffer bytes = EncodeIndexFile(kAbout, FileLayout());
  bytes.resize(kIndexHeaderBytes);
  StoreLittle(&bytes[56], body.size(), 8);
  StoreLe32(&bytes[64], Crc32(0, body));
  StoreLe32(&bytes[76], Crc32(0, std::span(bytes).first(76)));
  bytes.insert(bytes.end(), body.begin(), body.end());
  const auto layout = DecodeIndexFile(kAbout, bytes);
  if (!layout) return;
  Require(layout->index.file_bytes() <= kAbout.file_bytes);
  // The file that it is about has its bytes, too.
  Buffer file(kAbout.file_bytes);
  std::copy_n(body.begin(), std::min(body.size(), file.size()), file.begin());
  const SpanSource source(file);
  (void)CheckIndexFile(*layout, source);
  for (const RestartsRef& restarts : layout->restarts) {
    const size_t count = std::min<size_t>(restarts->points.size(), 8);
    for (size_t i = 0; i < count; ++i) {
      (void)ReadFrom(source, *restarts, &restarts->points[i], 100'000);
    }
  }
}

}  // namespace
}  // namespace gzipfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > gzipfs::kMaxInputBytes) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 3) {
    case 0: gzipfs::FuzzFile(bytes); break;
    case 1: gzipfs::FuzzIndex(bytes); break;
    default: gzipfs::FuzzPlaces(bytes); break;
  }
  return 0;
}
