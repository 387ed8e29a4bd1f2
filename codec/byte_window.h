// A buffer over one stretch of a byte source, for readers that look at a few
// bytes here and there while they walk forward.
//
// One read fetches more than was asked for, so that what lies close behind is
// there already. The memory is not cleared and grows only on demand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "codec/base/result.h"
#include "codec/base/byte_source.h"

namespace gzipfs {

// One thread at a time. `source` must outlive it. Sees nothing at or behind
// `file_limit`.
class ByteWindow {
 public:
  ByteWindow(const ByteSource& source, uint64_t file_limit)
      : source_(source), file_limit_(file_limit) {}

  // All bytes at hand from `offset` on: at least `min_bytes`, fewer only where
  // the limit or the source ends. Where that takes a read, it asks for
  // `read_bytes`. Valid until the next call. An error is the device's.
  Result<std::span<const std::byte>> Peek(uint64_t offset, size_t min_bytes, size_t read_bytes) {
    if (offset >= file_limit_) return std::span<const std::byte>{};
    const uint64_t left_bytes = file_limit_ - offset;
    const bool is_inside = offset >= offset_ && offset - offset_ < valid_bytes_;
    if (is_inside && valid_bytes_ - (offset - offset_) >= std::min<uint64_t>(min_bytes, left_bytes))
      return std::span<const std::byte>(buffer_.get(), valid_bytes_).subspan(offset - offset_);
    GZIPFS_TRY(Fill(offset, std::min<uint64_t>(std::max(min_bytes, read_bytes), left_bytes)));
    return std::span<const std::byte>(buffer_.get(), valid_bytes_);
  }

 private:
  Result<void> Fill(uint64_t offset, size_t byte_count) {
    if (byte_count > capacity_bytes_) {
      buffer_ = std::make_unique_for_overwrite<std::byte[]>(byte_count);
      capacity_bytes_ = byte_count;
    }
    valid_bytes_ = 0;
    Result<size_t> got = source_.ReadAt(offset, {buffer_.get(), byte_count});
    if (!got) return Fail(got.error());
    offset_ = offset;
    valid_bytes_ = *got;
    return {};
  }

  const ByteSource& source_;
  const uint64_t file_limit_;
  std::unique_ptr<std::byte[]> buffer_;
  size_t capacity_bytes_ = 0;
  size_t valid_bytes_ = 0;
  uint64_t offset_ = 0;  // of the first valid byte
};

}  // namespace gzipfs
