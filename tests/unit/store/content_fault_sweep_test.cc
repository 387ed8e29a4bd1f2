// One script of operations, run again and again, each time with another of its
// file calls failing: nobody crashes or hangs, what was synced stays, the base
// is gzip, and afterwards the file works again.
#include <functional>

#include "fs/store/recovery.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs {
namespace {

using test::Buffer;
using test::Call;

using test::kBlock;

enum class Fault {
  kOnce,   // the call fails with EIO, those after it do not
  kFull,   // from that call on there is no space, until the script ends
};

struct SweepSetup {
  const char* name;
  Fault fault;
  uint64_t dirty_bytes;
};

class ContentFaultSweep : public test::StoreFixture,
                          public ::testing::WithParamInterface<SweepSetup> {
 protected:
  ContentFaultSweep() {
    options_.cache_bytes = kMiB;
    options_.dirty_bytes = GetParam().dirty_bytes;
  }

  // From the `call`-th file call on, counted from now.
  void Arm(int call) {
    ops_.call_count = 0;
    has_failed_ = false;
    ops_.before = [this, call](Call what) {
      const int count = ops_.call_count;  // ours, or a later one that is as good
      if (GetParam().fault == Fault::kFull) {
        if (count < call || !test::NeedsSpace(what)) return 0;
        has_failed_ = true;
        return ENOSPC;
      }
      if (count < call || has_failed_.exchange(true)) return 0;
      return EIO;
    };
  }
  void Disarm() { ops_.before = nullptr; }

  // --- The script. states_ is what the file may hold on disk: the last synced
  // state and all that came after it.
  void Did(bool is_synced) {
    if (is_synced) states_.clear();
    states_.push_back(plain_);
  }
  void TryWrite(uint64_t plain_offset, const Buffer& bytes) {
    test::Overwrite(&plain_, plain_offset, bytes);
    Did(false);
    if (content_->Write(plain_offset, bytes)) return;
    lost_a_write_ = true;
  }
  void TryTruncate(uint64_t plain_bytes) {
    plain_.resize(plain_bytes);
    Did(false);
    if (!content_->Truncate(plain_bytes)) lost_a_write_ = true;
  }
  void TrySync() {
    if (content_->Sync() && !lost_a_write_) Did(true);
  }
  void RunScript() {
    TryWrite(0, test::TextLike(2 * kBlock + kBlock / 2));
    (void)content_->Flush();
    TrySync();
    TryWrite(kBlock + 10, test::FromText("overwritten"));
    (void)content_->Settle();
    TryWrite(plain_.size(), test::Noise(kBlock + kBlock / 5));
    TrySync();
    TryTruncate(kBlock + 777);
    TryWrite(3 * kBlock, test::FromText("behind a hole"));
    TrySync();
    TryTruncate(kBlock);
    TryWrite(kBlock, test::TextLike(3 * kBlock, 5));
    TrySync();
    (void)::link(base_path().c_str(), (dir_ / "link.gz").c_str());
    TryWrite(5, test::Noise(kBlock, 6));
    TrySync();
    TryWrite(7, Buffer(3 * kBlock));
    TrySync();
    TryTruncate(0);
    TryWrite(0, test::TextLike(kBlock + 1, 7));
    (void)content_->Flush();
  }

  // Every byte is that of one of the states.
  void ExpectOneOfTheStates(const Buffer& plain, const char* where) {
    SCOPED_TRACE(where);
    size_t least = SIZE_MAX, most = 0;
    for (const Buffer& state : states_) {
      least = std::min(least, state.size());
      most = std::max(most, state.size());
    }
    ASSERT_GE(plain.size(), least);
    ASSERT_LE(plain.size(), most);
    for (size_t i = 0; i < plain.size(); ++i) {
      const bool is_known = std::any_of(states_.begin(), states_.end(), [&](const Buffer& state) {
        return i < state.size() ? state[i] == plain[i] : plain[i] == std::byte{0};
      });
      ASSERT_TRUE(is_known) << "byte " << i << " of " << plain.size();
    }
  }

  // What is in the store, where the file is not settled after the next mount's
  // recovery.
  Buffer StoredPlain(bool is_settled) {
    if (!is_settled) {
      CloseStore();
      OpenStore();
      const auto recovered = Recover(*store_, {});
      EXPECT_TRUE(recovered) << recovered.error().message();
      EXPECT_EQ(recovered->quarantined + recovered->left, 0u);
    }
    Buffer file = Base();
    const auto layout = test::Scan(file);
    EXPECT_TRUE(layout);
    file.resize(layout->valid_bytes);
    const auto plain = test::GunzipAll(file);
    EXPECT_TRUE(plain || file.empty()) << "gzip refuses the base";
    return plain.value_or(Buffer{});
  }

  void CheckEnd() {
    const Buffer seen = ReadAll();
    ExpectOneOfTheStates(seen, "read");
    const auto settled = content_->Settle();
    if (settled) {
      EXPECT_TRUE(ReadAll() == seen);
      EXPECT_TRUE(Gunzipped() == seen);
      ExpectNothingDirty();
    }
    content_.reset();
    ExpectOneOfTheStates(StoredPlain(settled.has_value()), "stored");
    if (!settled) return;
    Open();
    Write(100, test::FromText("it works again"));
    Settle();
    EXPECT_TRUE(Gunzipped() == ReadAll());
  }

  std::atomic<bool> has_failed_{false};
  bool lost_a_write_ = false;
  Buffer plain_;
  std::vector<Buffer> states_;
};

TEST_P(ContentFaultSweep, NoFailingCallLosesWhatWasSynced) {
  for (int call = 1;; ++call) {
    SCOPED_TRACE(testing::Message() << "call " << call);
    content_.reset();
    std::filesystem::remove(base_path());
    std::filesystem::remove(dir_ / "link.gz");
    EXPECT_TRUE(std::filesystem::is_empty(dir_ / ".gzipfs/log"));
    Open(/*is_new=*/true);
    ASSERT_TRUE(content_->Sync());
    plain_.clear();
    states_ = {plain_};
    lost_a_write_ = false;
    Arm(call);
    RunScript();
    Disarm();
    CheckEnd();
    if (HasFailure()) return;
    if (!has_failed_) {
      EXPECT_GT(call, 50);
      std::cout << call - 1 << " calls\n";
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ContentFaultSweep,
    ::testing::Values(SweepSetup{"Once", Fault::kOnce, 16 * kMiB},
                      SweepSetup{"Full", Fault::kFull, 16 * kMiB},
                      SweepSetup{"OnceInTightMemory", Fault::kOnce, 4 * kBlock}),
    [](const auto& setup) { return setup.param.name; });

}  // namespace
}  // namespace gzipfs
