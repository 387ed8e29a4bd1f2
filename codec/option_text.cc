// Units are powers of 1024, with or without "B" or "iB", in either case.
#include "codec/option_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cmath>

#include "codec/base/units.h"
#include "codec/codec.h"
#include "codec/gzip_format.h"

namespace gzipfs {
namespace {

constexpr std::string_view kUnits = "KMGTPE";

// The shift a unit stands for: 10 for "K", "kB", "KiB"; 0 for "" and "B".
std::optional<int> UnitShift(std::string_view unit) {
  std::string upper(unit);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (upper.empty() || upper == "B") return 0;
  const size_t place = kUnits.find(upper.front());
  const std::string_view rest = std::string_view(upper).substr(1);
  if (place == std::string_view::npos || !(rest.empty() || rest == "B" || rest == "IB"))
    return std::nullopt;
  return 10 * (static_cast<int>(place) + 1);
}

}  // namespace

std::optional<uint64_t> ParseByteCount(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{}) return std::nullopt;
  const std::optional<int> shift = UnitShift({unit, static_cast<size_t>(end - unit)});
  if (!shift || (*shift > 0 && (number >> (64 - *shift)) != 0)) return std::nullopt;
  return number << *shift;
}

std::optional<uint64_t> ParseCount(std::string_view text, uint64_t limit) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number > limit) return std::nullopt;
  return number;
}

std::optional<int> ParseLevel(std::string_view text) {
  if (text == "fast") return kLevelFast;
  const std::optional<uint64_t> level = ParseCount(text, kMaxLevel);
  if (!level || *level == 0) return std::nullopt;
  return static_cast<int>(*level);
}

std::optional<uint64_t> ParseBlockBytes(std::string_view text) {
  const std::optional<uint64_t> bytes = ParseByteCount(text);
  if (!bytes || !std::has_single_bit(*bytes)) return std::nullopt;
  const bool is_large = *bytes >= kMinLargeBlockBytes && *bytes <= kMaxLargeBlockBytes;
  return is_large || *bytes == kBgzfBlockBytes ? bytes : std::nullopt;
}

std::string FormatByteCount(uint64_t byte_count) {
  if (byte_count < kKiB) return fmt::format("{} byte{}", byte_count, byte_count == 1 ? "" : "s");
  int unit = (63 - std::countl_zero(byte_count)) / 10;
  double number = std::ldexp(static_cast<double>(byte_count), -10 * unit);
  if (number >= 1023.5 && static_cast<size_t>(unit) < kUnits.size()) {  // would print as 1024
    number /= 1024;
    ++unit;
  }
  const char name = kUnits[static_cast<size_t>(unit) - 1];
  if (number == std::floor(number)) return fmt::format("{:.0f} {}iB", number, name);
  const int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}iB", number, decimals, name);
}

std::string FormatExactByteCount(uint64_t byte_count) {
  if (byte_count < kKiB) return FormatByteCount(byte_count);
  return fmt::format("{} bytes ({})", byte_count, FormatByteCount(byte_count));
}

}  // namespace gzipfs
