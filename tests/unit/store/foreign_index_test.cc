// Files that other programs made: read anywhere, from what is kept of them, and
// from nothing that is wrong.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "fs/store/kept_indexes.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {
namespace {

namespace files = std::filesystem;

class ForeignIndex : public StoreFixture {
 protected:
  ForeignIndex() : plain_(TextLike(6 * kMiB, 5)), stored_(MakeForeign(plain_)) {}

  void SetUp() override {
    StoreFixture::SetUp();
    WriteFile(base_path(), stored_);
  }

  std::string kept_path() const {
    return dir_ / (".gzipfs/index/" + std::to_string(StatOf(base_path()).st_ino) + ".idx");
  }
  void Reopen() {
    CloseStore();
    OpenStore();
  }
  // Reads here and there, then all.
  void ExpectPlain(const Buffer& expected) {
    Open();
    ASSERT_EQ(content_->plain_bytes(), expected.size());
    std::mt19937 random(7);
    for (int i = 0; i < 30; ++i) {
      const size_t at = random() % (expected.size() - 5000);
      const auto got = TryRead(at, 5000);
      ASSERT_TRUE(got) << got.error().message();
      ASSERT_TRUE(std::equal(got->begin(), got->end(), expected.begin() + static_cast<long>(at)));
    }
    const auto all = TryRead(0, expected.size() + 1);
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_TRUE(*all == expected);
  }
  Result<uint64_t> PlainSize() {
    const UniqueFd fd(::open(base_path().c_str(), O_RDONLY | O_CLOEXEC));
    return ReadPlainSize(*store_, fd.get(), StatOf(base_path()));
  }
  // How often the disk is read to find out the size.
  int ReadsForSize() {
    std::atomic<int> reads{0};
    ops_.before = [&](Call call) {
      if (call == Call::kRead) ++reads;
      return 0;
    };
    EXPECT_EQ(*PlainSize(), plain_.size());
    ops_.before = nullptr;
    return reads;
  }

