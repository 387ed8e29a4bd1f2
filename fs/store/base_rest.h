// What the bytes behind the last readable member of a base file are.
//
// A crash may leave part of a write there, which the next write replaces. A
// damaged header looks much the same, but has members behind it that must not
// be cut off; and a file that begins with neither is no gzip file at all.
#pragma once

#include "codec/base/byte_source.h"
#include "codec/member_index.h"

namespace gzipfs {

enum class BaseRest {
  kNone,     // there are no such bytes
  kTorn,     // a write of ours that did not get to its end: nobody's data
  kGarbage,  // not gzip, behind members: what gzip itself passes over
  kDamaged,  // a member that cannot be read, of ours or not: to be kept
};

// Tells which. `valid_bytes`, `why` and `is_conforming` are the layout's
// valid_bytes, rest and is_conforming. Reads all of the rest. Errors are the
// device's.
Result<BaseRest> ClassifyRest(const ByteSource& file, uint64_t valid_bytes, std::error_code why,
                              bool is_conforming);
inline Result<BaseRest> ClassifyRest(const ByteSource& file, const FileLayout& layout) {
  return ClassifyRest(file, layout.valid_bytes, layout.rest, layout.is_conforming);
}

// Whether a member with plain bytes stands somewhere behind `offset`, as far as
// header and trailer tell. Errors are the device's.
Result<bool> HasMembersBehind(const ByteSource& file, uint64_t offset);

}  // namespace gzipfs
