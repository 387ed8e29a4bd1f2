// Each log is judged by itself, with the places of all inodes that any log
// names at hand. The rules are those of fs/DESIGN.md, "Recovery".
#include "fs/store/recovery.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>

#include "codec/member_index.h"
#include "fs/store/content.h"
#include "fs/store/log_reader.h"
#include "fs/store/power_cut.h"
#include "fs/store/quarantine.h"
#include "fs/store/recovery_image.h"
#include "fs/store/recovery_places.h"
#include "fs/store/redo_log.h"
#include "fs/sys/privileges.h"

namespace gzipfs {
namespace {

// A log as it was found.
struct FoundLog {
  std::string name;
  uint64_t ino = 0;
  uint64_t log_bytes = 0;
  Result<LogSummary> summary = Fail(ENOENT);
};

bool IsOlder(const timespec& time, const std::optional<timespec>& than) {
  return than && std::tie(time.tv_sec, time.tv_nsec) < std::tie(than->tv_sec, than->tv_nsec);
}

class Recovery {
 public:
  Recovery(Store& store, const RecoveryWatcher& watcher, TornEnds torn_ends)
      : store_(store), watcher_(watcher), torn_ends_(torn_ends) {}

  Result<RecoveryReport> Run();

 private:
  Result<void> FindLogs();
  Result<void> FindPlaces();
  FoundLog Look(const std::string& name, uint64_t ino);
  Result<void> Handle(const FoundLog& log);
  Result<void> HandleNormal(const FoundLog& log);
  Result<void> HandleReplaced(const FoundLog& log);
  Result<void> HandleOverwritten(const FoundLog& log);
  Result<void> Apply(const FoundLog& log, RecoveryPlace& place);
  Result<void> Remove(const std::string& name);
  Result<void> Quarantine(const FoundLog& log, const std::string& why);
  void Leave(const FoundLog& log, const std::string& why);
  Result<void> LeaveUnread(const FoundLog& log, const RecoveryPlace& place, std::error_code error);
  Result<bool> IsBaseAt(const RecoveryPlace& place, const LogSummary& summary);
  Result<void> CompleteEnds();
  Result<void> CompleteEnd(RecoveryPlace& place);
  void CutLostPages(const RecoveryPlace& place, int fd, std::optional<uint64_t> durable_bytes);
  Result<void> RemoveImages();

