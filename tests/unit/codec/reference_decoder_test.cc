// zlib as the second witness: it agrees with what is right, and sees what is not.
#include "codec/reference_decoder.h"

#include <gtest/gtest.h>

#include "tests/unit/codec/test_data.h"

namespace gzipfs {
namespace {

using test::Buffer;

TEST(ReferenceDecoder, AgreesWithWhatWeWrite) {
  for (size_t plain_bytes : {1u, 1000u, 65536u}) {
    const Buffer plain = test::TextLike(plain_bytes);
    for (Profile profile : {Profile::kBgzf, Profile::kLarge}) {
      const Buffer member = EncodeBlock(profile, 6, plain).bytes;
      EXPECT_TRUE(CheckByReference(member, plain));
      EXPECT_TRUE(CheckByReference(SpanSource(member), 0, member.size()));
    }
  }
}

TEST(ReferenceDecoder, SeesOtherBytesAndOtherEnds) {
  Buffer plain = test::TextLike(200'000);
  Buffer member = test::MakeForeign(plain, {.name = "name"});
  EXPECT_TRUE(CheckByReference(SpanSource(member), 0, member.size()));
  EXPECT_EQ(CheckByReference(SpanSource(member), 0, member.size() - 1).error(),
            DataError::kDecodersDiffer);
  plain[5] ^= std::byte{1};
  EXPECT_EQ(CheckByReference(member, plain).error(), DataError::kDecodersDiffer);
  for (size_t from_end : {1, 5, 1000}) {
    Buffer other = member;
    other[other.size() - from_end] ^= std::byte{1};
    EXPECT_EQ(CheckByReference(SpanSource(other), 0, other.size()).error(),
              DataError::kDecodersDiffer)
        << from_end;
  }
}

}  // namespace
}  // namespace gzipfs
