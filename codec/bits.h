// Strings of bits in deflate's order: the lowest bit of a byte comes first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gzipfs {

// The bits [from_bit, end_bit) of `bytes`, moved to begin at bit 0; what is left
// of the last byte is zero. REQUIRES: from_bit <= end_bit <= 8 * bytes.size().
inline std::vector<std::byte> ShiftBits(std::span<const std::byte> bytes, uint32_t from_bit,
                                        uint32_t end_bit) {
  const uint32_t bit_count = end_bit - from_bit;
  std::vector<std::byte> shifted((bit_count + 7) / 8);
  const uint32_t shift = from_bit % 8;
  for (size_t i = 0; i < shifted.size(); ++i) {
    const size_t at = from_bit / 8 + i;
    unsigned value = std::to_integer<unsigned>(bytes[at]) >> shift;
    if (shift > 0 && at + 1 < bytes.size())
      value |= std::to_integer<unsigned>(bytes[at + 1]) << (8 - shift);
    shifted[i] = static_cast<std::byte>(value);
  }
  if (bit_count % 8 > 0) shifted.back() &= static_cast<std::byte>((1 << bit_count % 8) - 1);
  return shifted;
}

}  // namespace gzipfs
