// Encoding and decoding, field by field.
#include "fs/store/log_format.h"

#include <algorithm>
#include <cstring>

#include "codec/base/endian.h"
#include "codec/codec.h"

namespace gzipfs {
namespace {

constexpr char kHeaderMagic[7] = {'g', 'z', 'f', 's', 'l', 'o', 'g'};  // and the version's digit
constexpr uint32_t kRecordMagic = 0x524c5a47;  // "GZLR"
constexpr size_t kIdentityPayloadBytes = 20;
constexpr size_t kImageFixedBytes = kIdentityPayloadBytes + 4;

// Integers one after the other.
class Packer {
 public:
  explicit Packer(std::vector<std::byte>* out) : out_(out) {}
  Packer& Put(uint64_t value, int byte_count) {
    const size_t at = out_->size();
    out_->resize(at + static_cast<size_t>(byte_count));
    StoreLittle(out_->data() + at, value, byte_count);
    return *this;
  }

 private:
  std::vector<std::byte>* out_;
};

class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}
  // 0 behind the end, and then !ok().
  uint64_t Get(int byte_count) {
    if (bytes_.size() < static_cast<size_t>(byte_count)) {
      is_ok_ = false;
      return 0;
    }
    const uint64_t value = LoadLittle(bytes_.data(), byte_count);
    bytes_ = bytes_.subspan(static_cast<size_t>(byte_count));
    return value;
  }
  std::span<const std::byte> rest() const { return bytes_; }
  bool ok() const { return is_ok_; }

 private:
  std::span<const std::byte> bytes_;
  bool is_ok_ = true;
};

uint32_t RecordCrc(uint64_t salt, std::span<const std::byte> record) {
  std::byte salt_bytes[8];
  StoreLittle(salt_bytes, salt, 8);
  return Crc32(Crc32(0, salt_bytes), record.subspan(8));
}

}  // namespace

std::vector<std::byte> EncodeLogHeader(const LogHeader& header) {
  std::vector<std::byte> bytes(sizeof(kHeaderMagic));
  std::memcpy(bytes.data(), kHeaderMagic, sizeof(kHeaderMagic));
  Packer(&bytes)
      .Put(static_cast<uint64_t>('0' + header.version), 1)
      .Put(header.salt, 8)
      .Put(header.base.ino, 8)
      .Put(header.base.stored_bytes, 8)
      .Put(header.base.end_crc, 4);
  bytes.resize(kLogHeaderBytes - 4);
  Packer(&bytes).Put(Crc32(0, bytes), 4);
  return bytes;
}

Result<LogHeader> DecodeLogHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kLogHeaderBytes) return Fail(DataError::kTruncated);
  bytes = bytes.first(kLogHeaderBytes);
  if (std::memcmp(bytes.data(), kHeaderMagic, sizeof(kHeaderMagic)) != 0) {
    return Fail(DataError::kBadHeader);
  }
  LogHeader header;
  header.version = static_cast<int>(bytes[sizeof(kHeaderMagic)]) - '0';
  if (header.version < kOldLogVersion || header.version > kLogVersion) {
    return Fail(DataError::kBadHeader);
  }
  const std::span covered = bytes.first(kLogHeaderBytes - 4);
  if (LoadLe32(bytes.data() + covered.size()) != Crc32(0, covered)) {
    return Fail(DataError::kBadChecksum);
  }
  Unpacker from(bytes.subspan(sizeof(kHeaderMagic) + 1));
  header.salt = from.Get(8);
  header.base.ino = from.Get(8);
  header.base.stored_bytes = from.Get(8);
  header.base.end_crc = static_cast<uint32_t>(from.Get(4));
  return header;
}

void EncodeLogRecord(const LogRecord& record, uint64_t salt, std::vector<std::byte>* out) {
  const size_t begin = out->size();
  Packer(out)
      .Put(kRecordMagic, 4)
      .Put(0, 4)
      .Put(record.sequence, 8)
      .Put(record.durable_sequence, 8)
      .Put(record.plain_offset, 8)
      .Put(record.payload.size(), 4)
      .Put(static_cast<uint8_t>(record.type), 4);
  out->insert(out->end(), record.payload.begin(), record.payload.end());
  StoreLe32(out->data() + begin + 4, RecordCrc(salt, std::span(*out).subspan(begin)));
}

Result<LogRecord> DecodeLogRecord(std::span<const std::byte> bytes, uint64_t salt) {
  if (bytes.size() < kLogRecordHeaderBytes) return Fail(DataError::kTruncated);
  Unpacker from(bytes);
  if (from.Get(4) != kRecordMagic) return Fail(DataError::kBadHeader);
  const auto crc = static_cast<uint32_t>(from.Get(4));
  LogRecord record{};
  record.sequence = from.Get(8);
  record.durable_sequence = from.Get(8);
  record.plain_offset = from.Get(8);
  const uint64_t payload_bytes = from.Get(4);
  const uint64_t type = from.Get(4);
  if (payload_bytes > kMaxLogPayloadBytes) return Fail(DataError::kBadHeader);
  if (from.rest().size() < payload_bytes) return Fail(DataError::kTruncated);
  if (RecordCrc(salt, bytes.first(kLogRecordHeaderBytes + payload_bytes)) != crc) {
    return Fail(DataError::kBadChecksum);
  }
  if (type < 1 || type > static_cast<uint64_t>(LogRecordType::kZero)) return Fail(EPROTONOSUPPORT);
  record.type = static_cast<LogRecordType>(type);
  record.payload = from.rest().first(payload_bytes);
  return record;
}

