// The columns are those of gzip 1.12.
#include "tools/gzip_list.h"

#include <fmt/format.h>

#include <ctime>

#include "codec/codec.h"
#include "codec/member_scanner.h"

namespace gzipfs {
namespace {

std::string Columns(uint64_t plain_bytes, uint64_t file_bytes, const std::string& name) {
  const auto plain = static_cast<double>(plain_bytes);
  const double saved =
      plain_bytes == 0 ? 0 : 100 * (plain - static_cast<double>(file_bytes)) / plain;
  return fmt::format("{:19} {:19} {:5.1f}% {}\n", file_bytes, plain_bytes, saved, name);
}

}  // namespace

Result<ListedFile> ListGzip(const ByteSource& source) {
  ListedFile listed;
  MemberScanner scanner(source);
  for (;;) {
    const Result<std::optional<MemberInfo>> member = scanner.Next();
    if (!member && (member.error() != DataError::kNotGzip || scanner.position() == 0))
      return Fail(member.error());
    if (!member || !*member) break;
    listed.crc32 = CombineCrc32(listed.crc32, (*member)->crc32, (*member)->plain_bytes);
  }
  listed.plain_bytes = scanner.plain_position();
  listed.file_bytes = scanner.position();
  if (listed.file_bytes == 0) return Fail(DataError::kTruncated);
  return listed;
}

std::string DescribeListed(const ListedFile& listed, const std::string& name, int64_t mtime,
                           const ListStyle& style) {
  std::string text;
  if (style.has_heading) {
    text = style.is_verbose ? "method  crc     date  time  " : "";
    text += "         compressed        uncompressed  ratio uncompressed_name\n";
  }
  if (style.is_verbose) {
    char when[32] = "";
    const auto seconds = static_cast<time_t>(mtime);
    tm local{};
    ::localtime_r(&seconds, &local);
    std::strftime(when, sizeof when, "%b %e %H:%M", &local);
    text += fmt::format("defla {:08x} {} ", listed.crc32, when);
  }
  return text + Columns(listed.plain_bytes, listed.file_bytes, name);
}

std::string DescribeTotals(uint64_t plain_bytes, uint64_t file_bytes, bool is_verbose) {
  return std::string(is_verbose ? 28 : 0, ' ') + Columns(plain_bytes, file_bytes, "(totals)");
}

}  // namespace gzipfs
