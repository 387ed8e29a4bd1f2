// Decodes a gzip source to a descriptor: the work of `cat` and `unpack`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/base/byte_source.h"
#include "codec/codec_pool.h"
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

// Writes the plain bytes of `range` to `out_fd`, decoding from `start` on.
tl::expected<void, CopyFailure> CopyPlain(const ByteSource& source, CodecPool& pool,
                                          PlainStream::Start start, PlainRange range, int out_fd);

// Says what happened: "FILE: CRC32 mismatch in the member at ...".
std::string DescribeFailure(const CopyFailure& failure, std::string_view input_name,
                            std::string_view output_name);

// What gzip(1) exits with when bytes that are not gzip follow the data.
inline constexpr int kExitLeftover = 2;
// The exit status for a failure.
int ExitStatusOf(const CopyFailure& failure);

}  // namespace gzipfs