std::optional<size_t> FindLogRecord(std::span<const std::byte> bytes, size_t begin) {
  std::byte magic[4];
  StoreLe32(magic, kRecordMagic);
  if (begin >= bytes.size()) return std::nullopt;
  const auto found = std::search(bytes.begin() + static_cast<ptrdiff_t>(begin), bytes.end(),
                                 std::begin(magic), std::end(magic));
  if (found == bytes.end()) return std::nullopt;
  return static_cast<size_t>(found - bytes.begin());
}

std::vector<std::byte> EncodeLogMembers(const EncodedBlock& block) {
  std::vector<std::byte> payload;
  Packer to(&payload);
  to.Put(block.members.size(), 4);
  for (const EncodedMember& member : block.members) {
    to.Put(member.plain_bytes, 4).Put(member.member_bytes, 4);
  }
  payload.insert(payload.end(), block.bytes.begin(), block.bytes.end());
  return payload;
}

Result<EncodedBlock> DecodeLogMembers(std::span<const std::byte> payload) {
  Unpacker from(payload);
  EncodedBlock block;
  const uint64_t count = from.Get(4);
  uint64_t member_bytes = 0;
  for (uint64_t i = 0; i < count && from.ok(); ++i) {
    EncodedMember member;
    member.plain_bytes = static_cast<uint32_t>(from.Get(4));
    member.member_bytes = static_cast<uint32_t>(from.Get(4));
    member_bytes += member.member_bytes;
    block.members.push_back(member);
  }
  if (!from.ok() || from.rest().size() != member_bytes) return Fail(DataError::kBadSize);
  block.bytes.assign(from.rest().begin(), from.rest().end());
  return block;
}

std::vector<std::byte> EncodeLogLength(uint64_t byte_count) {
  std::vector<std::byte> payload;
  Packer(&payload).Put(byte_count, 8);
  return payload;
}

Result<uint64_t> DecodeLogLength(std::span<const std::byte> payload) {
  Unpacker from(payload);
  const uint64_t byte_count = from.Get(8);
  if (!from.ok() || !from.rest().empty()) return Fail(DataError::kBadSize);
  return byte_count;
}

std::vector<std::byte> EncodeLogTime(const std::optional<timespec>& mtime) {
  std::vector<std::byte> payload;
  if (!mtime) return payload;
  Packer(&payload)
      .Put(static_cast<uint64_t>(mtime->tv_sec), 8)
      .Put(static_cast<uint64_t>(mtime->tv_nsec), 4);
  return payload;
}

Result<std::optional<timespec>> DecodeLogTime(std::span<const std::byte> payload) {
  if (payload.empty()) return std::optional<timespec>();
  Unpacker from(payload);
  timespec mtime{};
  mtime.tv_sec = static_cast<time_t>(from.Get(8));
  mtime.tv_nsec = static_cast<long>(from.Get(4));
  if (!from.ok() || mtime.tv_nsec >= 1'000'000'000) return Fail(DataError::kBadSize);
  return std::optional(mtime);
}

std::vector<std::byte> EncodeLogIdentity(const BaseIdentity& identity) {
  std::vector<std::byte> payload;
  Packer(&payload)
      .Put(identity.ino, 8)
      .Put(identity.stored_bytes, 8)
      .Put(identity.end_crc, 4);
  return payload;
}

Result<BaseIdentity> DecodeLogIdentity(std::span<const std::byte> payload) {
  Unpacker from(payload);
  BaseIdentity identity;
  identity.ino = from.Get(8);
  identity.stored_bytes = from.Get(8);
  identity.end_crc = static_cast<uint32_t>(from.Get(4));
  if (!from.ok()) return Fail(DataError::kBadSize);
  return identity;
}

std::vector<std::byte> EncodeLogImage(const LogImage& image) {
  std::vector<std::byte> payload = EncodeLogIdentity(image.image);
  Packer(&payload)
      .Put(image.overwrites ? 1 : 0, 2)
      .Put(image.has_next_log ? 1 : 0, 2);
  const auto* name = reinterpret_cast<const std::byte*>(image.name.data());
  payload.insert(payload.end(), name, name + image.name.size());
  return payload;
}

Result<LogImage> DecodeLogImage(std::span<const std::byte> payload) {
  const Result<BaseIdentity> identity = DecodeLogIdentity(payload);
  if (!identity || payload.size() < kImageFixedBytes) return Fail(DataError::kBadSize);
  Unpacker from(payload.subspan(kIdentityPayloadBytes));
  LogImage image;
  image.image = *identity;
  image.overwrites = from.Get(2) != 0;
  image.has_next_log = from.Get(2) != 0;
  image.name.assign(reinterpret_cast<const char*>(from.rest().data()), from.rest().size());
  // It becomes part of a path.
  if (image.name.empty() || image.name.find('/') != std::string::npos) {
    return Fail(DataError::kBadSize);
  }
  return image;
}

}  // namespace gzipfs
