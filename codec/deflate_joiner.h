// Makes one deflate stream of several, without compressing anything again.
//
// In each stream the bit that calls its last block the final one (RFC 1951
// section 3.2.3) is cleared. Where a stream does not end with a byte, an empty
// stored block follows, four or five bytes that end with one, as zlib's
// Z_FULL_FLUSH writes it. So the bytes of a stream stay as they are, whatever
// kind of blocks it has, and every stream can be made ready by itself: shifting
// bits would save 0.03 % at blocks of 64 KiB, and would depend on all that
// stands before. kEmptyDeflate behind the last one ends the joined stream.
//
// zlib finds the last block (inflate with Z_BLOCK tells where blocks end) and
// decodes on its way, so what is joined has been verified.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/base/byte_source.h"
#include "codec/base/result.h"

namespace gzipfs {

// Takes one raw deflate stream, a piece at a time. One thread at a time;
// reusable.
class DeflateJoiner {
 public:
  struct Progress {
    size_t consumed = 0;  // input bytes taken
    bool at_end = false;  // the stream is complete
  };

  DeflateJoiner();
  ~DeflateJoiner();
  DeflateJoiner(const DeflateJoiner&) = delete;
  DeflateJoiner& operator=(const DeflateJoiner&) = delete;

  // Begins another stream.
  void Reset();
  // Goes on with the next bytes of the stream: takes all of them, or those up to
  // its end. kBadDeflate when it is broken. REQUIRES: it has not ended or failed.
  Result<Progress> Add(std::span<const std::byte> deflate);
  // Appends to `open` the bytes of the joined stream that are ready and were not
  // taken yet; at the end of the stream all that are left.
  void TakeOpen(std::vector<std::byte>* open);

  // Of the plain bytes so far.
  uint32_t crc32() const;
  uint64_t plain_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a joined member has become.
struct JoinedPart {
  uint32_t crc32 = 0;
  uint64_t plain_bytes = 0;
};

// Appends the deflate stream of `member` (all of it, exactly), ready to be
// followed by others, to `open`; nothing for a member without plain bytes.
// CRC32 and ISIZE are checked; on failure `open` is as it was. Thread-safe.
Result<JoinedPart> JoinMember(std::span<const std::byte> member, std::vector<std::byte>* open);

// The same for a member of any size that does not say where it ends. One thread
// at a time. `source` must outlive it.
class MemberJoinStream {
 public:
  // `file_offset` is the first byte of the member.
  MemberJoinStream(const ByteSource& source, uint64_t file_offset);
  ~MemberJoinStream();
  MemberJoinStream(MemberJoinStream&&) noexcept;
  MemberJoinStream& operator=(MemberJoinStream&&) noexcept;

  // Appends the next piece to `open`. Errors as MemberStream's; one stays.
  Result<void> Read(std::vector<std::byte>* open);
  bool at_end() const;             // the trailer has been checked
  uint64_t file_position() const;  // after the end: first byte behind the member
  JoinedPart part() const;         // so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gzipfs
