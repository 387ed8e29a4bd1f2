// ISA-L's inflate, with an eye on where it is.
//
// ISA-L stops where its input ends, which may be anywhere, and tells exactly
// how many bits it has used. To go on there a decoder needs the plain bytes
// before it, which whoever calls has, and the tables of the block. Those are
// made again from the block's header. ISA-L does not tell where that began, but
// its tables show whether one was read during a call: so each call starts with
// a copy of the state, and the one that has changed the tables last is done
// over, up to where the tables change, and from there with half of the input and
// half again, until the input ends inside of the header; there ISA-L says so.
// (The same header may make different tables, because ISA-L makes larger ones
// where more input follows.) What is done over gives other plain bytes, because
// the copies have not those before it, but it takes the same bits.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "codec/base/endian.h"
#include "codec/bits.h"
#include "codec/isal_codec.h"

namespace gzipfs {
namespace {

constexpr size_t kReplayPieceBytes = 64 * kKiB;
// A header is looked for in that much of the input at once.
constexpr size_t kSearchPieceBytes = kKiB;
// Headers in the input of one call. Blocks of that size are made by nobody who
// wants to compress; a place is found further on, then.
constexpr int kMaxHeadersPassed = 16;

// All but the plain bytes that the decoder has, three quarters of it: how many of them
// there are, tmp_out_valid, is copied.
void CopyPosition(const inflate_state& from, inflate_state& to) {
  constexpr size_t kPositionBytes = offsetof(inflate_state, tmp_out_buffer);
  static_assert(kPositionBytes + sizeof(from.tmp_out_buffer) + alignof(inflate_state) >
                sizeof(inflate_state));
  std::memcpy(&to, &from, kPositionBytes);
}

bool HasSameTables(const inflate_state& a, const inflate_state& b) {
  return std::memcmp(&a.lit_huff_code, &b.lit_huff_code, sizeof(a.lit_huff_code)) == 0 &&
         std::memcmp(&a.dist_huff_code, &b.dist_huff_code, sizeof(a.dist_huff_code)) == 0;
}

// Whether `state`, which has used up its input, has handed out all it decoded.
bool HasNothingPending(const inflate_state& state) {
  return state.tmp_out_valid == state.tmp_out_processed && state.write_overflow_len == 0 &&
         state.copy_overflow_length == 0;
}

class IsalTracer final : public TracingDecompressor {
 public:
  IsalTracer()
      : state_(std::make_unique<inflate_state>()),
        before_(std::make_unique<inflate_state>()),
        changed_(std::make_unique<inflate_state>()) {
    isal_inflate_init(state_.get());
  }

  Result<Progress> Inflate(std::span<const std::byte> deflate,
                           std::span<std::byte> plain) override {
    CopyPosition(*state_, *before_);
    const Result<Progress> progress = InflateWithIsal(*state_, deflate, plain);
    if (!progress) return progress;
    has_just_changed_ = !HasSameTables(*before_, *state_);
    if (has_just_changed_) {
      std::swap(before_, changed_);
      changed_input_.assign(deflate.begin(), deflate.begin() + progress->consumed);
      header_bits_ = 0;
      is_lost_ = false;
    }
    consumed_ += progress->consumed;
    is_drained_ = progress->consumed == deflate.size() && HasNothingPending(*state_);
    return progress;
  }

  Result<void> Resume(const DeflatePlace& place, std::byte first_byte,
                      std::span<const std::byte> window) override {
    return ResumeWithIsal(*state_, place, first_byte, window);
  }

  std::optional<DeflatePlace> Place(bool insists) override {
    if (!is_drained_) return std::nullopt;
    DeflatePlace place{.bit = BitsUsed(*state_, consumed_), .header_bits = 0, .header = {}};
    switch (state_->block_state) {
      case ISAL_BLOCK_NEW_HDR:
      case ISAL_BLOCK_HDR:
        return place;
      case ISAL_BLOCK_TYPE0:
        PutStoredHeader(place);
        return place;
      case ISAL_BLOCK_CODED:
        if (!has_just_changed_ && header_bits_ == 0 && !insists) return std::nullopt;
        // Once is enough: it costs many times what the decoding did.
        if (header_bits_ == 0 && (is_lost_ || !FindHeader())) {
          is_lost_ = true;
          return std::nullopt;
        }
        place.header_bits = header_bits_;
        place.header = header_;
        // Of two blocks with the same tables only the second may be the last.
        place.header[0] = (place.header[0] & ~std::byte{1}) | FinalBit();
        return place;
      default:
        return std::nullopt;
    }
  }

 private:
  static uint64_t BitsUsed(const inflate_state& state, uint64_t consumed) {
    const auto pending = static_cast<uint64_t>(state.read_in_length);
    const uint64_t put_aside =
        state.block_state == ISAL_BLOCK_HDR ? static_cast<uint64_t>(state.tmp_in_size) : 0;
    return (consumed - put_aside) * 8 - pending;
  }

  std::byte FinalBit() const { return static_cast<std::byte>(state_->bfinal != 0 ? 1 : 0); }

  // RFC 1951, section 3.2.4.
  void PutStoredHeader(DeflatePlace& place) const {
    const auto left = static_cast<uint16_t>(state_->type0_block_len);
    place.header.resize(5);
    place.header[0] = FinalBit();
    StoreLe16(&place.header[1], left);
    StoreLe16(&place.header[3], static_cast<uint16_t>(~left));
    place.header_bits = 40;
  }

