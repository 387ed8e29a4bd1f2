// Byte counts, levels and block sizes as people write and read them, the same
// in mount options and on every command line.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gzipfs {

// "65536", "64K", "4MiB", "1g": a whole number and a binary unit. nullopt for
// anything else and for what does not fit 64 bits.
std::optional<uint64_t> ParseByteCount(std::string_view text);

// A whole number of at most `limit`; digits only.
std::optional<uint64_t> ParseCount(std::string_view text, uint64_t limit);

// "fast" or "1" to "12": what MakeCompressor takes.
std::optional<int> ParseLevel(std::string_view text);

// A block size the format has: 64K, or a power of two from 128K to 4M.
std::optional<uint64_t> ParseBlockBytes(std::string_view text);

// What ParseLevel and ParseBlockBytes take, for messages.
inline constexpr std::string_view kLevelChoices = "fast or 1 to 12";
inline constexpr std::string_view kBlockBytesChoices =
    "64K (BGZF), or a power of two from 128K to 4M";

// "512 bytes", "64 KiB", "1.30 GiB": three digits of it.
std::string FormatByteCount(uint64_t byte_count);

// "65536 bytes (64 KiB)": exact and readable.
std::string FormatExactByteCount(uint64_t byte_count);

}  // namespace gzipfs
