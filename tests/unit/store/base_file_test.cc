// One base file: appending, cutting, finding and decoding members.
#include "fs/store/base_file.h"

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::StoredFile;

class BaseFileTest : public test::StoreFixture {
 protected:
  void SetBase(std::span<const std::byte> bytes) { test::WriteFile(base_path(), bytes); }
  std::unique_ptr<BaseFile> OpenBase() {
    const int fd = ::open(base_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    auto base = BaseFile::Open(*store_, UniqueFd(fd));
    EXPECT_TRUE(base) << base.error().message();
    return base ? std::move(*base) : nullptr;
  }
  Result<void> AppendPlain(BaseFile& base, std::span<const std::byte> plain, bool with_tail) {
    const EncodedBlock block = EncodeBlock(base.profile(), 1, plain);
    const EncodedBlock* const one = &block;
    return base.Append(std::span(&one, 1), with_tail);
  }
  Result<Buffer> ReadBase(BaseFile& base, uint64_t plain_offset, size_t byte_count) {
    Buffer bytes(byte_count);
    GZIPFS_TRY(base.Read(plain_offset, bytes));
    return bytes;
  }
};

TEST_F(BaseFileTest, EmptyFileTakesTheStoresProfile) {
  const auto base = OpenBase();
  EXPECT_EQ(base->plain_bytes(), 0u);
  EXPECT_EQ(base->profile(), Profile::kBgzf);
  EXPECT_EQ(base->block_bytes(), kBgzfBlockBytes);
  EXPECT_TRUE(base->is_conforming());
  EXPECT_FALSE(base->rest());
}

TEST_F(BaseFileTest, AppendedMembersAreReadBackAtAnyOffset) {
  const auto base = OpenBase();
  Buffer plain;
  for (uint32_t i = 0; i < 100; ++i) {
    const Buffer piece = test::TextLike(i % 7 ? 500 + i : kBgzfBlockBytes, i);
    ASSERT_TRUE(AppendPlain(*base, piece, i % 10 == 9));
    test::Append(&plain, piece);
  }
  EXPECT_EQ(base->plain_bytes(), plain.size());
  EXPECT_EQ(Gunzipped(), plain);
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const size_t at = random() % plain.size();
    const size_t count = std::min<size_t>(random() % 200'000, plain.size() - at);
    const auto read = ReadBase(*base, at, count);
    ASSERT_TRUE(read) << read.error().message();
    ASSERT_TRUE(std::equal(read->begin(), read->end(), plain.begin() + at)) << at;
  }
}

TEST_F(BaseFileTest, MembersAndTailAreOneWrite) {
  const auto base = OpenBase();
  int writes = 0;
  ops_.before = [&writes](Call call) {
    writes += call == Call::kWrite;
    return 0;
  };
  ASSERT_TRUE(AppendPlain(*base, test::TextLike(1000), /*with_tail=*/true));
  EXPECT_EQ(writes, 1);
  EXPECT_TRUE(base->ends_with_tail());
  ASSERT_TRUE(base->AppendTail());
  EXPECT_EQ(writes, 1);
}

TEST_F(BaseFileTest, ShortTailsGoOnUntilTheGroupIsFull) {
  StoredFile like;
  for (int i = 0; i < 12; ++i) {
    const auto base = OpenBase();  // opened again each time: members are counted from the file
    const Buffer text = test::FromText("line " + std::to_string(i) + "\n");
    ASSERT_TRUE(AppendPlain(*base, text, /*with_tail=*/true));
    like.AddPlain(text);
    like.AddTail();
    ASSERT_EQ(Base(), like.bytes) << i;
  }
}

TEST_F(BaseFileTest, FailedAppendIsCutOff) {
  const auto base = OpenBase();
  ASSERT_TRUE(AppendPlain(*base, test::TextLike(1000), true));
  const Buffer before = Base();
  ops_.before = [](Call call) { return call == Call::kWrite ? ENOSPC : 0; };
  const auto failed = AppendPlain(*base, test::Noise(5000), true);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().value(), ENOSPC);
  EXPECT_EQ(Base(), before);
  EXPECT_EQ(base->plain_bytes(), 1000u);
  ops_.before = nullptr;
  ASSERT_TRUE(AppendPlain(*base, test::TextLike(10), true));
  EXPECT_EQ(Gunzipped().size(), 1010u);
}

