// Sizes, levels and block sizes as people write and read them.
#include "codec/option_text.h"

#include <gtest/gtest.h>

#include "codec/base/units.h"
#include "codec/codec.h"

namespace gzipfs {
namespace {

TEST(OptionText, ByteCountsTakeUnitsOf1024) {
  EXPECT_EQ(ParseByteCount("0"), 0u);
  EXPECT_EQ(ParseByteCount("65536"), 65536u);
  EXPECT_EQ(ParseByteCount("512B"), 512u);
  for (const char* text : {"64K", "64k", "64KB", "64kb", "64KiB"})
    EXPECT_EQ(ParseByteCount(text), 64 * kKiB) << text;
  EXPECT_EQ(ParseByteCount("4M"), 4 * kMiB);
  EXPECT_EQ(ParseByteCount("1G"), kGiB);
  EXPECT_EQ(ParseByteCount("18446744073709551615"), ~uint64_t{0});
  EXPECT_EQ(ParseByteCount("15E"), uint64_t{15} << 60);
}

TEST(OptionText, WhatIsNoByteCountIsRefused) {
  for (const char* text : {"", "K", "-1", "1.5M", "1Q", "64 K", " 64K", "1KX", "16E",
                           "18446744073709551616", "0x10"})
    EXPECT_EQ(ParseByteCount(text), std::nullopt) << text;
}

TEST(OptionText, LevelsAreFastAndOneToTwelve) {
  EXPECT_EQ(ParseLevel("fast"), kLevelFast);
  EXPECT_EQ(ParseLevel("1"), 1);
  EXPECT_EQ(ParseLevel("12"), 12);
  for (const char* text : {"", "0", "13", "slow", "6 ", "-1", "6x"})
    EXPECT_EQ(ParseLevel(text), std::nullopt) << text;
}

TEST(OptionText, BlockSizesAreThoseOfTheFormat) {
  for (const char* text : {"64K", "65536", "128K", "256K", "512K", "1M", "2M", "4M"})
    EXPECT_NE(ParseBlockBytes(text), std::nullopt) << text;
  for (const char* text : {"", "0", "32K", "63K", "100K", "3M", "8M", "1G"})
    EXPECT_EQ(ParseBlockBytes(text), std::nullopt) << text;
}

TEST(OptionText, SizesAreShownWithThreeDigits) {
  EXPECT_EQ(FormatByteCount(0), "0 bytes");
  EXPECT_EQ(FormatByteCount(1), "1 byte");
  EXPECT_EQ(FormatByteCount(1023), "1023 bytes");
  EXPECT_EQ(FormatByteCount(1024), "1 KiB");
  EXPECT_EQ(FormatByteCount(1536), "1.50 KiB");
  EXPECT_EQ(FormatByteCount(64 * kKiB), "64 KiB");
  EXPECT_EQ(FormatByteCount(10 * kMiB + 1), "10.0 MiB");
  EXPECT_EQ(FormatByteCount(kMiB - 1), "1.00 MiB");
  EXPECT_EQ(FormatByteCount(kGiB * 100 + 1), "100 GiB");
  EXPECT_EQ(FormatByteCount(~uint64_t{0}), "16 EiB");
  EXPECT_EQ(FormatExactByteCount(65536), "65536 bytes (64 KiB)");
  EXPECT_EQ(FormatExactByteCount(5), "5 bytes");
}

}  // namespace
}  // namespace gzipfs
