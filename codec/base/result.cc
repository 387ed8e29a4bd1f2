// Texts of DataError, as they appear in messages: "FILE: text".
#include "codec/base/result.h"

namespace gzipfs {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "gzip data"; }
  std::string message(int value) const override {
    switch (static_cast<DataError>(value)) {
      case DataError::kNotGzip: return "not in gzip format";
      case DataError::kTruncated: return "ends inside a gzip member";
      case DataError::kBadHeader: return "bad gzip member header";
      case DataError::kBadDeflate: return "bad compressed data";
      case DataError::kBadChecksum: return "CRC32 mismatch";
      case DataError::kBadSize: return "plain size differs from the member's trailer";
      case DataError::kBadTail: return "tail or index contradicts the members";
      case DataError::kTooLarge: return "exceeds a limit of the format";
      case DataError::kDecodersDiffer: return "zlib decodes it to something else";
    }
    return "unknown error";
  }
};

}  // namespace

const std::error_category& DataErrorCategory() {
  static const Category category;
  return category;
}

}  // namespace gzipfs
