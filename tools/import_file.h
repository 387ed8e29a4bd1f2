// One file made a store member: compressed in blocks, verified, durable, and only
// then in its place.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/codec_pool.h"
#include "tools/pack_stream.h"

namespace gzipfs {

// What a source is.
enum class ImportKind : uint8_t {
  kPlain,    // its bytes are to be compressed
  kForeign,  // gzip without our tail: what it decodes to
  kOurs,     // in our format: copied as it is, when it comes from elsewhere
  kRaw,      // ends in .gz and is no gzip: copied as it is, when it comes from elsewhere
};

struct ImportJob {
  ImportKind kind = ImportKind::kPlain;
  std::vector<std::string> sources;  // the names of one file; the first is read
  std::vector<std::string> targets;  // what each of them becomes
  struct stat status {};             // of the source, as it was listed
};

struct ImportOptions {
  PackOptions pack;
  bool is_in_place = true;      // the sources go; a foreign target takes its source's place
  bool keeps = false;           // plain sources stay beside their targets
  bool is_dry = false;          // everything is compressed, nothing written
  CodecPool* pool = nullptr;    // for the blocks of large files
};

struct ImportResult {
  enum class Kind : uint8_t { kImported, kDoneBefore } kind = Kind::kImported;
  uint64_t plain_bytes = 0;
  uint64_t source_bytes = 0;
  uint64_t stored_bytes = 0;
};

// Does one job; `done_bytes` grows by source bytes read. The error is a clause for
// a person; then the source is as it was, and nothing is left of the target.
// Thread-safe. Ends early after WasInterrupted.
//
// In place the order is: write, fsync, read back and compare, look whether the
// source has changed, rename, fsync the directory, remove the source. A run that
// was killed in between leaves a temporary file (NewFile), or source and target
// side by side with equal bytes and times: the next one finishes that.
tl::expected<ImportResult, std::string> ImportFile(const ImportJob& job,
                                                   const ImportOptions& options,
                                                   std::atomic<uint64_t>& done_bytes);

}  // namespace gzipfs
