// The same state comes about in many ways; it is tried once.
#include "tests/crash/crash_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "fs/store/log_reader.h"
#include "fs/store/recovery.h"
#include "fs/store/redo_log.h"
#include "tests/unit/codec/stored_file.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs::crash {
namespace {

constexpr size_t kMaxFailures = 3;

uint64_t NumberFromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What gzip makes of the complete members of a base; nullopt if it refuses them. A power cut
// may leave zeros where the end of the last one was to be: it passes for complete, as one of
// no bytes, until it is decoded. Those before it must be right.
std::optional<Buffer> GunzipMembers(Buffer base) {
  const auto layout = test::Scan(base);
  if (!layout) return std::nullopt;
  base.resize(layout->valid_bytes);
  test::Gunzipped members = test::GunzipFront(base);
  const bool has_all = members.plain.size() == layout->index.plain_bytes();
  return members.is_all || has_all ? std::optional(std::move(members.plain)) : std::nullopt;
}

std::string TellCalls(const std::vector<DiskOp>& ops) {
  std::string text;
  for (size_t i = 0; i < ops.size(); ++i) {
    text += fmt::format("  {:3} {}\n", i + 1, ops[i].Describe());
  }
  return text;
}

// The first page was lost and nothing behind it tells whose the file is: it is shown as
// one that is no gzip file. Good enough where nothing was promised of it.
bool IsLostFromTheStart(const std::string& path) {
  const Buffer base = test::ReadFile(path);
  return base.size() >= 4 && std::all_of(base.begin(), base.begin() + 4,
                                         [](std::byte byte) { return byte == std::byte{0}; });
}

bool IsEmptyDir(const std::string& path) { return std::filesystem::is_empty(path); }

}  // namespace

size_t CrashDepth() {
  return std::max<uint64_t>(NumberFromEnvironment("GZIPFS_CRASH_DEPTH", 1), 1);
}

uint64_t CrashSeed() {
  static const uint64_t seed = NumberFromEnvironment("GZIPFS_CRASH_SEED", std::random_device()());
  return seed;
}

CrashCheck::CrashCheck(Script& script, const CrashLimits& limits)
    : script_(script), limits_(limits) {}

void CrashCheck::Run() {
  const std::vector<DiskOp>& ops = script_.disk().ops();
  CrashStates states(script_.disk().begin(), ops, limits_.samples * CrashDepth(), limits_.every,
                     random_);
  for (size_t call = 0;; ++call) {
    const auto visit = [&](const CrashState& state) {
      if (failures_ >= kMaxFailures) return;
      const History::Bounds bounds = script_.history().At(call, state.is_power_cut);
      if (!seen_.insert({state.disk.Fingerprint(), bounds.oldest}).second) return;
      ++(state.is_power_cut ? power_cuts_ : process_deaths_);
      Try(state, bounds);
    };
    states.VisitProcessDeaths(visit);
    states.VisitPowerCuts(visit);
    if (call == ops.size()) break;
    states.Advance();
  }
  std::cout << ops.size() << " calls: " << process_deaths_ << " process deaths, " << power_cuts_
            << " power cuts, " << crashed_recoveries_ << " crashed recoveries, "
            << failed_recoveries_ << " failed recoveries (GZIPFS_CRASH_SEED=" << seed_ << ")";
  std::cout << "\n";
  if (failures_ == 0) return;
  ADD_FAILURE() << "the calls:\n" << TellCalls(ops) << "the states:\n"
                << script_.history().Tell();
}

void CrashCheck::RunAtEnd() {
  const std::vector<DiskOp>& ops = script_.disk().ops();
  CrashStates states(script_.disk().begin(), ops, limits_.samples, 1, random_);
  while (states.op_count() < ops.size()) states.Advance();
  size_t count = 0;
  const auto visit = [&](const CrashState& state) {
    if (state.is_power_cut && count++ % limits_.every != 0) return;
    const auto bounds = script_.history().At(ops.size(), state.is_power_cut);
    const std::string wrong = Check(state.disk, script_.history(), bounds, nullptr);
    if (wrong.empty()) return;
    ADD_FAILURE() << state.story << "\n" << wrong << "\n" << TellCalls(ops)
                  << script_.history().Tell();
  };
  states.VisitProcessDeaths(visit);
  states.VisitPowerCuts(visit);
}

