// How an operation that can fail says so.
//
// Every fallible function of the project returns Result<T>: the value, or the
// std::error_code that says why there is none. Codes of the system category
// are errno values; kCorrupt and the other DataError codes say what is wrong
// with bytes somebody gave us. An errno leaves the program only in fs/fuse.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include <tl/expected.hpp>

namespace gzipfs {

template <typename T>
using Result = tl::expected<T, std::error_code>;

// What can be wrong with the bytes of a gzip file.
enum class DataError {
  kNotGzip = 1,    // does not begin with a gzip member
  kTruncated,      // ends inside a member
  kBadHeader,      // member header breaks RFC 1952 or its own subfields
  kBadDeflate,     // deflate stream cannot be decoded
  kBadChecksum,    // CRC32 of the plain bytes differs from the trailer's
  kBadSize,        // plain bytes are more or fewer than ISIZE says
  kBadTail,        // tail or index contradicts the members
  kTooLarge,       // a limit of the format is exceeded
  kDecodersDiffer, // zlib makes something else of a member than the decoder in use
};

const std::error_category& DataErrorCategory();

inline std::error_code make_error_code(DataError error) {
  return {static_cast<int>(error), DataErrorCategory()};
}

// The failure value for a DataError or an errno value.
inline tl::unexpected<std::error_code> Fail(DataError error) {
  return tl::unexpected<std::error_code>(make_error_code(error));
}
inline tl::unexpected<std::error_code> Fail(int errno_value) {
  return tl::unexpected<std::error_code>(std::error_code(errno_value, std::system_category()));
}
inline tl::unexpected<std::error_code> Fail(std::error_code code) {
  return tl::unexpected<std::error_code>(code);
}

// The errno a program gets to see for `code`: its own value for the system
// category, EIO for bad data.
inline int ErrnoOf(std::error_code code) {
  return code.category() == std::system_category() ? code.value() : EIO;
}

}  // namespace gzipfs

template <>
struct std::is_error_code_enum<gzipfs::DataError> : std::true_type {};

// Leaves the function with the error of a Result<...> expression, if it has one.
#define GZIPFS_TRY(expression)                                     \
  do {                                                             \
    if (auto try_result_ = (expression); !try_result_)             \
      return ::gzipfs::Fail(std::move(try_result_).error());       \
  } while (false)
