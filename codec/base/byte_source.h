// Where the codec reads stored bytes from; it knows no files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "codec/base/result.h"

namespace gzipfs {

// Bytes that can be read at any offset. Implementations are thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Fills `out` from `offset` on; returns the bytes read, fewer than asked for
  // only at the end of the source, or the error of the device.
  virtual Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const = 0;

  // The length in bytes.
  virtual uint64_t Size() const = 0;
};

// A source over memory that somebody else keeps alive.
class SpanSource final : public ByteSource {
 public:
  explicit SpanSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= bytes_.size()) return 0;
    const size_t count = std::min<uint64_t>(out.size(), bytes_.size() - offset);
    std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
  }
  uint64_t Size() const override { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace gzipfs
