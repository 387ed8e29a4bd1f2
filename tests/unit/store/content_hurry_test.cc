// A store that is in a hurry: what would need a checkpoint is synced, and the next
// mount brings it in.
#include "fs/store/recovery.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::kBlock;

class ContentHurry : public test::StoreFixture {
 protected:
  // A file that somebody else has made must be encoded anew.
  void MakeSomebodys() {
    plain_ = test::TextLike(40 * kBlock);
    test::WriteFile(base_path(), test::MakeForeign(plain_));
    Open();
  }
  void Overwrite(uint64_t plain_offset, const Buffer& bytes) {
    Write(plain_offset, bytes);
    test::Overwrite(&plain_, plain_offset, bytes);
  }
  void ExpectCanceled(const Result<void>& done) {
    ASSERT_FALSE(done);
    EXPECT_EQ(ErrnoOf(done.error()), ECANCELED);
  }
  void ExpectRecovered() {
    EXPECT_TRUE(std::filesystem::is_empty(dir_ / ".gzipfs/image"));
    CloseStore();
    OpenStore();
    const auto report = Recover(*store_, {});
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->left + report->quarantined, 0u);
    EXPECT_TRUE(Gunzipped() == plain_);
  }

  Buffer plain_;
};

TEST_F(ContentHurry, SettlesNoCheckpointButSyncs) {
  MakeSomebodys();
  const Buffer base = Base();
  Overwrite(kBlock + 3, test::FromText("overwritten"));
  store_->Hurry();
  ExpectCanceled(content_->Settle());
  EXPECT_TRUE(Base() == base);
  ASSERT_TRUE(content_->Sync());
  EXPECT_TRUE(ReadAll() == plain_);
  ExpectRecovered();
}

TEST_F(ContentHurry, ACheckpointUnderWayGivesUp) {
  MakeSomebodys();
  Overwrite(kBlock + 3, test::FromText("overwritten"));
  ops_.before = [this](Call call) {
    if (call == Call::kRead) store_->Hurry();  // of what goes into the image
    return 0;
  };
  ExpectCanceled(content_->Settle());
  ops_.before = nullptr;
  ASSERT_TRUE(content_->Sync());
  ExpectRecovered();
}

TEST_F(ContentHurry, AppendedFilesAreSettledAllTheSame) {
  plain_ = test::TextLike(3 * kBlock);
  Make(plain_);
  store_->Hurry();
  Overwrite(plain_.size(), test::TextLike(kBlock, 2));
  Settle();
  EXPECT_TRUE(Gunzipped() == plain_);
}

TEST_F(ContentHurry, ClosingAForeignFileThatWasAppendedToSyncsIt) {
  MakeSomebodys();
  Overwrite(plain_.size(), test::FromText("appended"));
  store_->Hurry();
  Flush();
  ExpectRecovered();
}

}  // namespace
}  // namespace gzipfs
