// An overwrite that did not come to its end: what its own writes took from the base of
// capabilities and set-id bits comes back at the next mount, and nothing else does.
#include <sys/stat.h>

#include <chrono>
#include <functional>
#include <thread>

#include "fs/store/recovery.h"
#include "fs/sys/at.h"
#include "fs/sys/privileges.h"
#include "fs/sys/xattr.h"
#include "tests/unit/capability.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;
using test::kBlock;

class RecoveryPrivileges : public test::StoreFixture {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    StoreFixture::SetUp();
    LeaveHalfOverwritten();
  }
  void TearDown() override {
    base_.Reset();
    StoreFixture::TearDown();
  }

  // A base of two names that has capabilities and a set-user-id bit, some of its image
  // copied over it.
  void LeaveHalfOverwritten() {
    plain_ = MakeWithLog();
    ASSERT_EQ(::link(base_path().c_str(), (dir_ / "other.gz").c_str()), 0);
    base_ = UniqueFd(::open(base_path().c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(ChangeMode(base_.get(), 04755));
    ASSERT_TRUE(SetXattr(base_.get(), kCapabilityXattr, test::SomeCapability(), 0));
    bool has_failed = false;
    ops_.before = [&](Call call) {
      has_failed = has_failed || call == Call::kTruncate;
      return has_failed ? EIO : 0;
    };
    EXPECT_FALSE(content_->Settle());
    ops_.before = nullptr;
    ASSERT_TRUE(has_failed);
    LetTimePass();
  }
  // Beyond the granularity of a file's times.
  void LetTimePass() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }
  // As the copy does before it is killed: the kernel takes the capabilities.
  void WriteToBase() {
    std::byte byte{};
    ASSERT_EQ(::pread(base_.get(), &byte, 1, 0), 1);
    ASSERT_EQ(::pwrite(base_.get(), &byte, 1, 0), 1);
    ASSERT_FALSE(HasCapability());
    LetTimePass();
  }
  bool HasCapability() { return GetXattr(base_.get(), kCapabilityXattr).has_value(); }
  bool HasSetIdBit() { return (test::StatOf(base_path()).st_mode & S_ISUID) != 0; }
  RecoveryReport Remount(std::function<int(Call)> before = nullptr) {
    CloseStore();
    OpenStore();
    ops_.before = std::move(before);
    const auto report = Recover(*store_, {});
    ops_.before = nullptr;
    EXPECT_TRUE(report);
    return report.value_or(RecoveryReport{});
  }
  void RecoverAll() {
    EXPECT_EQ(Remount().recovered, 1u);
    EXPECT_TRUE(Gunzipped() == plain_);
  }

  Buffer plain_;
  UniqueFd base_;
};

TEST_F(RecoveryPrivileges, NothingChangesThatTheNextMountWouldUndo) {
  const auto change = content_->WithBaseFd([](int fd) { return ChangeMode(fd, 0600); });
  EXPECT_EQ(change.error().value(), EIO);
}

TEST_F(RecoveryPrivileges, CapabilitiesThatTheCopyTookComeBack) {
  WriteToBase();
  RecoverAll();
  EXPECT_TRUE(HasCapability());
  EXPECT_TRUE(HasSetIdBit());
}

// The bits, too, of a copy by somebody who is not root.
TEST_F(RecoveryPrivileges, SetIdBitsThatTheCopyTookComeBack) {
  ASSERT_TRUE(ChangeMode(base_.get(), 0755));
  WriteToBase();
  RecoverAll();
  EXPECT_TRUE(HasSetIdBit());
}

TEST_F(RecoveryPrivileges, WhatTheBaseHasStays) {
  RecoverAll();
  EXPECT_TRUE(HasCapability());
  EXPECT_TRUE(HasSetIdBit());
}

TEST_F(RecoveryPrivileges, SetIdBitsThatWereRemovedStayAway) {
  ASSERT_TRUE(ChangeMode(base_.get(), 0755));
  RecoverAll();
  EXPECT_FALSE(HasSetIdBit());
}

TEST_F(RecoveryPrivileges, CapabilitiesThatWereRemovedStayAway) {
  ASSERT_TRUE(RemoveXattr(base_.get(), kCapabilityXattr));
  RecoverAll();
  EXPECT_FALSE(HasCapability());
}

// Whoever sets others removes those that were there.
TEST_F(RecoveryPrivileges, OtherCapabilitiesStayAsTheyAre) {
  auto less = test::SomeCapability();
  less[5] = std::byte{0x04};
  ASSERT_TRUE(SetXattr(base_.get(), kCapabilityXattr, less, 0));
  RecoverAll();
  const auto found = GetXattr(base_.get(), kCapabilityXattr);
  ASSERT_TRUE(found);
  EXPECT_TRUE(*found == less);
}

// The copy had taken the capabilities already, so setcap -r had nothing left to remove.
TEST_F(RecoveryPrivileges, WhoSeesNoCapabilitiesAndTakesTheBitsGivesNone) {
  WriteToBase();
  ASSERT_TRUE(ChangeMode(base_.get(), 0755));
  RecoverAll();
  EXPECT_FALSE(HasCapability());
  EXPECT_FALSE(HasSetIdBit());
}

TEST_F(RecoveryPrivileges, AnotherOwnerGetsNone) {
  ASSERT_EQ(::fchown(base_.get(), 12345, static_cast<gid_t>(-1)), 0);
  ASSERT_FALSE(HasSetIdBit());
  WriteToBase();  // which the times tell nothing after
  RecoverAll();
  EXPECT_FALSE(HasCapability());
  EXPECT_FALSE(HasSetIdBit());
}

TEST_F(RecoveryPrivileges, AnotherGroupGetsNone) {
  ASSERT_EQ(::fchown(base_.get(), static_cast<uid_t>(-1), 12345), 0);
  WriteToBase();
  RecoverAll();
  EXPECT_FALSE(HasCapability());
  EXPECT_FALSE(HasSetIdBit());
}

// The writes of the recovery that failed look like those of the first copy.
TEST_F(RecoveryPrivileges, WhatWasRemovedStaysAwayWhenRecoveryFailsOnce) {
  ASSERT_TRUE(ChangeMode(base_.get(), 0755));
  ASSERT_TRUE(RemoveXattr(base_.get(), kCapabilityXattr));
  LetTimePass();
  const auto fails = [](Call call) { return call == Call::kTruncate ? EIO : 0; };
  EXPECT_EQ(Remount(fails).left, 1u);
  RecoverAll();
  EXPECT_FALSE(HasCapability());
  EXPECT_FALSE(HasSetIdBit());
}

}  // namespace
}  // namespace gzipfs