void CrashCheck::Try(const CrashState& state, const History::Bounds& bounds) {
  Recovered recovered;
  const std::string wrong = Check(state.disk, script_.history(), bounds, &recovered);
  if (!wrong.empty()) {
    ++failures_;
    ADD_FAILURE() << state.story << "\n" << wrong;
    return;
  }
  if (!recovered.found_log) return;
  // Spread over all that can be crashed, however many those are.
  ++recoveries_with_log_;
  const size_t wanted = limits_.recoveries * CrashDepth();
  if (recoveries_with_log_ > wanted && random_() % recoveries_with_log_ >= wanted) return;
  TryCrashedRecovery(recovered, state.story);
  if (random_() % recoveries_with_log_ >= limits_.failed_recoveries * CrashDepth()) return;
  TryFailedRecovery(state, bounds, EIO);
  TryFailedRecovery(state, bounds, ENOSPC);
}

void CrashCheck::TryFailedRecovery(const CrashState& state, const History::Bounds& bounds,
                                   int error) {
  for (int call = 1; failures_ < kMaxFailures; ++call) {
    SimDisk disk(state.disk);
    auto store = Store::Open(disk.path(), script_.options(), disk);
    std::atomic<int> call_count{0};
    disk.before = [&](Call what, const std::string&) {
      if (error == ENOSPC && !test::NeedsSpace(what)) return 0;
      const int count = ++call_count;
      return count == call || (error == ENOSPC && count > call) ? error : 0;
    };
    const auto report = store ? Recover(**store, {}) : Fail(EIO);
    disk.before = nullptr;
    if (call_count < call) return;
    ++failed_recoveries_;
    // The mount goes on, and reads what is left when it opens the file.
    std::string wrong;
    Situation situation{disk, script_.history(), bounds, store->get(), nullptr};
    if (report) wrong = CheckLeft(situation);
    store->reset();
    if (wrong.empty()) wrong = Check(disk.Now(), script_.history(), bounds, nullptr);
    if (wrong.empty()) continue;
    ++failures_;
    ADD_FAILURE() << state.story << "\nthen call " << call << " of recovery and those after it "
                  << "meet " << std::generic_category().message(error) << "\n" << wrong;
  }
}

void CrashCheck::TryCrashedRecovery(const Recovered& recovered, const std::string& story) {
  CrashStates states(recovered.begin, recovered.ops, 1, 1, random_);
  std::set<std::pair<uint64_t, size_t>> seen;
  for (size_t call = 0;; ++call) {
    const auto visit = [&](const CrashState& state) {
      const History::Bounds bounds = recovered.history.At(call, state.is_power_cut);
      if (failures_ >= kMaxFailures) return;
      if (!seen.insert({state.disk.Fingerprint(), bounds.oldest}).second) return;
        ++crashed_recoveries_;
      const std::string wrong = Check(state.disk, recovered.history, bounds, nullptr);
      if (wrong.empty()) return;
      ++failures_;
      ADD_FAILURE() << story << "\nthen recovery:\n" << TellCalls(recovered.ops)
                    << recovered.history.Tell() << state.story << "\n" << wrong;
    };
    states.VisitProcessDeaths(visit);
    states.VisitPowerCuts(visit);
    if (call == recovered.ops.size()) return;
    states.Advance();
  }
}

std::string CrashCheck::Check(const DiskState& state, const History& history,
                              const History::Bounds& bounds, Recovered* recovered) {
  SimDisk disk(state);
  Situation situation{disk, history, bounds, nullptr, recovered};
  std::string wrong = CheckBefore(situation, state);
  if (!wrong.empty()) return "before recovery: " + wrong;
  auto store = Store::Open(disk.path(), script_.options(), disk);
  if (!store) return "the store cannot be opened: " + store.error().message;
  situation.store = store->get();
  if (recovered) {
    recovered->begin = state;
    recovered->history = history.Within(bounds);
    recovered->found_log = !IsEmptyDir(disk.path() + "/.gzipfs/log");
  }
  std::string said;
  RecoveryWatcher watcher;
  watcher.say = [&said](const std::string& sentence) { said += "\n  recovery says: " + sentence; };
  const auto report = Recover(**store, watcher);
  if (!report) return "recovery fails: " + report.error().message() + said;
  if (!limits_.may_quarantine && report->quarantined > 0) return "a log was quarantined" + said;
  if (report->left > 0) return "a log was left" + said;
  wrong = CheckAfter(situation);
  if (recovered) recovered->ops = disk.ops();
  return wrong.empty() ? "" : "after recovery: " + wrong + said;
}

bool CrashCheck::IsBeingOverwritten(SimDisk& disk, uint64_t ino) {
  const std::string path = disk.path() + "/.gzipfs/log/" + LogName(ino);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  const auto summary = ReadLogSummary(disk, fd.get());
  return summary && summary->image && summary->image->overwrites;
}

