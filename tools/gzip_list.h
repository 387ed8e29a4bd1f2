// What `unpack -l` tells of a gzip file: sizes of all of it, not of the last
// member as gzip -l does.
#pragma once

#include <cstdint>
#include <string>

#include "codec/base/byte_source.h"

namespace gzipfs {

struct ListedFile {
  uint64_t plain_bytes = 0;
  uint64_t file_bytes = 0;  // complete members
  uint32_t crc32 = 0;       // of all plain bytes, from the members' trailers
};

// Walks the members; those that do not carry their length are decoded. What is
// not gzip behind the first member is left out. An empty source is kTruncated.
Result<ListedFile> ListGzip(const ByteSource& source);

struct ListStyle {
  bool has_heading = false;
  bool is_verbose = false;  // method, CRC-32, date and time as well
};

// A line as gzip -l writes it, `mtime` in local time.
std::string DescribeListed(const ListedFile& listed, const std::string& name, int64_t mtime,
                           const ListStyle& style);
std::string DescribeTotals(uint64_t plain_bytes, uint64_t file_bytes, bool is_verbose);

}  // namespace gzipfs
