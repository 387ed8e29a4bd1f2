// Crashes a recorded script at every call, in every way, recovers, and looks
// at what is there.
//
// Of the invariants of fs/DESIGN.md, section 7, these can be seen here:
//  1  before recovery the base, cut to its complete members, is what gzip
//     accepts, and gives some earlier state (not while its log announces an
//     image that is copied over it)
//  2  recovery gives one of the states, whole; the base alone has it then
//  4  the same when recovery itself is crashed, at every call, and run again
//  5  no state is older than the last fsync; a synced file has its name
//  7  no log is quarantined or left over: each fits its base or was done with
//  8  bytes behind the last member do not keep the file from being written
// 11  zlib checks CRC32 and ISIZE of every member, and finds nothing between
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/crash/crash_script.h"

namespace gzipfs::crash {

// From the environment: GZIPFS_CRASH_DEPTH multiplies how much is sampled (1),
// GZIPFS_CRASH_SEED repeats a run.
size_t CrashDepth();
uint64_t CrashSeed();

struct CrashLimits {
  size_t samples = 6;           // of torn and zeroed writes, for each set of names
  size_t recoveries = 4;        // that are crashed themselves
  size_t failed_recoveries = 1;  // states whose recovery fails, at every call
  size_t every = 1;             // of the states, one in so many is tried
  bool may_quarantine = false;  // a deleted file's log has nowhere to go
};

class CrashCheck {
 public:
  // `script` has ended.
  CrashCheck(Script& script, const CrashLimits& limits);

  // Adds a failure for each state that is wrong, and gives up after a few.
  void Run();
  // Only at the record's end, without crashing recovery.
  void RunAtEnd();

 private:
  // A recovery and a write after it, as the next script.
  struct Recovered {
    DiskState begin;
    std::vector<DiskOp> ops;
    History history;
    bool found_log = false;
  };
  struct Situation {
    SimDisk& disk;
    const History& history;
    const History::Bounds& bounds;
    Store* store = nullptr;
    Recovered* recovered = nullptr;
  };

  void Try(const CrashState& state, const History::Bounds& bounds);
  void TryCrashedRecovery(const Recovered& recovered, const std::string& story);
  // With EIO once, or with ENOSPC from some call on.
  void TryFailedRecovery(const CrashState& state, const History::Bounds& bounds, int error);
  // "" when all is well. `recovered` may be null.
  std::string Check(const DiskState& state, const History& history, const History::Bounds& bounds,
                    Recovered* recovered);
  std::string CheckBefore(const Situation& situation, const DiskState& state);
  std::string CheckAfter(const Situation& situation);
  // Where logs were left: a file that can be opened must not show anything else.
  std::string CheckLeft(const Situation& situation);
  std::string CheckContent(const Situation& situation, const std::string& path, Content& content,
                           Buffer* plain);
  std::string CheckWrite(const Situation& situation, const std::string& path, Content& content,
                         Buffer plain);
  // One that is to be passed over.
  bool IsBeingOverwritten(SimDisk& disk, uint64_t ino);

  Script& script_;
  const CrashLimits limits_;
  const uint64_t seed_ = CrashSeed();
  std::mt19937_64 random_{seed_};
  std::set<std::pair<uint64_t, size_t>> seen_;  // fingerprint and oldest allowed state
  size_t process_deaths_ = 0;
  size_t power_cuts_ = 0;
  size_t crashed_recoveries_ = 0;
  size_t failed_recoveries_ = 0;
  size_t recoveries_with_log_ = 0;
  size_t failures_ = 0;
};

// Ends the script and runs it all.
void CrashEverywhere(Script& script, const CrashLimits& limits = {});

}  // namespace gzipfs::crash