std::string CrashCheck::CheckBefore(const Situation& situation, const DiskState& state) {
  for (const std::string& name : script_.names()) {
    const auto found = state.names.find(name);
    if (found == state.names.end()) continue;
    const DiskFile& base = state.files.at(found->second);
    if (IsBeingOverwritten(situation.disk, base.ino)) continue;
    const auto plain = GunzipMembers(*base.bytes);
    if (!plain) return "gzip refuses the members of the base";
    const std::string wrong = situation.history.MismatchOfBase(*plain, situation.bounds);
    if (!wrong.empty()) return "the base holds " + wrong;
  }
  return "";
}

std::string CrashCheck::CheckAfter(const Situation& situation) {
  const std::string root = situation.disk.path();
  for (const char* dir : {"log", "image"}) {
    if (!IsEmptyDir(root + "/.gzipfs/" + dir)) return fmt::format("{}/ is not empty", dir);
  }
  const UniqueFd dir(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ScriptPlace place;
  place.dir_fd = dir.get();
  std::shared_ptr<Content> content;
  std::string path;
  Buffer plain;
  for (const std::string& name : script_.names()) {
    if (!std::filesystem::exists(root + "/" + name)) continue;
    content.reset();
    path = root + "/" + name;
    place.name = name;
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    auto opened = OpenContent(*situation.store, std::move(fd), true, false, place);
    if (!opened && IsLostFromTheStart(path) &&
        situation.history.Mismatch(Buffer(), situation.bounds).empty()) {
      return "";
    }
    if (!opened) return name + " cannot be opened: " + opened.error().message();
    content = *opened;
    const std::string wrong = CheckContent(situation, path, *content, &plain);
    if (!wrong.empty()) return name + ": " + wrong;
  }
  if (!content) return situation.bounds.must_exist ? "the file has no name" : "";
  return CheckWrite(situation, path, *content, plain);
}

std::string CrashCheck::CheckLeft(const Situation& situation) {
  const UniqueFd dir(::open(situation.disk.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& name : script_.names()) {
    UniqueFd fd(::openat(dir.get(), name.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) continue;
    ScriptPlace place;
    place.dir_fd = dir.get();
    place.name = name;
    const auto content = OpenContent(*situation.store, std::move(fd), true, false, place);
    if (!content) continue;
    Buffer plain((*content)->plain_bytes());
    const auto count = (*content)->Read(0, plain);
    if (!count || *count != plain.size()) continue;
    const std::string wrong = situation.history.Mismatch(plain, situation.bounds);
    if (!wrong.empty()) return "while its log is left: " + name + ": " + wrong;
  }
  return "";
}

std::string CrashCheck::CheckContent(const Situation& situation, const std::string& path,
                                     Content& content, Buffer* plain) {
  plain->resize(content.plain_bytes());
  const auto count = content.Read(0, *plain);
  if (!count) return "cannot be read: " + count.error().message();
  if (*count != plain->size()) return fmt::format("{} of {} bytes", *count, plain->size());
  std::string wrong = situation.history.Mismatch(*plain, situation.bounds);
  if (!wrong.empty()) return wrong;
  const auto gunzipped = test::GunzipAll(test::ReadFile(path));
  if (!gunzipped) return "gzip refuses the base";
  return *gunzipped == *plain ? "" : "gzip gives something else";
}

// What was recovered goes on living.
std::string CrashCheck::CheckWrite(const Situation& situation, const std::string& path,
                                   Content& content, Buffer plain) {
  const Buffer more = test::FromText("more");
  const uint64_t end = plain.size();
  test::Append(&plain, more);
  if (situation.recovered) {
    situation.recovered->history.Add(plain, true, situation.disk.op_count());
  }
  if (const auto written = content.Write(end, more); !written) {
    return "takes no writes: " + written.error().message();
  }
  if (const auto synced = content.Sync(); !synced) {
    return "cannot be synced: " + synced.error().message();
  }
  if (situation.recovered) {
    History& history = situation.recovered->history;
    history.Promise(history.newest(), situation.disk.op_count(), true);
  }
  if (const auto settled = content.Settle(); !settled) {
    return "cannot be settled: " + settled.error().message();
  }
  const auto gunzipped = test::GunzipAll(test::ReadFile(path));
  return gunzipped && *gunzipped == plain ? "" : "gzip refuses the base after a write";
}

void CrashEverywhere(Script& script, const CrashLimits& limits) {
  script.End();
  if (testing::Test::HasFatalFailure()) return;
  CrashCheck(script, limits).Run();
}

}  // namespace gzipfs::crash
