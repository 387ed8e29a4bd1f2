// One file of a store for those who do not read members: its plain bytes, or one
// gzip member of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "codec/base/byte_source.h"
#include "codec/codec_pool.h"

namespace gzipfs {

enum class ExportForm : uint8_t {
  kPlain,         // decompressed
  kSingleMember,  // one gzip member, made of the members' deflate streams
};

struct ExportOptions {
  ExportForm form = ExportForm::kSingleMember;
  // Null: everything on the calling thread.
  CodecPool* pool = nullptr;
  // Grows by the stored bytes that are done; may be null.
  std::atomic<uint64_t>* done_bytes = nullptr;
};

// Writes the gzip file `source` to `out_fd`, every member verified by decoding it.
// `mtime` goes into the header of a single member, if it fits. An empty source is
// a file of no bytes. The error is a clause for a person, without the file's name;
// after it `out_fd` has a part of the file. Ends early after WasInterrupted.
tl::expected<void, std::string> ExportGzip(const ByteSource& source, const ExportOptions& options,
                                           int64_t mtime, int out_fd);

}  // namespace gzipfs
