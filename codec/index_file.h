// The layout of a foreign file as bytes, to be kept beside it.
//
// What is in it is derived: it saves decoding the file once more to find out
// its size and where its members can be read from. Whoever reads it back knows
// by `file` that it is about the file as it is, and by checksums that it is as
// it was written. Section 10 of codec/FORMAT.md has the bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/member_index.h"

namespace gzipfs {

// What tells one state of a file from another: stat(2)'s numbers.
struct IndexedFile {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t file_bytes = 0;
  int64_t modified_seconds = 0;
  int64_t changed_seconds = 0;
  uint32_t modified_nanoseconds = 0;
  uint32_t changed_nanoseconds = 0;

  bool operator==(const IndexedFile&) const = default;
};

inline constexpr size_t kIndexHeaderBytes = 80;

// The bytes for `layout`, which has no tail.
std::vector<std::byte> EncodeIndexFile(const IndexedFile& file, const FileLayout& layout);

// Which file the index is about, from its first kIndexHeaderBytes; kBadHeader
// when it is none of this version.
Result<IndexedFile> ParseIndexHeader(std::span<const std::byte> bytes);

// The layout that `bytes` have for `file`. kBadTail when they are not as they
// were written, about another file, or say what cannot be; takes a small
// multiple of their size in memory, whatever they say. Decoding from a point
// they have is safe, and right where the CRC32 of the piece is.
Result<FileLayout> DecodeIndexFile(const IndexedFile& file, std::span<const std::byte> bytes);

// Holds `layout` against the trailers of its members in `source` which are
// larger than a piece: the CRC32 and size that the pieces make together. kBadTail
// when they differ; the device's errors.
Result<void> CheckIndexFile(const FileLayout& layout, const ByteSource& source);

}  // namespace gzipfs