  // Decodes `input` once more, for what it does to `state`.
  bool Replay(inflate_state& state, std::span<const std::byte> input) {
    if (!replayed_) replayed_ = std::make_unique_for_overwrite<std::byte[]>(kReplayPieceBytes);
    while (!input.empty()) {
      const auto progress = InflateWithIsal(state, input, {replayed_.get(), kReplayPieceBytes});
      if (!progress || (progress->consumed == 0 && progress->produced == 0)) return false;
      input = input.subspan(progress->consumed);
    }
    return true;
  }

  // Finds the header of the block that the stream is in: the last of those in
  // changed_input_, passing one after the other.
  bool FindHeader() {
    if (!low_) low_ = std::make_unique<inflate_state>();
    if (!probe_) probe_ = std::make_unique<inflate_state>();
    CopyPosition(*changed_, *low_);
    std::span<const std::byte> rest(changed_input_);
    int passed = 0;
    while (!rest.empty()) {
      const auto piece = rest.first(std::min(rest.size(), kSearchPieceBytes));
      CopyPosition(*low_, *probe_);
      if (!Replay(*probe_, piece)) return false;
      if (HasSameTables(*probe_, *low_)) {
        std::swap(low_, probe_);
        rest = rest.subspan(piece.size());
        continue;
      }
      const std::optional<size_t> header_end = PassHeader(rest, piece.size());
      if (!header_end || ++passed > kMaxHeadersPassed) {
        header_bits_ = 0;
        return false;
      }
      rest = rest.subspan(*header_end);
    }
    return header_bits_ > 0;
  }

  // Takes a header from the first `piece_bytes` of `rest`, which change the tables, and
  // leads low_ behind it; how many bytes that took.
  std::optional<size_t> PassHeader(std::span<const std::byte> rest, size_t piece_bytes) {
    size_t low_bytes = 0;
    size_t high_bytes = piece_bytes;
    std::optional<size_t> taken_bytes;
    while (high_bytes - low_bytes > 1 && !taken_bytes) {
      const size_t middle = low_bytes + (high_bytes - low_bytes) / 2;
      CopyPosition(*low_, *probe_);
      if (!Replay(*probe_, rest.subspan(low_bytes, middle - low_bytes))) return std::nullopt;
      if (HasSameTables(*probe_, *low_)) {
        std::swap(low_, probe_);
        low_bytes = middle;
        if (low_->block_state == ISAL_BLOCK_HDR) taken_bytes = TakeHeader(rest.subspan(middle));
      } else {
        high_bytes = middle;
      }
    }
    if (!taken_bytes) {
      taken_bytes = 1;
      if (low_->block_state != ISAL_BLOCK_HDR) {
        // Only one that has three bits begins and ends in a byte: RFC 1951, section 3.2.6.
        header_ = {std::byte{2}};
        header_bits_ = 3;
      } else if (TakeHeader(rest.subspan(low_bytes)) != 1) {
        return std::nullopt;
      }
    }
    if (!Replay(*low_, rest.subspan(low_bytes, *taken_bytes))) return std::nullopt;
    return low_bytes + *taken_bytes;
  }

  // The header that low_ has the beginning of, which goes on in `rest`: how many bytes
  // of that. nullopt when it is none that makes tables, or not all of it is there.
  std::optional<size_t> TakeHeader(std::span<const std::byte> rest) {
    rest = rest.first(std::min(rest.size(), kMaxBlockHeaderBytes));
    const auto front_bits = static_cast<uint32_t>(low_->read_in_length);
    const uint32_t put_aside = low_->tmp_in_size;
    std::vector<std::byte> packed(sizeof(low_->read_in) + put_aside + rest.size() + 1);
    const auto put = [&packed](uint32_t at, std::byte byte) {
      const unsigned value = std::to_integer<unsigned>(byte) << (at % 8);
      packed[at / 8] |= static_cast<std::byte>(value & 0xff);
      packed[at / 8 + 1] |= static_cast<std::byte>(value >> 8);
    };
    for (uint32_t i = 0; i < front_bits; ++i) {
      const bool is_set = (low_->read_in >> i & 1) != 0;
      if (is_set) packed[i / 8] |= static_cast<std::byte>(1 << i % 8);
    }
    uint32_t at = front_bits;
    for (uint32_t i = 0; i < put_aside; ++i, at += 8) {
      put(at, static_cast<std::byte>(low_->tmp_in_buffer[i]));
    }
    const uint32_t rest_at = at;
    for (const std::byte byte : rest) {
      put(at, byte);
      at += 8;
    }
    const std::optional<uint32_t> found = backend::BlockHeaderBits(packed);
    const bool is_stored = (std::to_integer<unsigned>(packed[0]) >> 1 & 3) == 0;
    if (!found || is_stored || *found > at || *found <= rest_at) return std::nullopt;
    header_ = ShiftBits(packed, 0, *found);
    header_bits_ = *found;
    return (*found - rest_at + 7) / 8;
  }

  std::unique_ptr<inflate_state> state_;
  std::unique_ptr<inflate_state> before_;   // where it was before the last call
  std::unique_ptr<inflate_state> changed_;  // before the last one that changed the tables
  std::unique_ptr<inflate_state> low_;      // of FindHeader, made when it is first needed
  std::unique_ptr<inflate_state> probe_;
  std::vector<std::byte> changed_input_;    // what that one used
  uint64_t consumed_ = 0;
  bool has_just_changed_ = false;
  bool is_lost_ = false;  // the header of the block it is in was looked for in vain
  bool is_drained_ = false;
  uint32_t header_bits_ = 0;                // of the block it is in; 0: not looked for yet
  std::vector<std::byte> header_;
  std::unique_ptr<std::byte[]> replayed_;
};

}  // namespace

namespace backend {

std::unique_ptr<TracingDecompressor> MakeIsalTracingDecompressor() {
  return std::make_unique<IsalTracer>();
}

}  // namespace backend
}  // namespace gzipfs
