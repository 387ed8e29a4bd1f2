// Names and levels as gzip writes them.
#include "tools/gzip_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gzipfs {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::Optional;

TEST(GzipNames, CompressedNameHasTheSuffixOnce) {
  EXPECT_THAT(CompressedName("d/x", ".gz"), Optional(Eq("d/x.gz")));
  EXPECT_THAT(CompressedName("x", ".zz"), Optional(Eq("x.zz")));
  EXPECT_EQ(CompressedName("x.gz", ".gz"), std::nullopt);
  EXPECT_EQ(CompressedName("x.GZ", ".gz"), std::nullopt);
  EXPECT_EQ(CompressedName("x.tgz", ".gz"), std::nullopt);
  EXPECT_EQ(CompressedName("x-gz", ".zz"), std::nullopt);
  EXPECT_THAT(CompressedName("d.gz/x", ".gz"), Optional(Eq("d.gz/x.gz")));
  EXPECT_THAT(CompressedName(".gz", ".gz"), Optional(Eq(".gz.gz")));
}

TEST(GzipNames, DecompressedNameLosesIt) {
  EXPECT_THAT(DecompressedName("d/x.gz", ".gz"), Optional(Eq("d/x")));
  EXPECT_THAT(DecompressedName("x.tgz", ".gz"), Optional(Eq("x.tar")));
  EXPECT_THAT(DecompressedName("x.zz", ".zz"), Optional(Eq("x")));
  EXPECT_THAT(DecompressedName("x.gz", ".zz"), Optional(Eq("x")));
  EXPECT_EQ(DecompressedName("x", ".gz"), std::nullopt);
  EXPECT_EQ(DecompressedName("d.gz/x", ".gz"), std::nullopt);
  EXPECT_EQ(DecompressedName("d/.gz", ".gz"), std::nullopt);
}

TEST(GzipNames, LevelsInClustersBecomeWords) {
  EXPECT_THAT(SpellOutLevels({"pack", "-9"}), ElementsAre("pack", "--level=9"));
  EXPECT_THAT(SpellOutLevels({"pack", "-12", "x"}), ElementsAre("pack", "--level=12", "x"));
  EXPECT_THAT(SpellOutLevels({"pack", "-9c", "-k1v"}),
              ElementsAre("pack", "--level=9", "-c", "--level=1", "-kv"));
  EXPECT_THAT(SpellOutLevels({"pack", "-cp4", "-b128K", "-p2"}),
              ElementsAre("pack", "-cp4", "-b128K", "-p2"));
  EXPECT_THAT(SpellOutLevels({"pack", "-p", "-4", "-S", "-1", "-5p", "3"}),
              ElementsAre("pack", "-p", "-4", "-S", "-1", "--level=5", "-p", "3"));
  EXPECT_THAT(SpellOutLevels({"pack", "--block-size", "1M", "--", "-9"}),
              ElementsAre("pack", "--block-size", "1M", "--", "-9"));
  EXPECT_THAT(SpellOutLevels({"pack", "-", "a1"}), ElementsAre("pack", "-", "a1"));
}

}  // namespace
}  // namespace gzipfs
