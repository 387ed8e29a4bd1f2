// Little-endian integers in byte buffers, as RFC 1952 stores them.
//
// Pure functions; the caller makes sure that the bytes are there.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gzipfs {

inline uint64_t LoadLittle(const std::byte* from, int byte_count) {
  uint64_t value = 0;
  for (int i = 0; i < byte_count; ++i) value |= static_cast<uint64_t>(from[i]) << (8 * i);
  return value;
}
inline uint16_t LoadLe16(const std::byte* from) {
  return static_cast<uint16_t>(LoadLittle(from, 2));
}
inline uint32_t LoadLe24(const std::byte* from) {
  return static_cast<uint32_t>(LoadLittle(from, 3));
}
inline uint32_t LoadLe32(const std::byte* from) {
  return static_cast<uint32_t>(LoadLittle(from, 4));
}
inline uint64_t LoadLe48(const std::byte* from) { return LoadLittle(from, 6); }

inline void StoreLittle(std::byte* to, uint64_t value, int byte_count) {
  for (int i = 0; i < byte_count; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}
inline void StoreLe16(std::byte* to, uint64_t value) { StoreLittle(to, value, 2); }
inline void StoreLe24(std::byte* to, uint64_t value) { StoreLittle(to, value, 3); }
inline void StoreLe32(std::byte* to, uint64_t value) { StoreLittle(to, value, 4); }
inline void StoreLe48(std::byte* to, uint64_t value) { StoreLittle(to, value, 6); }

}  // namespace gzipfs
