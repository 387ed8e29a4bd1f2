// Judges each log by the rules of recovery (fs/DESIGN.md, section 6), which
// would act where this only tells.
#include "fs/store/survey.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "codec/member.h"
#include "fs/store/log_reader.h"
#include "fs/store/recovery_places.h"
#include "fs/store/redo_log.h"
#include "fs/store/store.h"
#include "fs/store/store_lock.h"
#include "fs/store/store_config.h"
#include "fs/sys/file_lock.h"

namespace gzipfs {
namespace {

using Kind = SurveyFinding::Kind;

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

class Survey {
 public:
  Survey(FileOps& ops, SurveyDepth depth) : ops_(ops), depth_(depth) {}

  Result<StoreSurvey> Run(const std::string& path);

 private:
  struct SeenLog {
    std::string name;
    uint64_t ino;
    Result<LogSummary> summary;
  };

  template <typename... Arguments>
  void Say(Kind kind, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    found_.findings.push_back({kind, fmt::format(format, std::forward<Arguments>(arguments)...)});
  }
  Result<std::vector<DirectoryItem>> ListPrivate(const char* name, UniqueFd& dir);
  Result<void> LookAtLock();
  void LookAtConfig();
  Result<void> LookAtLogs();
  Result<void> JudgeLog(const SeenLog& log);
  void NoteWaiting(const SeenLog& log, const RecoveryPlace& place);
  Result<void> JudgeFitting(const SeenLog& log, const RecoveryPlace& place);
  Result<void> CheckRecords(const SeenLog& log, const std::string& path);
  void SayOrphan(const SeenLog& log, const std::string& why);
  Result<void> LookAtImages();
  Result<void> LookAtQuarantine();