TEST_F(BaseFileTest, RepeatedMemberIsReadEverywhere) {
  const auto base = OpenBase();
  const Buffer block = test::TextLike(kBgzfBlockBytes);
  ASSERT_TRUE(base->AppendRepeated(EncodeBlock(Profile::kBgzf, 1, block), 20'000));
  ASSERT_TRUE(base->AppendTail());
  EXPECT_EQ(base->plain_bytes(), 20'000 * kBgzfBlockBytes);
  const auto again = OpenBase();
  for (uint64_t i : {0, 31, 32, 9999, 19'999}) {
    EXPECT_EQ(*ReadBase(*again, i * kBgzfBlockBytes, kBgzfBlockBytes), block) << i;
  }
}

TEST_F(BaseFileTest, CutAtAMemberKeepsWhatIsBefore) {
  const Buffer plain = test::TextLike(100 * 1000);
  for (uint64_t keep : {0, 1, 31, 32, 33, 64, 99, 100}) {
    std::filesystem::remove(base_path());
    const auto base = OpenBase();
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(AppendPlain(*base, std::span(plain).subspan(i * 1000, 1000), i % 40 == 0));
    }
    ASSERT_TRUE(*base->IsBoundary(keep * 1000));
    ASSERT_TRUE(keep == 100 || base->CutAt(keep * 1000));
    EXPECT_EQ(base->plain_bytes(), keep * 1000);
    EXPECT_EQ(Gunzipped().size(), keep * 1000);
    ASSERT_TRUE(AppendPlain(*base, test::FromText("end"), true));
    Buffer expected(plain.begin(), plain.begin() + static_cast<ptrdiff_t>(keep * 1000));
    test::Append(&expected, test::FromText("end"));
    EXPECT_EQ(Gunzipped(), expected);
    EXPECT_EQ(*ReadBase(*OpenBase(), 0, expected.size()), expected);
  }
}

TEST_F(BaseFileTest, CutInsideAMemberIsRefused) {
  const auto base = OpenBase();
  ASSERT_TRUE(AppendPlain(*base, test::TextLike(1000), true));
  const Buffer before = Base();
  EXPECT_FALSE(*base->IsBoundary(500));
  const auto cut = base->CutAt(500);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().value(), EINVAL);
  EXPECT_EQ(Base(), before);
}

TEST_F(BaseFileTest, CutDoesNotServeOldBlocksFromTheCache) {
  const auto base = OpenBase();
  ASSERT_TRUE(AppendPlain(*base, test::FromText("first"), false));
  ASSERT_TRUE(AppendPlain(*base, test::FromText("old"), false));
  EXPECT_EQ(*ReadBase(*base, 5, 2), test::FromText("ol"));
  ASSERT_TRUE(base->CutAt(5));
  ASSERT_TRUE(AppendPlain(*base, test::FromText("new"), true));
  EXPECT_EQ(*ReadBase(*base, 5, 2), test::FromText("ne"));
}

TEST_F(BaseFileTest, MembersOfARangeAreThoseThatTouchIt) {
  const auto base = OpenBase();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(AppendPlain(*base, test::TextLike(10), i == 3));
  const auto members = base->Members(15, 31);
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ(members->front().plain_offset, 10u);
  EXPECT_EQ(members->back().plain_end(), 40u);
  EXPECT_EQ(base->Members(0, 400)->size(), 40u);
  EXPECT_EQ(base->Members(399, 10'000)->size(), 1u);
  EXPECT_TRUE(base->Members(400, 500)->empty());
}

// --- What others wrote ------------------------------------------------------------

TEST_F(BaseFileTest, ForeignFileIsReadAtAnyOffset) {
  const Buffer plain = test::TextLike(1'000'000);
  Buffer file = test::MakeForeign(std::span(plain).first(600'000), {.name = "name"});
  test::Append(&file, test::MakeForeign(std::span(plain).subspan(600'000)));
  SetBase(file);
  const auto base = OpenBase();
  EXPECT_FALSE(base->is_conforming());
  EXPECT_EQ(base->plain_bytes(), plain.size());
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    const size_t at = random() % plain.size();
    const size_t count = std::min<size_t>(random() % 100'000, plain.size() - at);
    const auto read = ReadBase(*base, at, count);
    ASSERT_TRUE(read) << read.error().message();
    ASSERT_TRUE(std::equal(read->begin(), read->end(), plain.begin() + at)) << at;
  }
}

TEST_F(BaseFileTest, ForeignAndOwnMembersMix) {
  StoredFile own;
  own.AddPlain(test::TextLike(60'000));
  own.AddTail();
  Buffer file = own.bytes, plain = own.plain;
  for (uint32_t i = 1; i < 4; ++i) {
    const Buffer text = test::TextLike(10'000 * i, i);
    test::Append(&file, test::MakeForeign(text));
    test::Append(&file, own.bytes);
    test::Append(&plain, text);
    test::Append(&plain, own.plain);
  }
  SetBase(file);
  const auto base = OpenBase();
  EXPECT_FALSE(base->is_conforming());
  EXPECT_EQ(base->profile(), Profile::kBgzf);
  EXPECT_EQ(*ReadBase(*base, 0, plain.size()), plain);
}

TEST_F(BaseFileTest, ForeignMemberUnderAValidTailDoesNoHarm) {
  StoredFile file;
  const Buffer plain = test::TextLike(5000);
  test::Append(&file.bytes, test::MakeForeign(plain));
  file.index.Append(plain.size(), file.bytes.size());
  file.AddTail();
  SetBase(file.bytes);
  const auto base = OpenBase();
  const auto read = ReadBase(*base, 100, 1000);
  if (!read) return;  // refused
  EXPECT_TRUE(std::equal(read->begin(), read->end(), plain.begin() + 100));
}

// --- What a torn write or damage leaves --------------------------------------------

TEST_F(BaseFileTest, TornRestIsCutOffBeforeTheNextAppend) {
  StoredFile file;
  file.AddPlain(test::TextLike(1000));
  file.AddTail();
  const Buffer torn = EncodeBlock(Profile::kBgzf, 1, test::Noise(5000)).bytes;
  for (size_t size : {1, 10, 17, 18, 100, 4000}) {
    Buffer bytes = file.bytes;
    test::Append(&bytes, std::span(torn).first(size));
    SetBase(bytes);
    const auto base = OpenBase();
    EXPECT_EQ(base->rest(), DataError::kTruncated) << size;
    EXPECT_EQ(base->plain_bytes(), 1000u);
    EXPECT_EQ(*base->Rest(), BaseRest::kTorn);
    ASSERT_TRUE(AppendPlain(*base, test::FromText("more"), true));
    EXPECT_FALSE(base->rest());
    EXPECT_EQ(Gunzipped().size(), 1004u) << size;
  }
}

TEST_F(BaseFileTest, DamagedMemberFailsAloneAndGivesNoBytes) {
  const auto base = OpenBase();
  for (uint32_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(AppendPlain(*base, test::TextLike(kBgzfBlockBytes, i), i == 9));
  }
  Buffer bytes = Base();
  const auto damaged = (*base->Members(3 * kBgzfBlockBytes, 3 * kBgzfBlockBytes + 1)).front();
  bytes[damaged.file_offset + damaged.member_bytes / 2] ^= std::byte{0x10};
  SetBase(bytes);
  const auto again = OpenBase();
  for (uint32_t i = 0; i < 10; ++i) {
    const auto read = ReadBase(*again, i * kBgzfBlockBytes, kBgzfBlockBytes);
    EXPECT_EQ(read.has_value(), i != 3) << i;
    if (read) {
      EXPECT_EQ(*read, test::TextLike(kBgzfBlockBytes, i));
    }
  }
  EXPECT_FALSE(ReadBase(*again, 0, 10 * kBgzfBlockBytes));
}

TEST_F(BaseFileTest, DeviceErrorIsReportedAndGoesAway) {
  const auto base = OpenBase();
  ASSERT_TRUE(AppendPlain(*base, test::TextLike(1000), true));
  ops_.before = [](Call call) { return call == Call::kRead ? EIO : 0; };
  const auto read = ReadBase(*base, 0, 1000);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().value(), EIO);
  ops_.before = nullptr;
  EXPECT_TRUE(ReadBase(*base, 0, 1000));
}

}  // namespace
}  // namespace gzipfs
