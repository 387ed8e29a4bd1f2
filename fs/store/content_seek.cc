// Where the data and the holes of a file are, as far as that can be told without
// decoding it: dirty blocks are data, what was zeroed or never written is a hole, and so
// are members of zeros in the base.
#include <algorithm>

#include "fs/store/content_impl.h"

namespace gzipfs {

// What begins at `at`; nullopt behind the end.
std::optional<ContentImpl::Stretch> ContentImpl::StretchAt(uint64_t at) {
  std::shared_ptr<BaseFile> base;
  uint64_t end = 0;
  {
    MutexLock lock(mutex_);
    end = plain_bytes_;
    if (at >= end) return std::nullopt;
    const uint64_t index = at / block_bytes_;
    const auto dirty = blocks_.lower_bound(index);
    if (dirty != blocks_.end()) {
      const uint64_t start = BlockStart(dirty->first);
      if (start <= at) return Stretch{std::min(end, start + block_bytes_), false};
      end = std::min(end, start);
    }
    if (at >= base_limit_) return Stretch{end, true};
    if (const auto zeroed = zeros_.FindFrom(index)) {
      const uint64_t start = BlockStart(zeroed->begin);
      if (start <= at) return Stretch{std::min(end, BlockStart(zeroed->end)), true};
      end = std::min(end, start);
    }
    end = std::min(end, base_limit_);
    base = base_;
  }
  const BaseFile::Stretch stored = base->StretchAt(at);
  return Stretch{std::min(end, stored.plain_end), stored.is_hole};
}

Result<uint64_t> ContentImpl::Seek(uint64_t plain_offset, SeekTo what) {
  GZIPFS_TRY(CheckBase());
  SharedLock base_lock(base_lock_);
  uint64_t at = plain_offset;
  std::optional<Stretch> stretch = StretchAt(at);
  if (!stretch) return Fail(ENXIO);
  for (; stretch; stretch = StretchAt(at)) {
    if (stretch->is_hole == (what == SeekTo::kHole)) return at;
    at = stretch->plain_end;
  }
  // A hole is behind every file.
  return what == SeekTo::kHole ? Result<uint64_t>(at) : Fail(ENXIO);
}

}  // namespace gzipfs
