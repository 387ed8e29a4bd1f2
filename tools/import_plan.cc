// A file is known by its first two bytes and its tail, as the mount knows it; the
// name alone says nothing.
#include "tools/import_plan.h"

#include <fcntl.h>

#include <algorithm>
#include <map>

#include "codec/member_index.h"
#include "fs/sys/file_ops.h"
#include "fs/vfs/base_view.h"
#include "fs/vfs/name_codec.h"
#include "tools/messages.h"
#include "tools/tree.h"
#include "tools/tree_place.h"

namespace gzipfs {
namespace {

constexpr char kImportName[] = "import";

void Tell(ImportPlan& plan, const std::string& path, std::string_view reason) {
  Complain(kImportName, "{}: {}", path, reason);
  ++plan.failed_files;
}

Result<ImportKind> KindOf(const std::string& path, const struct stat& status) {
  if (!HasGzSuffix(NameOf(path))) return ImportKind::kPlain;
  if (status.st_size == 0) return ImportKind::kOurs;  // an empty file
  FileOps& ops = RealFileOps();
  const Result<UniqueFd> fd = OpenInTree(path, O_RDONLY | O_NONBLOCK);
  if (!fd) return Fail(fd.error());
  const Result<bool> is_gzip = BeginsAsGzip(ops, fd->get());
  if (!is_gzip) return Fail(is_gzip.error());
  if (!*is_gzip) return ImportKind::kRaw;
  const FileSource source(ops, fd->get(), static_cast<uint64_t>(status.st_size));
  const Result<std::optional<TailSummary>> tail = ReadTailSummary(source, source.Size());
  if (!tail) return Fail(tail.error());
  return *tail ? ImportKind::kOurs : ImportKind::kForeign;
}

void AddFile(const std::string& from, const std::string& to, const struct stat& status,
             bool is_in_place, ImportPlan& plan) {
  const Result<ImportKind> kind = KindOf(from, status);
  if (!kind) return Tell(plan, from, Describe(kind.error()));
  if (is_in_place && *kind == ImportKind::kOurs) {
    ++plan.skipped_files;
    return;
  }
  if (is_in_place && *kind == ImportKind::kRaw)
    return Tell(plan, from, "ends in .gz and is no gzip; left alone");
  const bool gets_suffix = *kind == ImportKind::kPlain;
  if (gets_suffix && NameOf(to).size() > kMaxMountNameBytes)
    return Tell(plan, from, "its name is too long with .gz behind it; left alone");
  plan.jobs.push_back({.kind = *kind,
                       .sources = {from},
                       .targets = {gets_suffix ? to + std::string(kGzSuffix) : to},
                       .status = status});
}

}  // namespace

void PlanInPlace(const std::string& path, ImportPlan& plan) {
  const auto complain = [&](const std::string& where, std::error_code error) {
    Tell(plan, where, Describe(error));
  };
  for (const TreeEntry& entry : ListTree(path, complain, &plan.temporaries)) {
    if (!S_ISREG(entry.status.st_mode)) continue;  // as it is in a store
    const std::string full = PathBelow(path, entry.path);
    AddFile(full, full, entry.status, true, plan);
  }
}

void PlanCopy(const std::string& path, const std::string& to, bool is_dry, ImportPlan& plan) {
  const auto complain = [&](const std::string& where, std::error_code error) {
    Tell(plan, where, Describe(error));
  };
  // What an earlier run has left below the store.
  if (StatInTree(to)) ListTree(to, complain, &plan.temporaries);
  std::string unmade;  // a directory that could not be made, with a slash behind it
  for (const TreeEntry& entry : ListTree(path, complain)) {
    const std::string from = PathBelow(path, entry.path);
    const std::string target = PathBelow(to, entry.path);
    if (!unmade.empty() && target.starts_with(unmade)) continue;
    if (S_ISREG(entry.status.st_mode)) {
      AddFile(from, target, entry.status, false, plan);
      continue;
    }
    if (is_dry) continue;
    const bool is_directory = S_ISDIR(entry.status.st_mode);
    const Result<struct stat> there = StatInTree(target);
    const bool is_done = there && !is_directory &&
                         (there->st_mode & S_IFMT) == (entry.status.st_mode & S_IFMT);
    if (is_done) continue;  // by an earlier run
    const Result<void> made = MakeLike(from, entry.status, target);
    if (!made) {
      Tell(plan, target, Describe(made.error()));
      if (is_directory) unmade = target + "/";
    } else if (is_directory) {
      plan.directories.push_back({from, target, entry.status});
    }
  }
}

void FinishPlan(bool is_in_place, ImportPlan& plan) {
  std::map<std::pair<dev_t, ino_t>, size_t> by_inode;
  std::vector<ImportJob> jobs;
  for (ImportJob& job : plan.jobs) {
    const auto [known, is_new] =
        by_inode.try_emplace({job.status.st_dev, job.status.st_ino}, jobs.size());
    if (is_new) {
      jobs.push_back(std::move(job));
      continue;
    }
    ImportJob& first = jobs[known->second];
    const auto& names = first.sources;
    if (std::find(names.begin(), names.end(), job.sources[0]) != names.end()) continue;
    if (first.kind != job.kind) {
      Tell(plan, job.sources[0], "has another name that is imported otherwise; left alone");
      continue;
    }
    first.sources.push_back(job.sources[0]);
    first.targets.push_back(job.targets[0]);
  }
  std::stable_sort(jobs.begin(), jobs.end(), [](const ImportJob& a, const ImportJob& b) {
    return a.status.st_size > b.status.st_size;
  });
  // Of two that would become one file neither is taken for the other.
  std::map<std::string, int> uses;
  for (const ImportJob& job : jobs)
    for (const std::string& target : job.targets) ++uses[target];
  const auto collides = [&](const ImportJob& job) {
    if (is_in_place) return false;  // there the one that is there already keeps its name
    const auto shared = std::find_if(job.targets.begin(), job.targets.end(),
                                     [&](const std::string& target) { return uses[target] > 1; });
    if (shared == job.targets.end()) return false;
    Tell(plan, job.sources[0],
         fmt::format("another file would become {}, too; both left alone", *shared));
    return true;
  };
  std::erase_if(jobs, collides);
  plan.jobs = std::move(jobs);
  for (const ImportJob& job : plan.jobs)
    plan.total_bytes += static_cast<uint64_t>(job.status.st_size);
}

}  // namespace gzipfs