  const Buffer plain_;
  const Buffer stored_;
};

TEST_F(ForeignIndex, IsKeptAndUsedByTheNextMount) {
  EXPECT_GT(ReadsForSize(), 20);
  ASSERT_TRUE(files::exists(kept_path()));
  EXPECT_LE(files::file_size(kept_path()), stored_.size() / 50);
  EXPECT_LE(ReadsForSize(), 2);
  Reopen();
  EXPECT_LE(ReadsForSize(), 5);
  const auto before = files::last_write_time(kept_path());
  ExpectPlain(plain_);
  EXPECT_EQ(files::last_write_time(kept_path()), before);
}

TEST_F(ForeignIndex, DamagedIsMadeAnew) {
  ASSERT_TRUE(PlainSize());
  const Buffer good = ReadFile(kept_path());
  for (size_t at : {size_t{0}, size_t{60}, good.size() / 2, good.size() - 1}) {
    Buffer bad = good;
    bad[at] ^= std::byte{1};
    WriteFile(kept_path(), bad);
    Reopen();
    ExpectPlain(plain_);
    EXPECT_TRUE(ReadFile(kept_path()) == good) << at;
  }
  WriteFile(kept_path(), {});
  Reopen();
  ExpectPlain(plain_);
}

// All its checksums are right; the pieces' CRC32s and the trailer tell.
TEST_F(ForeignIndex, ThatLiesGivesNoWrongByte) {
  ASSERT_TRUE(PlainSize());
  const struct stat base = StatOf(base_path());
  const SpanSource source(stored_);
  FileLayout layout = *ScanLayout(source, LayoutLimitBytes(stored_.size()), ScanKeep::kRestarts);
  ASSERT_EQ(layout.restarts.size(), 1u);
  ASSERT_FALSE(layout.restarts[0]->points.empty());
  MemberRestarts lying = *layout.restarts[0];
  for (RestartPoint& point : lying.points) {
    Buffer window(point.window_bytes, std::byte{'x'});
    point.window.resize(window.size() + 1000);
    point.window.resize(MakeCompressor(1)->Deflate(window, point.window));
  }
  layout.restarts[0] = std::make_shared<const MemberRestarts>(lying);
  const Buffer bytes = EncodeIndexFile(IndexedFileOf(base), layout);
  WriteFile(kept_path(), bytes);
  Reopen();
  ExpectPlain(plain_);
  // And it was thrown away.
  EXPECT_FALSE(files::exists(kept_path()) && ReadFile(kept_path()) == bytes);
}

TEST_F(ForeignIndex, OfAFileThatWasReplacedDoesNotCount) {
  ASSERT_TRUE(PlainSize());
  const Buffer other = TextLike(3 * kMiB, 9);
  const Buffer kept = ReadFile(kept_path());
  WriteFile(base_path(), MakeForeign(other));
  WriteFile(kept_path(), kept);
  Reopen();
  ExpectPlain(other);
}

TEST_F(ForeignIndex, OfATruncatedFileIsReadUpToThereAndNoFurther) {
  WriteFile(base_path(), std::span(stored_).first(stored_.size() / 2));
  for (int round = 0; round < 2; ++round) {  // the second one by the kept index
    const auto size = PlainSize();
    ASSERT_TRUE(size);
    ASSERT_GT(*size, plain_.size() / 3);
    const uint64_t readable = *size - 1;
    Open();
    const auto got = TryRead(0, readable);
    ASSERT_TRUE(got) << got.error().message();
    EXPECT_TRUE(std::equal(got->begin(), got->end(), plain_.begin(), plain_.begin() + readable));
    EXPECT_FALSE(TryRead(readable, 1));
    EXPECT_FALSE(TryRead(readable - 10, 100));
    EXPECT_FALSE(content_->Write(0, FromText("x")));
    Reopen();
  }
}

TEST_F(ForeignIndex, OfAFileDamagedInTheMiddleIsReadUpToThere) {
  Buffer damaged = stored_;
  std::fill_n(damaged.begin() + static_cast<long>(damaged.size() / 2), 300, std::byte{0xff});
  WriteFile(base_path(), damaged);
  Open();
  const uint64_t readable = content_->plain_bytes() - 1;
  ASSERT_GT(readable, plain_.size() / 3);
  const auto got = TryRead(0, plain_.size() / 3);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_TRUE(std::equal(got->begin(), got->end(), plain_.begin()));
  EXPECT_FALSE(TryRead(readable, 1));
  EXPECT_TRUE(ReadFile(base_path()) == damaged);
}

// Which byte is wrong nobody can tell: none is given out.
TEST_F(ForeignIndex, OfAFileWithAWrongChecksumGivesNothing) {
  Buffer damaged = stored_;
  damaged[damaged.size() - 8] ^= std::byte{1};
  WriteFile(base_path(), damaged);
  Open();
  EXPECT_EQ(content_->plain_bytes(), plain_.size());
  EXPECT_FALSE(TryRead(0, 10));
  EXPECT_FALSE(TryRead(plain_.size() / 2, 10));
}

TEST_F(ForeignIndex, AWriteConvertsTheFileThatIsReadByIt) {
  ASSERT_TRUE(PlainSize());
  Open();
  ASSERT_TRUE(TryRead(4 * kMiB, 10));
  Buffer expected = plain_;
  expected[5'000'000] = std::byte{'X'};
  Write(5'000'000, FromText("X"));
  Settle();
  const auto all = TryRead(0, expected.size() + 1);
  ASSERT_TRUE(all && *all == expected);
  const auto unzipped = GunzipAll(ReadFile(base_path()));
  ASSERT_TRUE(unzipped && *unzipped == expected);
}

TEST_F(ForeignIndex, IsNotWrittenReadOnly) {
  CloseStore();
  options_.read_only = true;
  OpenStore();
  EXPECT_EQ(*PlainSize(), plain_.size());
  EXPECT_FALSE(files::exists(kept_path()));
}

TEST_F(ForeignIndex, ManyThreadsReadOneFile) {
  Open();
  std::vector<std::jthread> readers;
  std::atomic<int> wrong{0};
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 60; ++i) {
        const bool is_random = seed % 2 == 0;
        const size_t at =
            is_random ? random() % (plain_.size() - 200'000) : static_cast<size_t>(i) * 100'000;
        Buffer got(100'000);
        const auto count = content_->Read(at, got);
        const auto expected = std::span(plain_).subspan(std::min(at, plain_.size()));
        const size_t wanted = std::min(got.size(), expected.size());
        if (!count || *count != wanted ||
            !std::equal(got.begin(), got.begin() + static_cast<long>(wanted), expected.begin())) {
          ++wrong;
        }
      }
    });
  }
  readers.clear();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ForeignIndex, TheOldestGoWhenThereAreTooMany) {
  const std::string dir = dir_ / "kept";
  files::create_directory(dir);
  FileLayout layout =
      *ScanLayout(SpanSource(stored_), LayoutLimitBytes(stored_.size()), ScanKeep::kRestarts);
  struct stat attributes = StatOf(base_path());
  const uint64_t each = EncodeIndexFile(IndexedFileOf(attributes), layout).size();
  KeptIndexes kept(RealFileOps(), UniqueFd(::open(dir.c_str(), O_RDONLY | O_CLOEXEC)),
                   /*read_only=*/false, 8 * each + each / 2);
  const auto path_of = [&](int i) { return dir + "/" + std::to_string(1000 + i) + ".idx"; };
  for (int i = 0; i < 30; ++i) {
    attributes.st_ino = static_cast<ino_t>(1000 + i);
    ASSERT_TRUE(kept.Keep(attributes, layout));
    files::last_write_time(path_of(i), files::file_time_type::clock::now() -
                                           std::chrono::seconds(1000 - i));
    uint64_t total = 0;
    for (const auto& entry : files::directory_iterator(dir)) total += entry.file_size();
    ASSERT_LE(total, 9 * each);
  }
  EXPECT_FALSE(files::exists(path_of(0)));
  EXPECT_TRUE(files::exists(path_of(29)));
  EXPECT_TRUE(kept.Has(attributes));
}

}  // namespace
}  // namespace gzipfs::test
