// A survey for each store, put into sentences.
#include "tools/check_stores.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "fs/store/store.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

constexpr size_t kMaxToldWaiting = 20;

std::string DescribeWaiting(const std::string& store_path, const StoreSurvey& survey,
                            bool is_ours) {
  const size_t count = survey.waiting_paths.size();
  std::string line = fmt::format("{}: note: {} file{} changes in a redo log; {}: ", store_path,
                                 count, count == 1 ? " has" : "s have",
                                 survey.is_in_use && !is_ours ? "the mount brings them in"
                                                              : "the next mount brings them in");
  for (size_t i = 0; i < std::min(count, kMaxToldWaiting); ++i)
    line += (i == 0 ? "" : ", ") + survey.waiting_paths[i];
  if (count > kMaxToldWaiting) line += fmt::format(" and {} more", count - kMaxToldWaiting);
  return line;
}

void LookIntoStore(const std::string& path, SurveyDepth depth, bool is_ours, StoreLines& lines) {
  const Result<StoreSurvey> survey = SurveyStore(RealFileOps(), path, depth);
  if (!survey) {
    lines.failures.push_back(
        fmt::format("{}/{}: {}", path, kPrivateDirName, Describe(survey.error())));
    return;
  }
  if (!survey->waiting_paths.empty())
    lines.notes.push_back(DescribeWaiting(path, *survey, is_ours));
  for (const SurveyFinding& finding : survey->findings) {
    if (finding.kind == SurveyFinding::Kind::kNote) {
      lines.notes.push_back(fmt::format("{}: note: {}", path, finding.sentence));
    } else {
      lines.damages.push_back(fmt::format("{}: {}", path, finding.sentence));
    }
  }
}

}  // namespace

Result<std::set<FileIdentity>> WaitingFilesOf(const std::string& root) {
  const Result<StoreSurvey> survey = SurveyStore(RealFileOps(), root, SurveyDepth::kEnds);
  if (!survey) return Fail(survey.error());
  return std::set(survey->waiting_files.begin(), survey->waiting_files.end());
}

StoreLines LookIntoStores(const CheckInventory& inventory, bool is_deep, bool is_ours) {
  StoreLines lines;
  StoreRoots roots;
  std::map<std::string, std::set<FileIdentity>> waiting_files;  // by root; none if told already
  for (const std::string& path : inventory.store_paths) {
    LookIntoStore(path, is_deep ? SurveyDepth::kEveryBlock : SurveyDepth::kEnds, is_ours, lines);
    if (const auto root = roots.Of(path)) waiting_files[*root];
  }
  for (const InventoryFile& file : inventory.files) {
    const std::optional<std::string> root = roots.Of(file.path);
    if (!root) continue;
    const auto [entry, is_new] = waiting_files.try_emplace(*root);
    // Where the logs may not be looked at the file itself may be.
    if (is_new) entry->second = WaitingFilesOf(*root).value_or(std::set<FileIdentity>());
    if (entry->second.empty()) continue;
    std::error_code error;
    const std::string real = std::filesystem::canonical(file.path, error).string();
    const Result<struct stat> status = RealFileOps().StatAt(AT_FDCWD, real.c_str());
    if (!status || !entry->second.contains({status->st_dev, status->st_ino})) continue;
    lines.notes.push_back(file.path +
                          ": note: has changes in a redo log; the next mount brings them in");
  }
  return lines;
}

}  // namespace gzipfs
