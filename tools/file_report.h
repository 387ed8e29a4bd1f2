// What a look at a stored file's structure tells, without decoding members
// that carry their length.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

#include "codec/base/byte_source.h"
#include "codec/gzip_format.h"
#include "codec/member_index.h"

namespace gzipfs {

struct FileReport {
  uint64_t plain_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t valid_bytes = 0;       // of them, complete members
  uint64_t data_members = 0;      // with plain bytes
  uint64_t foreign_members = 0;   // of them, without a length of their own
  uint64_t empty_members = 0;     // tails, end-of-file markers, others without plain bytes
  uint64_t largest_block_bytes = 0;
  uint64_t first_block_bytes = 0;
  std::optional<Profile> profile;  // of the first member
  bool is_mixed = false;           // not all members are of that profile
  bool ends_with_marker = false;   // the end-of-file marker is the last member
  bool has_dead_tail = false;      // empty members that carry a tail's payload
  bool ends_like_tail = false;     // such ones are last, but for an end-of-file marker
  std::optional<TailSummary> tail;
  std::optional<uint64_t> joined_at;  // file offset of the last of several files in one
  uint64_t group_count = 0;        // what the tail's index describes
  bool index_agrees = false;       // with the members; only with a tail
  std::error_code rest;            // why what is behind valid_bytes is no member
  std::byte os_byte{};             // of the first member's header
  bool has_name = false;           // the first member's header carries a file name
  bool is_kept = false;            // its store knew the foreign members: none was decoded
};

// `kept`: what is known of a file without a tail (LoadKeptLayout), or null. Errors are the
// device's; damage is in the report.
Result<FileReport> ReportFile(const ByteSource& source, const FileLayout* kept = nullptr);

// "bgzf", "large", "foreign", "bgzf and others", "empty".
std::string_view ProfileName(const FileReport& report);
// Who wrote it, as far as that shows: "gzipfs", "bgzip", ...
std::string_view WriterName(const FileReport& report);

}  // namespace gzipfs
