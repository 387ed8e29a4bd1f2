// Numbers are written seven bits to a byte, the lowest first.
#include "codec/index_file.h"

#include <algorithm>
#include <cstring>

#include "codec/base/endian.h"

namespace gzipfs {
namespace {

constexpr char kMagic[] = "gzfsidx1";
constexpr size_t kMagicBytes = sizeof(kMagic) - 1;
constexpr int kCrcLevel = 6;
// More than any stream can have: it is what bounds the memory a list of CRC32s takes.
constexpr uint64_t kMaxDeflateRatio = 1032;
enum GroupKind : uint64_t { kHoppable = 0, kForeign = 1, kForeignWithRestarts = 2 };

class Writer {
 public:
  void Number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<std::byte>(value | 0x80));
    bytes_.push_back(static_cast<std::byte>(value));
  }
  void Bytes(std::span<const std::byte> bytes) {
    Number(bytes.size());
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// After the first failure everything it gives is 0 or empty.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t Number() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) break;
      const auto byte = std::to_integer<uint64_t>(bytes_[0]);
      bytes_ = bytes_.subspan(1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Spoil();
  }
  // At most `limit`.
  uint64_t Number(uint64_t limit) {
    const uint64_t value = Number();
    return value <= limit ? value : Spoil();
  }
  std::span<const std::byte> Bytes(uint64_t limit) {
    const uint64_t count = Number(std::min<uint64_t>(limit, bytes_.size()));
    if (count > bytes_.size()) Spoil();
    const auto taken = bytes_.first(std::min<uint64_t>(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  size_t left() const { return bytes_.size(); }
  bool is_spoilt() const { return is_spoilt_; }

 private:
  uint64_t Spoil() {
    is_spoilt_ = true;
    bytes_ = {};
    return 0;
  }

  std::span<const std::byte> bytes_;
  bool is_spoilt_ = false;
};

std::vector<std::byte> PackCrcs(const std::vector<uint32_t>& crcs) {
  std::vector<std::byte> plain(crcs.size() * sizeof(uint32_t));
  for (size_t i = 0; i < crcs.size(); ++i) StoreLe32(&plain[i * sizeof(uint32_t)], crcs[i]);
  std::vector<std::byte> packed(plain.size() + plain.size() / 100 + kKiB);
  packed.resize(MakeCompressor(kCrcLevel)->Deflate(plain, packed));
  return packed;
}

void PutRestarts(const MemberRestarts& restarts, Writer& writer) {
  writer.Number(restarts.plain_bytes);
  const bool is_data_error = restarts.error.category() == DataErrorCategory();
  writer.Number(is_data_error ? static_cast<uint64_t>(restarts.error.value()) : 0);
  writer.Number(restarts.piece_bytes / kRestartPieceBytes);
  writer.Bytes(PackCrcs(restarts.piece_crcs));
  writer.Number(restarts.points.size());
  uint64_t plain_offset = 0;
  uint64_t bit = 0;
  for (const RestartPoint& point : restarts.points) {
    writer.Number(point.plain_offset - plain_offset);
    writer.Number(point.place.bit - bit);
    writer.Number(point.place.header_bits);
    writer.Bytes(point.place.header);
    writer.Number(point.window_bytes);
    writer.Bytes(point.window);
    plain_offset = point.plain_offset;
    bit = point.place.bit;
  }
}

// What is known of `member`; null when it cannot be so.
RestartsRef TakeRestarts(const MemberInfo& member, Reader& reader) {
  MemberRestarts restarts;
  restarts.file_offset = member.file_offset;
  restarts.deflate_offset = member.file_offset + member.header_bytes;
  restarts.plain_bytes = reader.Number(member.plain_bytes);
  if (const uint64_t code = reader.Number(static_cast<uint64_t>(DataError::kTooLarge))) {
    restarts.error = static_cast<DataError>(code);
  } else if (restarts.plain_bytes != member.plain_bytes) {
    return nullptr;
  }
  restarts.piece_bytes = kRestartPieceBytes * reader.Number(8);
  if (restarts.piece_bytes == 0) return nullptr;
  const uint64_t piece_count =
      (restarts.plain_bytes + restarts.piece_bytes - 1) / restarts.piece_bytes;
  const auto packed = reader.Bytes(reader.left());
  if (piece_count * sizeof(uint32_t) > packed.size() * kMaxDeflateRatio) return nullptr;
  std::vector<std::byte> crcs(piece_count * sizeof(uint32_t));
  if (!ThreadDecompressor().Inflate(packed, crcs)) return nullptr;
  for (size_t i = 0; i < piece_count; ++i) {
    restarts.piece_crcs.push_back(LoadLe32(&crcs[i * sizeof(uint32_t)]));
  }
  const uint64_t point_count = reader.Number(reader.left());
  const uint64_t deflate_bits = (member.member_bytes - member.header_bytes) * 8;
  uint64_t plain_offset = 0;
  uint64_t bit = 0;
  for (uint64_t i = 0; i < point_count; ++i) {
    RestartPoint point;
    point.plain_offset = plain_offset += reader.Number(restarts.plain_bytes - plain_offset);
    point.place.bit = bit += reader.Number(deflate_bits - bit);
    point.place.header_bits = static_cast<uint32_t>(reader.Number(kMaxBlockHeaderBytes * 8));
    const auto header = reader.Bytes(kMaxBlockHeaderBytes);
    if (header.size() != (point.place.header_bits + 7) / 8) return nullptr;
    point.place.header.assign(header.begin(), header.end());
    point.window_bytes = static_cast<uint32_t>(reader.Number(kDeflateWindowBytes));
    const auto window = reader.Bytes(reader.left());
    point.window.assign(window.begin(), window.end());
    if (reader.is_spoilt()) return nullptr;
    restarts.points.push_back(std::move(point));
  }
  return std::make_shared<const MemberRestarts>(std::move(restarts));
}

// Adds the next group; false when there cannot be such a one.
bool TakeGroup(uint64_t file_limit, Reader& reader, FileLayout& layout) {
  MemberIndex& index = layout.index;
  const uint64_t kind = reader.Number(kForeignWithRestarts);
  const uint64_t plain_bytes = reader.Number(kMaxPlainBytes - index.plain_bytes());
  const uint64_t file_bytes = reader.Number(file_limit - index.file_bytes());
  if (reader.is_spoilt() || file_bytes == 0) return false;
  if (kind == kHoppable) {
    index.AppendGroup(plain_bytes, file_bytes);
    return true;
  }
  MemberInfo member{.plain_offset = index.plain_bytes(),
                    .file_offset = index.file_bytes(),
                    .plain_bytes = plain_bytes,
                    .member_bytes = file_bytes,
                    .profile = std::nullopt};
  member.header_bytes =
      static_cast<uint32_t>(reader.Number(std::min<uint64_t>(file_bytes, 2 * kMiB)));
  member.crc32 = static_cast<uint32_t>(reader.Number(~uint32_t{0}));
  index.AppendAlone(plain_bytes, file_bytes);
  // Without restart points nothing tells whether what is decoded of it is right.
  if (kind == kForeign && plain_bytes > kRestartPieceBytes) return false;
  layout.foreign.push_back(member);
  if (kind == kForeignWithRestarts) {
    RestartsRef restarts = TakeRestarts(member, reader);
    if (!restarts) return false;
    if (restarts->error) layout.damage = restarts->error;
    layout.restarts.push_back(std::move(restarts));
  }
  return !reader.is_spoilt();
}

std::vector<std::byte> EncodeBody(const FileLayout& layout) {
  Writer writer;
  const bool is_data_error = layout.rest.category() == DataErrorCategory();
  writer.Number(is_data_error ? static_cast<uint64_t>(layout.rest.value()) : 0);
  writer.Number(layout.profile ? 1 + static_cast<uint64_t>(*layout.profile) : 0);
  writer.Number(layout.index.group_count());
  auto foreign = layout.foreign.begin();
  auto restarts = layout.restarts.begin();
  for (size_t i = 0; i < layout.index.group_count(); ++i) {
    const MemberGroup group = layout.index.GroupAt(i);
    // Members that share a group have restart points that are of no use here.
    while (restarts != layout.restarts.end() && (*restarts)->file_offset < group.file_offset)
      ++restarts;
    const bool is_foreign =
        foreign != layout.foreign.end() && foreign->file_offset == group.file_offset;
    const bool has_restarts = is_foreign && restarts != layout.restarts.end() &&
                              (*restarts)->file_offset == group.file_offset;
    writer.Number(has_restarts ? kForeignWithRestarts : (is_foreign ? kForeign : kHoppable));
    writer.Number(group.plain_bytes);
    writer.Number(group.file_bytes);
    if (!is_foreign) continue;
    writer.Number(foreign->header_bytes);
    writer.Number(foreign->crc32);
    ++foreign;
    if (has_restarts) PutRestarts(**restarts++, writer);
  }
  return writer.Take();
}

}  // namespace

std::vector<std::byte> EncodeIndexFile(const IndexedFile& file, const FileLayout& layout) {
  const std::vector<std::byte> body = EncodeBody(layout);
  std::vector<std::byte> bytes(kIndexHeaderBytes);
  std::memcpy(bytes.data(), kMagic, kMagicBytes);
  StoreLittle(&bytes[8], file.device, 8);
  StoreLittle(&bytes[16], file.inode, 8);
  StoreLittle(&bytes[24], file.file_bytes, 8);
  StoreLittle(&bytes[32], static_cast<uint64_t>(file.modified_seconds), 8);
  StoreLittle(&bytes[40], static_cast<uint64_t>(file.changed_seconds), 8);
  StoreLe32(&bytes[48], file.modified_nanoseconds);
  StoreLe32(&bytes[52], file.changed_nanoseconds);
  StoreLittle(&bytes[56], body.size(), 8);
  StoreLe32(&bytes[64], Crc32(0, body));
  StoreLe32(&bytes[76], Crc32(0, std::span(bytes).first(76)));
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

Result<IndexedFile> ParseIndexHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kIndexHeaderBytes || std::memcmp(bytes.data(), kMagic, kMagicBytes) != 0 ||
      LoadLe32(&bytes[76]) != Crc32(0, bytes.first(76))) {
    return Fail(DataError::kBadHeader);
  }
  return IndexedFile{.device = LoadLittle(&bytes[8], 8),
                     .inode = LoadLittle(&bytes[16], 8),
                     .file_bytes = LoadLittle(&bytes[24], 8),
                     .modified_seconds = static_cast<int64_t>(LoadLittle(&bytes[32], 8)),
                     .changed_seconds = static_cast<int64_t>(LoadLittle(&bytes[40], 8)),
                     .modified_nanoseconds = LoadLe32(&bytes[48]),
                     .changed_nanoseconds = LoadLe32(&bytes[52])};
}

Result<FileLayout> DecodeIndexFile(const IndexedFile& file, std::span<const std::byte> bytes) {
  const Result<IndexedFile> about = ParseIndexHeader(bytes);
  if (!about || *about != file) return Fail(DataError::kBadTail);
  const auto body = bytes.subspan(kIndexHeaderBytes);
  if (LoadLittle(&bytes[56], 8) != body.size() || LoadLe32(&bytes[64]) != Crc32(0, body))
    return Fail(DataError::kBadTail);
  Reader reader(body);
  FileLayout layout;
  layout.is_conforming = false;
  if (const uint64_t code = reader.Number(static_cast<uint64_t>(DataError::kTooLarge)))
    layout.rest = static_cast<DataError>(code);
  if (const uint64_t profile = reader.Number(2)) layout.profile = static_cast<Profile>(profile - 1);
  const uint64_t group_count = reader.Number(reader.left());
  for (uint64_t i = 0; i < group_count; ++i) {
    // A damaged member is the last one.
    if (layout.damage || !TakeGroup(file.file_bytes, reader, layout))
      return Fail(DataError::kBadTail);
  }
  layout.valid_bytes = layout.index.file_bytes();
  const bool is_whole = layout.valid_bytes == file.file_bytes || layout.rest;
  if (reader.is_spoilt() || reader.left() > 0 || !is_whole) return Fail(DataError::kBadTail);
  return layout;
}

Result<void> CheckIndexFile(const FileLayout& layout, const ByteSource& source) {
  auto foreign = layout.foreign.begin();
  for (const RestartsRef& restarts : layout.restarts) {
    while (foreign->file_offset != restarts->file_offset) ++foreign;
    if (restarts->error) continue;
    if (foreign->member_bytes < kTrailerBytes) return Fail(DataError::kBadTail);
    std::byte bytes[kTrailerBytes];
    const Result<size_t> count = source.ReadAt(foreign->file_end() - kTrailerBytes, bytes);
    if (!count) return Fail(count.error());
    if (*count != kTrailerBytes) return Fail(DataError::kBadTail);
    const MemberTrailer trailer = ParseTrailer(bytes);
    const bool fits = trailer.crc32 == restarts->CombinedCrc32() &&
                      trailer.plain_bytes == static_cast<uint32_t>(restarts->plain_bytes);
    if (!fits) return Fail(DataError::kBadTail);
  }
  return {};
}

}  // namespace gzipfs
