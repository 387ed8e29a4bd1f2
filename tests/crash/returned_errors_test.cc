// Every call of a script that uses the log fails once: with EIO, or with ENOSPC or EDQUOT
// in turns and all that need space after it. What is on the disk then, after a process
// death or a power cut, is held against what had been promised by then.
//
// Below FileOps, every system call is interrupted, or transfers less than was asked,
// once: then no step fails, and all is as if nothing had happened.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <iostream>

#include "tests/crash/crash_check.h"
#include "tests/crash/syscall_shim.h"

namespace gzipfs::crash {
namespace {

using test::FromText;
using test::TextLike;

// Through both kinds of checkpoint, and to nothing and back.
void UseTheLog(Script& script) {
  script.Write(kBlock + 10, FromText("overwritten"));
  script.Sync();
  script.Append(TextLike(300, 2));
  script.Sync();
  script.Settle();
  script.Write(5, FromText("overwritten again"));
  script.Sync();
  script.Link("link.gz");
  script.Settle();
  script.Write(7, TextLike(2000, 3));
  script.Settle();
  script.Append(TextLike(500, 4));
  script.Sync();
  script.Write(9, FromText("a log for the cut"));
  script.Sync();
  script.Truncate(0);
  script.Append(TextLike(kBlock / 2, 5));
  script.Sync();
  script.Write(11, FromText("and a new log"));
  script.Sync();
}

void CopyAndZero(Script& script) {
  script.CopyToEnd(0, 2 * kBlock);
  script.Flush();
  script.CopyToEnd(kBlock, kBlock);
  script.Sync();
  script.Zero(kBlock + 5, 4 * kBlock);
  script.Sync();
  script.Write(2 * kBlock, FromText("into the hole"));
  script.Sync();
  script.Zero(0, 6 * kBlock, /*may_grow=*/true);
  script.Settle();
}

class ReturnedErrors : public ::testing::TestWithParam<int> {
 protected:
  void FailEveryCallOf(const std::function<void(Script&)>& steps);
};

void ReturnedErrors::FailEveryCallOf(const std::function<void(Script&)>& steps) {
  const bool is_full = GetParam() != EIO;
  for (int call = 1; !HasFailure(); ++call) {
    const int error = is_full && call % 2 == 0 ? EDQUOT : GetParam();
    SCOPED_TRACE(testing::Message() << "call " << call);
    Script script({.level = 1, .cache_bytes = kMiB, .dirty_bytes = 16 * kMiB});
    script.Make(TextLike(2 * kBlock));
    script.Begin();
    script.may_fail = true;
    std::atomic<int> call_count{0};
    script.disk().before = [&](Call what, const std::string&) {
      if (is_full && !test::NeedsSpace(what)) return 0;
      const int count = ++call_count;
      return count == call || (is_full && count > call) ? error : 0;
    };
    steps(script);
    script.End();
    if (call_count < call) {
      std::cout << call - 1 << " calls\n";
      return;
    }
    CrashCheck(script, {.samples = 1, .every = 16}).RunAtEnd();
  }
}

struct ShimPlan {
  ShimFault fault = ShimFault::kNone;
  int call = 0;  // of those that the fault is about, from 1 on
  std::atomic<int> call_count{0};
} shim_plan;

ShimFault PlannedFault(bool transfers) {
  if (!transfers && shim_plan.fault != ShimFault::kInterrupt) return ShimFault::kNone;
  // The call is tried again at once, and is the next one then: three times in all.
  const int count = ++shim_plan.call_count;
  const bool is_meant = count >= shim_plan.call && count < shim_plan.call + 3;
  return is_meant ? shim_plan.fault : ShimFault::kNone;
}

class InterruptedCalls : public ::testing::TestWithParam<ShimFault> {};

TEST_P(InterruptedCalls, AreAsIfNothingHadHappened) {
  if (!GZIPFS_HAS_SHIM) GTEST_SKIP() << "sanitizers have these calls";
  shim_plan.fault = GetParam();
  for (int call = 1; !HasFailure(); ++call) {
    SCOPED_TRACE(testing::Message() << "call " << call);
    Script script({.level = 1, .cache_bytes = kMiB, .dirty_bytes = 16 * kMiB});
    script.Make(TextLike(2 * kBlock));
    script.Begin();
    shim_plan.call = call;
    shim_plan.call_count = 0;
    SetShimHook(PlannedFault);
    UseTheLog(script);
    SetShimHook(nullptr);
    script.End();
    const bool is_over = shim_plan.call_count < call;
    if (is_over || call % 4 == 0) CrashCheck(script, {.samples = 1, .every = 16}).RunAtEnd();
    if (!is_over) continue;
    EXPECT_GT(call, 20);
    std::cout << call - 1 << " calls\n";
    return;
  }
}

TEST_P(ReturnedErrors, LoseNothingThatWasSynced) { FailEveryCallOf(UseTheLog); }

TEST_P(ReturnedErrors, LoseNothingOfCopiesAndZeroedRanges) { FailEveryCallOf(CopyAndZero); }

INSTANTIATE_TEST_SUITE_P(All, InterruptedCalls,
                         ::testing::Values(ShimFault::kInterrupt, ShimFault::kHalf,
                                           ShimFault::kOneByte),
                         [](const auto& setup) {
                           return setup.param == ShimFault::kInterrupt ? "Interrupted"
                                  : setup.param == ShimFault::kHalf    ? "Half"
                                                                       : "OneByte";
                         });

INSTANTIATE_TEST_SUITE_P(All, ReturnedErrors, ::testing::Values(EIO, ENOSPC),
                         [](const auto& setup) { return setup.param == EIO ? "Eio" : "Full"; });

}  // namespace
}  // namespace gzipfs::crash
