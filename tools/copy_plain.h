// Decodes a gzip source to a descriptor: the work of `cat` and `unpack`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/base/byte_source.h"
#include "codec/codec_pool.h"
#include "codec/restart_points.h"
#include "tools/plain_stream.h"

namespace gzipfs {

// Why copying ended early, or what was left over.
struct CopyFailure {
  enum class Kind : uint8_t {
    kInput,     // the input could not be read: `code`
    kOutput,    // the output could not be written: `code`
    kData,      // `member` is damaged; everything before it was written
    kLeftover,  // everything was written; from `member` on the input is not gzip
  };
  Kind kind = Kind::kInput;
  std::error_code code;
  PassedMember member;
};

// The plain bytes to copy.
struct PlainRange {
  uint64_t begin = 0;
  uint64_t end = ~uint64_t{0};  // behind the last one
};

// What was copied.
struct CopyCounts {
  uint64_t plain_bytes = 0;
  uint64_t file_bytes = 0;    // members that have ended
  uint64_t member_count = 0;  // of them, with plain bytes
};

// Writes the plain bytes of `range` to `out_fd`, decoding from `start` on, while
// a thread of its own writes. -1: nowhere. `counts` may be null.
tl::expected<void, CopyFailure> CopyPlain(const ByteSource& source, CodecPool& pool,
                                          PlainStream::Start start, PlainRange range, int out_fd,
                                          CopyCounts* counts = nullptr);

// Writes what `restarts` can decode of `range`, as far as their CRC32s agree, from the
// restart point before it on. `member_plain_offset`: of the member they are about, which ends
// at `file_limit`. The plain offset up to which everything is written: where it is not the
// member's end or that of the range, decoding the member from its start tells why.
tl::expected<uint64_t, CopyFailure> CopyFromRestarts(const ByteSource& source,
                                                     const MemberRestarts& restarts,
                                                     uint64_t member_plain_offset,
                                                     uint64_t file_limit, PlainRange range,
                                                     int out_fd);

// Writes the source's own bytes to `out_fd`.
tl::expected<void, CopyFailure> CopyAsItIs(const ByteSource& source, int out_fd);

// True when nothing but zeros stands from `offset` to the end of the source.
bool IsZeroFrom(const ByteSource& source, uint64_t offset);

// Says what happened: "FILE: CRC32 mismatch in the member at ...".
std::string DescribeFailure(const CopyFailure& failure, std::string_view input_name,
                            std::string_view output_name);

// What gzip(1) exits with when bytes that are not gzip follow the data.
inline constexpr int kExitLeftover = 2;
// The exit status for a failure.
int ExitStatusOf(const CopyFailure& failure);

}  // namespace gzipfs