  Store& store_;
  const RecoveryWatcher& watcher_;
  const TornEnds torn_ends_;
  RecoveryReport report_;
  std::vector<FoundLog> logs_;
  std::vector<std::string> next_names_;
  PlaceMap places_;        // in the store
  PlaceMap image_places_;  // in the image directory
  std::vector<std::string> kept_images_;
  bool keeps_all_images_ = false;
};

FoundLog Recovery::Look(const std::string& name, uint64_t ino) {
  FoundLog log{.name = name, .ino = ino};
  const Result<UniqueFd> fd =
      store_.ops().OpenAt(store_.log_dir_fd(), name.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  if (!fd) {
    log.summary = Fail(fd.error());
    return log;
  }
  if (const auto attributes = store_.ops().Stat(fd->get())) {
    log.log_bytes = static_cast<uint64_t>(attributes->st_size);
  }
  log.summary = ReadLogSummary(store_.ops(), fd->get());
  return log;
}

Result<void> Recovery::FindLogs() {
  const auto names = store_.ops().List(store_.log_dir_fd());
  if (!names) return Fail(names.error());
  for (const DirectoryItem& item : *names) {
    const std::optional<uint64_t> ino = InoOfLogName(item.name);
    if (!ino) continue;
    if (item.name == NextLogName(*ino)) {
      next_names_.push_back(item.name);
    } else {
      logs_.push_back(Look(item.name, *ino));
    }
  }
  std::sort(logs_.begin(), logs_.end(),
            [](const FoundLog& a, const FoundLog& b) { return a.ino < b.ino; });
  return {};
}

Result<void> Recovery::FindPlaces() {
  std::vector<uint64_t> inos;
  for (const FoundLog& log : logs_) {
    inos.push_back(log.ino);
    if (log.summary && log.summary->image) inos.push_back(log.summary->image->image.ino);
  }
  auto places = FindPlacesOf(store_.ops(), store_.root_fd(), inos);
  if (!places) return Fail(places.error());
  places_ = std::move(*places);
  const auto images = store_.ops().List(store_.image_dir_fd());
  if (!images) return Fail(images.error());
  for (const DirectoryItem& item : *images) image_places_[item.ino] = {"", item.name};
  return {};
}

Result<void> Recovery::Remove(const std::string& name) {
  return store_.ops().UnlinkAt(store_.log_dir_fd(), name.c_str(), 0);
}

Result<void> Recovery::Quarantine(const FoundLog& log, const std::string& why) {
  const Result<std::string> kept = QuarantineLog(store_, log.name);
  if (!kept) return Fail(kept.error());
  ++report_.quarantined;
  watcher_.say(fmt::format("{}: its log is kept as {}", why, *kept));
  return {};
}

void Recovery::Leave(const FoundLog& log, const std::string& why) {
  store_.logs().Add(log.ino);
  if (log.summary && log.summary->image) kept_images_.push_back(log.summary->image->name);
  if (!log.summary) keeps_all_images_ = true;  // it may need any of them
  ++report_.left;
  watcher_.say(why);
}

// Whether the log fits cannot be told now: it must not be moved away for that.
Result<void> Recovery::LeaveUnread(const FoundLog& log, const RecoveryPlace& place,
                                   std::error_code error) {
  Leave(log, fmt::format("{} cannot be read: {}; its log is read when it is opened", place.path(),
                         error.message()));
  return {};
}

Result<bool> Recovery::IsBaseAt(const RecoveryPlace& place, const LogSummary& summary) {
  const auto fd = place.Open(store_.ops(), store_.root_fd(), O_RDONLY);
  if (!fd) return Fail(fd.error());
  return IsBaseOf(store_.ops(), fd->get(), summary);
}

Result<void> Recovery::Handle(const FoundLog& log) {
  if (!log.summary) {
    const std::error_code error = log.summary.error();
    if (error == DataError::kTruncated) return Remove(log.name);  // nothing was promised yet
    if (error.category() == DataErrorCategory()) {
      return Quarantine(log, fmt::format("the log of inode {} cannot be read", log.ino));
    }
    Leave(log, fmt::format("the log of inode {} cannot be read: {}", log.ino, error.message()));
    return {};
  }
  if (log.summary->image && log.summary->image->overwrites) return HandleOverwritten(log);
  if (log.summary->image) return HandleReplaced(log);
  if (!log.summary->has_commit && !log.summary->is_damaged) return Remove(log.name);
  return HandleNormal(log);
}

Result<void> Recovery::HandleNormal(const FoundLog& log) {
  const auto found = places_.find(log.ino);
  if (found == places_.end()) {
    // The log for the time after a checkpoint that did not come to its end.
    if (image_places_.contains(log.ino)) return Remove(log.name);
    return Quarantine(log, fmt::format("no file has inode {} (it was deleted, or the store was "
                                       "copied)", log.ino));
  }
  RecoveryPlace& place = found->second;
  const Result<bool> is_base = IsBaseAt(place, *log.summary);
  if (!is_base) return LeaveUnread(log, place, is_base.error());
  if (!*is_base) {
    const auto fd = place.Open(store_.ops(), store_.root_fd(), O_RDONLY);
    const auto attributes = fd ? store_.ops().Stat(fd->get()) : Fail(fd.error());
    if (!attributes) return LeaveUnread(log, place, attributes.error());
    // Cut to nothing, which the log says too.
    if (attributes->st_size == 0 && log.summary->plain_bytes == 0) {
      return Remove(log.name);
    }
    return Quarantine(log, fmt::format("{} was changed while it was not mounted", place.path()));
  }
  return Apply(log, place);
}

Result<void> Recovery::HandleReplaced(const FoundLog& log) {
  const auto base = places_.find(log.ino);
  const auto is_base =
      base == places_.end() ? Result<bool>(false) : IsBaseAt(base->second, *log.summary);
  if (!is_base) return LeaveUnread(log, base->second, is_base.error());
  if (*is_base) return log.summary->has_commit ? Apply(log, base->second) : Remove(log.name);
  // The image has the name: all that the log says is in it, or in its own log.
  if (places_.contains(log.summary->image->image.ino)) return Remove(log.name);
  return HandleNormal(log);
}

Result<void> Recovery::HandleOverwritten(const FoundLog& log) {
  const LogImage& image = *log.summary->image;
  const auto found = places_.find(log.ino);
  if (found == places_.end()) return HandleNormal(log);
  if (const Result<void> copied = CopyImageAgain(store_, image, found->second); !copied) {
    Leave(log, fmt::format("{} was being overwritten and cannot be completed: {}",
                           found->second.path(), copied.error().message()));
    return {};
  }
  const std::string next_name = NextLogName(log.ino);
  const auto next = std::find(next_names_.begin(), next_names_.end(), next_name);
  if (!image.has_next_log || next == next_names_.end()) {
    GZIPFS_TRY(Remove(log.name));
    ++report_.recovered;
    watcher_.say(fmt::format("recovered {}", found->second.path()));
    return {};
  }
  GZIPFS_TRY(store_.ops().RenameAt(store_.log_dir_fd(), next_name.c_str(), store_.log_dir_fd(),
                                   log.name.c_str(), 0));
  next_names_.erase(next);
  return Handle(Look(log.name, log.ino));
}

// Opening the file reads its log; settling it brings that into the base.
Result<void> Recovery::Apply(const FoundLog& log, RecoveryPlace& place) {
  store_.logs().Add(log.ino);
  if (log.summary->is_damaged) {
    Leave(log, fmt::format("the log of {} is damaged: the file cannot be written, and its newest "
                           "changes are missing", place.path()));
    return {};
  }
  Result<void> settled;
  auto fd = place.Open(store_.ops(), store_.root_fd(), O_RDWR);
  if (!fd) settled = Fail(fd.error());
  if (fd) {
    // Its base was durable, but for what was appended behind the cut of a join.
    if (log.summary->prefix) CutLostPages(place, fd->get(), log.summary->prefix->stored_bytes);
    place.Hold(store_.ops(), store_.root_fd());
    auto content = OpenContent(store_, std::move(*fd), true, false, place);
    settled = content ? (*content)->Settle() : Fail(content.error());
  }
  if (!settled) {
    keeps_all_images_ = true;  // its log may have announced one just now
    Leave(log, fmt::format("{} is not recovered yet: {}; its log is read when it is opened",
                           place.path(), settled.error().message()));
    return {};
  }
  ++report_.recovered;
  watcher_.say(fmt::format("recovered {} ({} bytes of log)", place.path(), log.log_bytes));
  return {};
}

// What was appended to when the last process died may end in part of a member,
// or without a tail: gzip would complain.
Result<void> Recovery::CompleteEnds() {
  if (!store_.unclean_since()) return {};
  auto places = FindChangedSince(store_.ops(), store_.root_fd(), *store_.unclean_since(), ".gz");
  if (!places) return Fail(places.error());
  for (size_t i = 0; i < places->size(); ++i) {
    watcher_.progress(i, places->size());
    GZIPFS_TRY(CompleteEnd((*places)[i]));
  }
  return {};
}

// What cannot be opened or is damaged otherwise stays as it is, and so does what
// is no gzip file.
Result<void> Recovery::CompleteEnd(RecoveryPlace& place) {
  auto fd = place.Open(store_.ops(), store_.root_fd(), O_RDWR);
  if (fd) CutLostPages(place, fd->get(), std::nullopt);
  const auto before = fd ? store_.ops().Stat(fd->get()) : Fail(fd.error());
  if (!before) return {};
  const FileSource source(store_.ops(), fd->get(), static_cast<uint64_t>(before->st_size));
  if (const auto tail = ReadTailSummary(source, source.Size()); tail && *tail) return {};
  const auto content = OpenContent(store_, std::move(*fd), true, false, place);
  if (!content || !(*content)->CompleteEnd()) return {};
  const auto after = (*content)->StatBase();
  if (!after || after->st_size == before->st_size) return {};
  ++report_.completed;
  watcher_.say(fmt::format("completed {}, which was being written", place.path()));
  return {};
}

// After a power cut: cuts the base in front of what it has lost, if that is not
// before `durable_bytes`, which its log knows. What is cut off is durable elsewhere
// before it goes. What cannot be done is said, and concerns this file alone.
void Recovery::CutLostPages(const RecoveryPlace& place, int fd,
                            std::optional<uint64_t> durable_bytes) {
  if (!store_.is_after_power_cut()) return;
  FileOps& ops = store_.ops();
  const auto base = ops.Stat(fd);
  if (base && IsOlder(base->st_ctim, store_.synced_since())) return;
  const FileSource source(ops, fd, base ? static_cast<uint64_t>(base->st_size) : 0);
  const bool is_ours = durable_bytes.has_value();
  const auto lost = base ? FindLostPages(store_, source, is_ours) : Fail(base.error());
  if (lost && (!*lost || **lost < durable_bytes.value_or(0))) return;
  const auto kept = lost ? KeepAside(store_, fd, **lost, source.Size(), place.path())
                         : Result<std::string>(Fail(lost.error()));
  std::optional<KeptPrivileges> privileges(std::in_place, fd);
  Result<void> cut = kept ? ops.Truncate(fd, **lost) : Fail(kept.error());
  privileges.reset();
  if (cut) cut = ops.SyncData(fd);
  if (!cut) {
    watcher_.say(fmt::format("{} may have lost pages in a power cut, and stays as it is: {}",
                             place.path(), cut.error().message()));
    return;
  }
  ++report_.cut;
  watcher_.say(fmt::format("{} lost pages in a power cut that were never synced: cut in front of "
                           "them; what was behind is kept as {}", place.path(), *kept));
}

Result<void> Recovery::RemoveImages() {
  if (keeps_all_images_) return {};
  const auto names = store_.ops().List(store_.image_dir_fd());
  if (!names) return Fail(names.error());
  for (const DirectoryItem& item : *names) {
    const bool is_kept = std::find(kept_images_.begin(), kept_images_.end(), item.name) !=
                         kept_images_.end();
    if (!item.name.starts_with(kImagePrefix) || is_kept) continue;
    GZIPFS_TRY(store_.ops().UnlinkAt(store_.image_dir_fd(), item.name.c_str(), 0));
  }
  return {};
}

Result<RecoveryReport> Recovery::Run() {
  if (store_.log_dir_fd() < 0) return report_;  // a store that was never written to
  GZIPFS_TRY(FindLogs());
  if (store_.read_only()) {
    for (const FoundLog& log : logs_) {
      if (!log.summary || (!log.summary->has_commit && !log.summary->image)) continue;
      Leave(log, fmt::format("inode {} has a log of {} bytes, which stays", log.ino,
                             log.log_bytes));
    }
    return report_;
  }
  if (!logs_.empty()) GZIPFS_TRY(FindPlaces());
  uint64_t all_bytes = 0;
  for (const FoundLog& log : logs_) all_bytes += log.log_bytes;
  uint64_t done_bytes = 0;
  for (const FoundLog& log : logs_) {
    watcher_.progress(done_bytes, all_bytes);
    GZIPFS_TRY(Handle(log));
    done_bytes += log.log_bytes;
  }
  for (const std::string& name : next_names_) {
    const bool is_left = store_.logs().Contains(*InoOfLogName(name));
    if (!is_left) GZIPFS_TRY(Remove(name));
  }
  // Before any base changes: a log that came back would be applied once more.
  if (!logs_.empty()) GZIPFS_TRY(store_.ops().SyncAll(store_.log_dir_fd()));
  const bool completes = torn_ends_ == TornEnds::kComplete || store_.is_after_power_cut();
  if (completes) GZIPFS_TRY(CompleteEnds());
  GZIPFS_TRY(RemoveImages());
  if (completes) store_.NoteRecovered();
  watcher_.progress(all_bytes, all_bytes);
  return report_;
}

}  // namespace

Result<RecoveryReport> Recover(Store& store, const RecoveryWatcher& watcher,
                               TornEnds torn_ends) {
  return Recovery(store, watcher, torn_ends).Run();
}

}  // namespace gzipfs
