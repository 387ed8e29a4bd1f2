// A pipe, terminal or socket as a byte source that is read once, forward.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "codec/base/units.h"
#include "codec/base/byte_source.h"
#include "fs/sys/stream.h"

namespace gzipfs {

// How far behind the last byte read a reader may still look.
inline constexpr uint64_t kPipeRetainBytes = 10 * kMiB;

// One thread at a time, unlike other sources. `fd` must outlive it. A read
// further behind than kPipeRetainBytes is ESPIPE.
class PipeSource final : public ByteSource {
 public:
  explicit PipeSource(int fd) : fd_(fd) {}

  Result<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    if (offset < window_offset_) return Fail(ESPIPE);
    GZIPFS_TRY(FetchUpTo(offset + out.size()));
    const uint64_t window_end = window_offset_ + window_.size();
    if (offset >= window_end) return 0;
    const size_t count = std::min<uint64_t>(out.size(), window_end - offset);
    std::memcpy(out.data(), window_.data() + (offset - window_offset_), count);
    return count;
  }
  // Not known before the end: as large as can be.
  uint64_t Size() const override { return ~uint64_t{0}; }

 private:
  Result<void> FetchUpTo(uint64_t end) const {
    while (window_offset_ + window_.size() < end && !at_end_) {
      if (window_.size() >= 2 * kPipeRetainBytes) {
        const size_t dropped = window_.size() - kPipeRetainBytes;
        window_.erase(window_.begin(), window_.begin() + static_cast<ptrdiff_t>(dropped));
        window_offset_ += dropped;
      }
      const size_t had = window_.size();
      const size_t wanted = std::min<uint64_t>(end - window_offset_ - had, kMiB);
      window_.resize(had + wanted);
      const Result<size_t> count = ReadStream(fd_, std::span(window_).subspan(had));
      window_.resize(had + count.value_or(0));
      if (!count) return Fail(count.error());
      at_end_ = *count < wanted;
    }
    return {};
  }

  const int fd_;
  mutable std::vector<std::byte> window_;   // the stream's bytes from window_offset_ on
  mutable uint64_t window_offset_ = 0;
  mutable bool at_end_ = false;
};

}  // namespace gzipfs
