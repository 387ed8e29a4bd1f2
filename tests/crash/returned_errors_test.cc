// Every call of a script that uses the log fails once: with EIO, or with ENOSPC
// and all that need space after it. What is on the disk then, after a process
// death or a power cut, is held against what had been promised by then.
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>

#include "tests/crash/crash_check.h"

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

class ReturnedErrors : public ::testing::TestWithParam<int> {};

TEST_P(ReturnedErrors, LoseNothingThatWasSynced) {
  const int error = GetParam();
  for (int call = 1; !HasFailure(); ++call) {
    SCOPED_TRACE(testing::Message() << "call " << call);
    Script script({.level = 1, .cache_bytes = kMiB, .dirty_bytes = 16 * kMiB});
    script.Make(TextLike(2 * kBlock));
    script.Begin();
    script.may_fail = true;
    std::atomic<int> call_count{0};
    script.disk().before = [&](Call what, const std::string&) {
      if (error == ENOSPC && !test::NeedsSpace(what)) return 0;
      const int count = ++call_count;
      return count == call || (error == ENOSPC && count > call) ? error : 0;
    };
    UseTheLog(script);
    script.End();
    if (call_count < call) {
      std::cout << call - 1 << " calls\n";
      return;
    }
    CrashCheck(script, {.samples = 1, .every = 16}).RunAtEnd();
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReturnedErrors, ::testing::Values(EIO, ENOSPC),
                         [](const auto& setup) { return setup.param == EIO ? "Eio" : "Enospc"; });

}  // namespace
}  // namespace gzipfs::crash