  FileOps& ops_;
  const SurveyDepth depth_;
  StoreSurvey found_;
  UniqueFd root_;
  UniqueFd private_;
  UniqueFd log_dir_;
  UniqueFd image_dir_;
  PlaceMap places_;
  std::vector<uint64_t> image_inos_;
  std::vector<std::string> needed_images_;
};

// What is in a directory of the private one; nothing where it is not there.
Result<std::vector<DirectoryItem>> Survey::ListPrivate(const char* name, UniqueFd& dir) {
  Result<UniqueFd> opened = ops_.OpenAt(private_.get(), name, kDirectoryFlags, 0);
  if (!opened && opened.error().value() == ENOENT) return std::vector<DirectoryItem>{};
  if (!opened) return Fail(opened.error());
  dir = std::move(*opened);
  Result<std::vector<DirectoryItem>> items = ops_.List(dir.get());
  if (!items) return items;
  std::sort(items->begin(), items->end(),
            [](const DirectoryItem& a, const DirectoryItem& b) { return a.name < b.name; });
  return items;
}

Result<void> Survey::LookAtLock() {
  const Result<UniqueFd> lock =
      ops_.OpenAt(private_.get(), kLockName, O_RDONLY | O_NOFOLLOW, 0);
  if (!lock) return lock.error().value() == ENOENT ? Result<void>() : Fail(lock.error());
  // Goes again with the descriptor.
  found_.is_in_use = !TryLockFile(lock->get(), LockKind::kShared).has_value();
  if (ReadStoreLock(ops_, lock->get()).pid != 0 && !found_.is_in_use) {
    Say(Kind::kNote, "the last mount did not come to its end; the next one sees to what it left");
  }
  return {};
}

void Survey::LookAtConfig() {
  if (const auto config = ReadStoreConfig(ops_, private_.get()); !config) {
    Say(Kind::kDamage, "{}/{} {}", kPrivateDirName, kConfigName,
        DescribeConfigError(config.error()));
  }
}

Result<void> Survey::LookAtLogs() {
  const auto items = ListPrivate(kLogDirName, log_dir_);
  if (!items) return Fail(items.error());
  std::vector<SeenLog> logs;
  std::vector<uint64_t> inos;
  for (const DirectoryItem& item : *items) {
    const std::optional<uint64_t> ino = InoOfLogName(item.name);
    if (!ino || item.name == NextLogName(*ino)) continue;
    const Result<UniqueFd> fd =
        ops_.OpenAt(log_dir_.get(), item.name.c_str(), O_RDONLY | O_NOFOLLOW, 0);
    if (!fd && fd.error().value() == ENOENT) continue;  // done with meanwhile
    if (!fd) return Fail(fd.error());
    logs.push_back({item.name, *ino, ReadLogSummary(ops_, fd->get())});
    inos.push_back(*ino);
    const Result<LogSummary>& summary = logs.back().summary;
    if (summary && summary->image) inos.push_back(summary->image->image.ino);
  }
  if (logs.empty()) return {};
  auto places = FindPlacesOf(ops_, root_.get(), inos);
  if (!places) return Fail(places.error());
  places_ = std::move(*places);
  for (const SeenLog& log : logs) GZIPFS_TRY(JudgeLog(log));
  return {};
}

void Survey::SayOrphan(const SeenLog& log, const std::string& why) {
  Say(Kind::kDamage, "{}/{}/{}: orphaned log: {}; the next mount moves it to {}", kPrivateDirName,
      kLogDirName, log.name, why, kQuarantineDirName);
}

void Survey::NoteWaiting(const SeenLog& log, const RecoveryPlace& place) {
  found_.waiting_paths.push_back(place.path());
  // A file may show another device than its directory, as on overlayfs. Where a mount has
  // taken its name away meanwhile, the directory's is the best guess.
  const Result<UniqueFd> base = place.Open(ops_, root_.get(), O_PATH);
  const Result<struct stat> status = ops_.Stat(base ? base->get() : root_.get());
  if (status) found_.waiting_files.emplace_back(status->st_dev, log.ino);
}

Result<void> Survey::JudgeLog(const SeenLog& log) {
  const auto place = places_.find(log.ino);
  const bool has_place = place != places_.end();
  if (found_.is_in_use) {
    if (has_place) NoteWaiting(log, place->second);
    return {};
  }
  if (!log.summary) {
    const std::error_code error = log.summary.error();
    if (error == DataError::kTruncated) return {};  // it never was complete: nothing was promised
    if (error.category() == DataErrorCategory()) {
      SayOrphan(log, fmt::format("it cannot be read ({})", error.message()));
      return {};
    }
    if (error.value() != EPROTONOSUPPORT) return Fail(error);
    Say(Kind::kDamage, "{}: its log needs a later version of gzipfs",
        has_place ? place->second.path() : log.name);
    return {};
  }
  const LogSummary& summary = *log.summary;
  if (!summary.has_commit && !summary.image && !summary.is_damaged) return {};
  if (summary.image) needed_images_.push_back(summary.image->name);
  if (has_place) return JudgeFitting(log, place->second);
  // Recovery knows that a checkpoint came to its end, or never began to count.
  const bool is_done = summary.image && !summary.image->overwrites &&
                       places_.contains(summary.image->image.ino);
  const bool is_image = std::find(image_inos_.begin(), image_inos_.end(), log.ino) !=
                        image_inos_.end();
  if (!is_done && !is_image) {
    SayOrphan(log, fmt::format("no file has inode {} (it was deleted, or the store was copied)",
                                 log.ino));
  }
  return {};
}

Result<void> Survey::JudgeFitting(const SeenLog& log, const RecoveryPlace& place) {
  const LogSummary& summary = *log.summary;
  if (!summary.image || !summary.image->overwrites) {
    const Result<UniqueFd> base = place.Open(ops_, root_.get(), O_RDONLY);
    if (!base) return Fail(base.error());
    const Result<bool> fits = IsBaseOf(ops_, base->get(), summary);
    if (!fits) return Fail(fits.error());
    const bool is_replaced =
        summary.image && places_.contains(summary.image->image.ino) && !*fits;
    if (is_replaced) return {};
    if (!*fits) {
      const Result<struct stat> status = ops_.Stat(base->get());
      if (!status) return Fail(status.error());
      if (status->st_size == 0 && summary.plain_bytes == 0) return {};  // cut to nothing
      SayOrphan(log, fmt::format("{} was changed while it was not mounted", place.path()));
      return {};
    }
  }
  NoteWaiting(log, place);
  if (summary.is_damaged) {
    Say(Kind::kDamage, "{}: its log is damaged: its newest changes are missing, and it cannot be "
        "written", place.path());
    return {};
  }
  return depth_ == SurveyDepth::kEveryBlock ? CheckRecords(log, place.path()) : Result<void>();
}

// Decodes what the records carry.
Result<void> Survey::CheckRecords(const SeenLog& log, const std::string& path) {
  const Result<UniqueFd> fd =
      ops_.OpenAt(log_dir_.get(), log.name.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  if (!fd) return Fail(fd.error());
  const Result<void> replayed =
      ReplayLog(ops_, fd->get(), *log.summary, [](const LogRecord& record) -> Result<void> {
        if (record.type == LogRecordType::kZero) {
          const Result<uint64_t> byte_count = DecodeLogLength(record.payload);
          return byte_count ? Result<void>() : Fail(byte_count.error());
        }
        if (record.type != LogRecordType::kMember) return {};
        const Result<EncodedBlock> block = DecodeLogMembers(record.payload);
        if (!block) return Fail(block.error());
        const auto plain = DecodeBlock(*block);
        return plain ? Result<void>() : Fail(plain.error());
      });
  if (!replayed && replayed.error().category() != DataErrorCategory()) return replayed;
  if (!replayed) {
    Say(Kind::kDamage, "{}: a record of its log cannot be used: {}", path,
        replayed.error().message());
  }
  return {};
}

Result<void> Survey::LookAtImages() {
  const auto items = ListPrivate(kImageDirName, image_dir_);
  if (!items) return Fail(items.error());
  for (const DirectoryItem& item : *items) image_inos_.push_back(item.ino);
  GZIPFS_TRY(LookAtLogs());
  if (found_.is_in_use) return {};
  const auto left_over = std::count_if(items->begin(), items->end(), [&](const auto& item) {
    return std::find(needed_images_.begin(), needed_images_.end(), item.name) ==
                 needed_images_.end() &&
           item.name.starts_with(kImagePrefix);
  });
  if (left_over > 0) {
    Say(Kind::kNote, "{}/{} has {} scratch file{} that nobody needs; the next mount removes them",
        kPrivateDirName, kImageDirName, left_over, left_over == 1 ? "" : "s");
  }
  return {};
}

Result<void> Survey::LookAtQuarantine() {
  UniqueFd dir;
  const auto items = ListPrivate(kQuarantineDirName, dir);
  if (!items) return Fail(items.error());
  for (const DirectoryItem& item : *items) {
    const bool is_log = item.name.find(".log.") != std::string::npos;
    Say(Kind::kNote, "{}/{}/{} was put aside: {}; remove it when nobody needs it",
        kPrivateDirName, kQuarantineDirName, item.name,
        is_log ? "a log that fitted no file" : "what a repair cut off");
  }
  return {};
}

Result<StoreSurvey> Survey::Run(const std::string& path) {
  Result<UniqueFd> root = ops_.OpenAt(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY, 0);
  if (!root) return Fail(root.error());
  root_ = std::move(*root);
  Result<UniqueFd> inside = ops_.OpenAt(root_.get(), kPrivateDirName, kDirectoryFlags, 0);
  if (!inside && inside.error().value() == ENOENT) return found_;
  if (!inside) return Fail(inside.error());
  private_ = std::move(*inside);
  GZIPFS_TRY(LookAtLock());
  LookAtConfig();
  GZIPFS_TRY(LookAtImages());
  GZIPFS_TRY(LookAtQuarantine());
  std::sort(found_.waiting_paths.begin(), found_.waiting_paths.end());
  return std::move(found_);
}

}  // namespace

bool IsStoreInUse(FileOps& ops, const std::string& path) {
  const std::string lock_path = fmt::format("{}/{}/{}", path, kPrivateDirName, kLockName);
  const Result<UniqueFd> lock =
      ops.OpenAt(AT_FDCWD, lock_path.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  // Goes again with the descriptor.
  return lock && !TryLockFile(lock->get(), LockKind::kShared);
}

Result<StoreSurvey> SurveyStore(FileOps& ops, const std::string& path, SurveyDepth depth) {
  return Survey(ops, depth).Run(path);
}

}  // namespace gzipfs
