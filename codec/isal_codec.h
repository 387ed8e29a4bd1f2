// What the parts of the ISA-L backend share. Only they include this.
#pragma once

#include <isa-l.h>

#include <limits>
#include <span>

#include "codec/codec.h"

namespace gzipfs {

// Its lengths have 32 bits.
inline constexpr size_t kMaxIsalPieceBytes = std::numeric_limits<uint32_t>::max();

// ISA-L does not write through next_in, but declares it without const.
inline uint8_t* IsalInput(std::span<const std::byte> bytes) {
  return reinterpret_cast<uint8_t*>(const_cast<std::byte*>(bytes.data()));
}

// StreamDecompressor's functions for a state that somebody else owns; the state
// was initialised before Inflate, and is by Resume.
Result<StreamDecompressor::Progress> InflateWithIsal(inflate_state& state,
                                                     std::span<const std::byte> deflate,
                                                     std::span<std::byte> plain);
Result<void> ResumeWithIsal(inflate_state& state, const DeflatePlace& place, std::byte first_byte,
                            std::span<const std::byte> window);

}  // namespace gzipfs
