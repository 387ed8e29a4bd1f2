// A base that is changed, replaced or removed by others while it is open.
#include <filesystem>

#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::kBlock;

class ContentStaleTest : public test::StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    Open(true);
    plain_ = test::TextLike(8 * kBlock, 3);
    ASSERT_TRUE(content_->Write(0, plain_));
    ASSERT_TRUE(content_->Flush());
  }
  // As `cp other.gz file.gz` does: in place, and at another time.
  void OverwriteBase() {
    const Buffer other = test::TextLike(8 * kBlock, 4);
    const EncodedBlock block = EncodeBlock(Profile::kBgzf, 1, std::span(other).first(kBlock));
    test::WriteFile(base_path(), block.bytes);
    const timespec times[2] = {{0, UTIME_OMIT}, {77, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, base_path().c_str(), times, 0), 0);
  }
  size_t CountQuarantined() const {
    const std::filesystem::path dir = dir_ / ".gzipfs/quarantine";
    if (!std::filesystem::exists(dir)) return 0;
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir), {}));
  }

  Buffer plain_;
};

TEST_F(ContentStaleTest, NothingIsReadOrWrittenAnyMore) {
  OverwriteBase();
  const Buffer changed = test::ReadFile(base_path());
  EXPECT_EQ(TryRead(0, plain_.size()).error().value(), ESTALE);
  EXPECT_EQ(content_->CheckBase().error().value(), ESTALE);
  EXPECT_FALSE(content_->Write(0, std::span(plain_).first(10)) && content_->Settle());
  EXPECT_FALSE(content_->Sync());
  EXPECT_FALSE(content_->SetTimes(std::nullopt, timespec{5, 0}));
  EXPECT_EQ(test::ReadFile(base_path()), changed);
}

TEST_F(ContentStaleTest, AnAppendDoesNotTouchIt) {
  ASSERT_TRUE(content_->Write(plain_.size(), std::span(plain_).first(10)));
  OverwriteBase();
  const Buffer changed = test::ReadFile(base_path());
  EXPECT_EQ(content_->Flush().error().value(), ESTALE);
  EXPECT_EQ(test::ReadFile(base_path()), changed);
}

TEST_F(ContentStaleTest, ACheckpointDoesNotReplaceIt) {
  ASSERT_TRUE(content_->Write(kBlock, std::span(plain_).first(10)));
  OverwriteBase();
  const Buffer changed = test::ReadFile(base_path());
  EXPECT_EQ(content_->Settle().error().value(), ESTALE);
  EXPECT_EQ(test::ReadFile(base_path()), changed);
  EXPECT_EQ(CountQuarantined(), 0u);  // nothing was promised
}

TEST_F(ContentStaleTest, ItsLogIsKeptAside) {
  ASSERT_TRUE(content_->Write(kBlock, std::span(plain_).first(10)));
  ASSERT_TRUE(content_->Sync());
  OverwriteBase();
  EXPECT_EQ(content_->CheckBase().error().value(), ESTALE);
  EXPECT_EQ(CountQuarantined(), 1u);
  // Whoever opens it now gets what is there.
  Open();
  EXPECT_EQ(content_->plain_bytes(), kBlock);
  ASSERT_TRUE(content_->Write(5, std::span(plain_).first(10)));
  EXPECT_TRUE(content_->Sync());
}

TEST_F(ContentStaleTest, ALogThatFitsNoLongerIsKeptAsideAtOpen) {
  ASSERT_TRUE(content_->Write(kBlock, std::span(plain_).first(10)));
  ASSERT_TRUE(content_->Sync());
  content_.reset();
  OverwriteBase();
  Open();
  EXPECT_EQ(content_->plain_bytes(), kBlock);
  EXPECT_EQ(CountQuarantined(), 1u);
}

TEST_F(ContentStaleTest, OfOneRemovedByOthersTheLogIsKept) {
  ASSERT_TRUE(content_->Write(kBlock, std::span(plain_).first(10)));
  ASSERT_TRUE(content_->Sync());
  place_->has_name = true;
  ASSERT_EQ(::unlink(base_path().c_str()), 0);
  EXPECT_TRUE(content_->Settle());
  EXPECT_EQ(CountQuarantined(), 1u);
}

TEST_F(ContentStaleTest, OfOneRemovedThroughTheMountItGoes) {
  ASSERT_TRUE(content_->Write(kBlock, std::span(plain_).first(10)));
  ASSERT_TRUE(content_->Sync());
  ASSERT_EQ(::unlink(base_path().c_str()), 0);
  EXPECT_TRUE(content_->Settle());
  EXPECT_EQ(CountQuarantined(), 0u);
  EXPECT_FALSE(std::filesystem::exists(dir_ / ".gzipfs/log") &&
               !std::filesystem::is_empty(dir_ / ".gzipfs/log"));
}

}  // namespace
}  // namespace gzipfs
