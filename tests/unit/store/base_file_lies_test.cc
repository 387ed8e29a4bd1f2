// Base files whose tails lie, with every checksum right: reads give right bytes
// or fail, and nothing is lost.
#include "tests/unit/store/lying_base.h"

namespace gzipfs {
namespace {

using test::BaseFileLies;
using test::Buffer;
using test::ClaimedGroup;
using test::kGroupPlain;
using test::kGroups;

// A tail's entries for the file of lying_base.h.
struct Lie {
  const char* name;
  // Changes the truth.
  void (*tell)(std::vector<ClaimedGroup>& groups);
};

// What a test's name says of it.
void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }

// --- Every kind of lie ----------------------------------------------------------------

const Lie kLies[] = {
    {"PlainBytesOfTheNextGroup",
     [](auto& groups) { ++groups[0].plain_bytes, --groups[1].plain_bytes; }},
    {"PlainBytesOfAFarGroup",
     [](auto& groups) { --groups[0].plain_bytes, ++groups[3].plain_bytes; }},
    {"AllPlainBytesOfANeighbour",
     [](auto& groups) { groups[1].plain_bytes = 0, groups[2].plain_bytes *= 2; }},
    {"FileBytesOfTheNextGroup",
     [](auto& groups) { ++groups[1].file_bytes, --groups[2].file_bytes; }},
    {"OneGroupForAll",
     [](auto& groups) {
       for (size_t i = 1; i < kGroups; ++i) groups[0].file_bytes += groups[i].file_bytes;
       groups = {{3 * kGroupPlain, groups[0].file_bytes - 1}, {kGroupPlain, 1}};
     }},
    {"TooFewAtTheStart", [](auto& groups) { groups[0].plain_bytes -= 1; }},
    {"TooManyAtTheStart", [](auto& groups) { groups[0].plain_bytes += 1000; }},
    {"TooFewInTheMiddle", [](auto& groups) { groups[2].plain_bytes = 1; }},
    {"TooManyInTheMiddle", [](auto& groups) { groups[2].plain_bytes += 1; }},
    {"TooFewAtTheEnd", [](auto& groups) { groups[3].plain_bytes -= 1000; }},
    {"TooManyAtTheEnd", [](auto& groups) { groups[3].plain_bytes += 1; }},
    {"FirstGroupHidden", [](auto& groups) { groups[0].plain_bytes = 0; }},
    {"GroupHidden", [](auto& groups) { groups[2].plain_bytes = 0; }},
    {"LastGroupHidden", [](auto& groups) { groups[3].plain_bytes = 0; }},
    {"TwoGroupsHidden", [](auto& groups) { groups[1].plain_bytes = groups[2].plain_bytes = 0; }},
};

class EveryLie : public BaseFileLies, public ::testing::WithParamInterface<Lie> {};

INSTANTIATE_TEST_SUITE_P(BaseFileLies, EveryLie, ::testing::ValuesIn(kLies),
                         [](const auto& lie) { return std::string(lie.param.name); });

TEST_P(EveryLie, GivesRightBytesFromFrontToBackAndNoFalseEnd) {
  for (size_t step : {100u, 1000u, 7000u}) {
    SetLie(GetParam().tell);
    const auto base = OpenUnprepared();
    ASSERT_EQ(base->plain_bytes(), told_bytes_);
    const uint64_t good_bytes = std::min<uint64_t>(told_bytes_, plain_.size());
    for (uint64_t at = 0; at < told_bytes_; at += step) {
      const uint64_t end = std::min(at + step, told_bytes_);
      const auto read = ReadBase(*base, at, end - at);
      if (read) {
        ASSERT_TRUE(IsRight(*read, at)) << at;
      }
      const bool is_last = end == told_bytes_;
      if (end <= good_bytes && !is_last) {
        ASSERT_TRUE(read) << at;
      }
      if (is_last) {
        EXPECT_EQ(read.has_value(), told_bytes_ == plain_.size());
      }
    }
    EXPECT_EQ(base->plain_bytes(), told_bytes_);  // somebody counts on it
  }
}

TEST_P(EveryLie, IsRememberedByTheStore) {
  SetLie(GetParam().tell);
  (void)OpenBase()->Verify();
  const auto base = OpenBase();
  EXPECT_EQ(base->plain_bytes(), told_bytes_);
  const uint64_t good_bytes = std::min<uint64_t>(told_bytes_, plain_.size()) - 1;
  for (uint64_t at = good_bytes - 10; at > 100; at -= 100) {
    const auto read = ReadBase(*base, at, 10);  // would be deceived in this order
    ASSERT_TRUE(read && IsRight(*read, at)) << at;
  }
  EXPECT_EQ(base->AcceptSize(), told_bytes_ != plain_.size());
  ExpectAllRight(*base);
}

TEST_P(EveryLie, IsSeenThroughInOneReadOfEverything) {
  SetLie(GetParam().tell);
  const auto base = OpenBase();
  const auto all = ReadBase(*base, 0, told_bytes_);
  ASSERT_EQ(all.has_value(), told_bytes_ == plain_.size());
  if (all) {
    EXPECT_TRUE(*all == plain_);
  }
  EXPECT_TRUE(BaseFile::IsTailDoubted(*store_, test::StatOf(base_path())));
}

TEST_P(EveryLie, IsSeenThroughBeforeAnythingIsDestroyed) {
  SetLie(GetParam().tell);
  const Buffer before = Base();
  const auto base = OpenBase();
  const bool has_size = told_bytes_ == plain_.size();
  const auto group = base->FindGroup(0);  // what a checkpoint copies by
  ASSERT_EQ(group.has_value(), has_size);
  if (!has_size) {
    EXPECT_EQ(base->Verify().error().value(), ESTALE);
    EXPECT_EQ(base->CutAt(1000).error().value(), ESTALE);
    EXPECT_EQ(AppendText(*base, "x").error().value(), ESTALE);
    EXPECT_EQ(base->AppendTail().error().value(), ESTALE);
    EXPECT_TRUE(Base() == before);
    EXPECT_EQ(base->plain_bytes(), told_bytes_);
    return;
  }
  EXPECT_TRUE(base->Verify());
  EXPECT_EQ(base->Members(0, told_bytes_)->size(), 3 * kGroups);
  EXPECT_TRUE(*base->IsBoundary(7000));
  ASSERT_TRUE(base->CutAt(7000));
  plain_.resize(7000);
  EXPECT_TRUE(Gunzipped() == plain_);
  ExpectAllRight(*base);
}

TEST_P(EveryLie, IsMendedByTheNextTail) {
  SetLie(GetParam().tell);
  (void)OpenBase()->Verify();
  {
    const auto base = OpenBase();
    base->AcceptSize();
    ASSERT_TRUE(AppendText(*base, "more"));
  }
  test::Append(&plain_, test::FromText("more"));
  EXPECT_TRUE(Gunzipped() == plain_);
  const auto base = OpenUnprepared();
  EXPECT_TRUE(base->ends_with_tail());
  EXPECT_TRUE(base->Verify());
  ExpectAllRight(*base);
}

TEST_P(EveryLie, MayBeTruncatedToNothing) {
  SetLie(GetParam().tell);
  const auto base = OpenBase();
  (void)base->Verify();
  ASSERT_TRUE(base->CutAt(0));
  ASSERT_TRUE(AppendText(*base, "new"));
  EXPECT_EQ(base->plain_bytes(), 3u);
  EXPECT_EQ(*ReadBase(*base, 0, 3), test::FromText("new"));
  EXPECT_EQ(Gunzipped(), test::FromText("new"));
}

// --- Other files ----------------------------------------------------------------------

TEST_F(BaseFileLies, WrongSizeOfAFileOfOneGroupIsKnownBeforeItIsWrittenTo) {
  for (uint64_t said : {1u, 11'999u, 12'001u, 1'000'000u}) {
    Buffer file = members_;
    test::Append(&file, test::MakeTail(file.size(), {}, said, 0));
    test::WriteFile(base_path(), file);
    EXPECT_EQ(AppendText(*OpenUnprepared(), "more").error().value(), ESTALE);
    EXPECT_TRUE(Base() == file);
    auto base = OpenUnprepared();
    EXPECT_EQ(base->plain_bytes(), said);
    const uint64_t good_bytes = std::min<uint64_t>(said, plain_.size()) - 1;
    const auto read = ReadBase(*base, 0, good_bytes);
    EXPECT_TRUE(read && IsRight(*read, 0) && read->size() == good_bytes);
    EXPECT_FALSE(ReadBase(*base, 0, said));
    EXPECT_TRUE(base->AcceptSize());
    ExpectAllRight(*base);
    ASSERT_TRUE(AppendText(*base, "more"));
    EXPECT_EQ(Gunzipped().size(), plain_.size() + 4);
    base.reset();  // before the store, which is opened anew
    EXPECT_EQ(OpenUnprepared()->plain_bytes(), plain_.size() + 4);
  }
}

// The size is in the mark's checksum, the entries have another: stat believes
// the one and open sees that the other is wrong.
TEST_F(BaseFileLies, SizeOfATailWhoseEntriesAreWrongIsToldAllTheSame) {
  SetTail({{5, 5}, {6, 6}});
  const auto base = OpenBase();
  EXPECT_EQ(base->plain_bytes(), 11u);
  const auto read = ReadBase(*base, 0, 10);
  EXPECT_TRUE(read && IsRight(*read, 0));
  EXPECT_FALSE(ReadBase(*base, 0, 11));
  EXPECT_FALSE(AppendText(*base, "more"));
}

TEST_F(BaseFileLies, TailThatSaysNothingIsThereDoesNotGetItCutOff) {
  for (const auto& groups : {std::vector<ClaimedGroup>{}, {{0, members_.size()}}}) {
    Buffer file = members_;
    test::Append(&file, test::MakeTail(file.size(), groups, 0, groups.size()));
    test::WriteFile(base_path(), file);
    const auto base = OpenUnprepared();
    ExpectAllRight(*base);
    ASSERT_TRUE(AppendText(*base, "more"));
    EXPECT_EQ(Gunzipped().size(), plain_.size() + 4);
  }
}

}  // namespace
}  // namespace gzipfs
