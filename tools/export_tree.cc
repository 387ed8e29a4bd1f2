// Large files share the pool with each other; small ones are done by the thread
// that took them. The largest begin first, so that none is alone at the end.
#include "tools/export_tree.h"

#include <fcntl.h>

#include <algorithm>
#include <map>
#include <optional>

#include "codec/base/units.h"
#include "fs/sys/at.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/process.h"
#include "tools/in_parallel.h"
#include "tools/messages.h"
#include "tools/new_file.h"
#include "tools/path_view.h"
#include "tools/tree.h"
#include "tools/tree_place.h"

namespace gzipfs {
namespace {

constexpr char kExportName[] = "export";
constexpr uint64_t kPooledBytes = kMiB;  // stored bytes from which a file's members are shared out

bool IsSameState(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

struct ExportJob {
  std::string from;
  std::string to;
  struct stat status {};
  Form form = Form::kGzip;
  std::vector<std::string> links;  // further names of the same file
};

tl::unexpected<std::string> Because(std::error_code error) {
  return tl::unexpected(Describe(error));
}

// Best effort: what cannot be removed is in the way of what comes, which tells.
void RemoveOld(const std::string& path) {
  const Result<TreePlace> place = PlaceInTree(path);
  if (place) (void)RealFileOps().UnlinkAt(place->dir_fd(), place->c_name(), 0);
}

// Exports one file; the error is a clause.
tl::expected<void, std::string> RunJob(const ExportJob& job, const ExportTreeOptions& options,
                                       CodecPool& pool, std::atomic<uint64_t>* done_bytes) {
  FileOps& ops = RealFileOps();
  const Result<UniqueFd> in = OpenInTree(job.from, O_RDONLY | O_NONBLOCK);
  if (!in) return Because(in.error());
  const Result<struct stat> before = ops.Stat(in->get());
  if (!before) return Because(before.error());
  struct stat shown = *before;
  if (!S_ISREG(before->st_mode)) return tl::unexpected<std::string>("is no regular file any more");
  const auto file_bytes = static_cast<uint64_t>(before->st_size);
  Result<NewFile> out = NewFile::CreateInTree(ParentOf(job.to));
  if (!out) return tl::unexpected(fmt::format("cannot write {}: {}", job.to,
                                              Describe(out.error())));
  if (job.form == Form::kRaw) {
    const Result<void> copied = ops.CopyRange(in->get(), 0, out->fd(), 0, file_bytes);
    if (!copied) return Because(copied.error());
    *done_bytes += file_bytes;
  } else {
    const ExportOptions how{.form = options.form,
                            .pool = file_bytes >= kPooledBytes ? &pool : nullptr,
                            .done_bytes = done_bytes};
    auto exported = ExportStored(job.from, in->get(), shown, how, options, ParentOf(job.to),
                                 out->fd());
    if (!exported) return exported;
  }
  const Result<struct stat> after = ops.Stat(in->get());
  if (!after) return Because(after.error());
  if (!IsSameState(*before, *after))
    return tl::unexpected<std::string>("changed while it was read");
  const Result<void> like =
      CopyObjectStatus(in->get(), shown, out->fd(), OwnerRule::kIfPermitted);
  if (!like) return Because(like.error());
  const Result<void> appeared = out->Appear(job.to, options.replaces);
  if (!appeared) return tl::unexpected(fmt::format("cannot make {}: {}", job.to,
                                                   Describe(appeared.error())));
  return {};
}

// What a tree becomes, made step by step.
class TreeExport {
 public:
  TreeExport(const std::string& from, const std::string& to, const ExportTreeOptions& options)
      : from_(from), to_(to), options_(options) {}

  bool Run() {
    const std::vector<TreeEntry> entries =
        ListTree(from_, [this](const std::string& path, std::error_code error) {
          Fail(path, Describe(error));
        });
    for (const TreeEntry& entry : entries) {
      if (!Plan(entry)) return false;
    }
    RunJobs();
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (!S_ISDIR(entry->status.st_mode)) continue;
      const Result<void> done = CompleteDirectory(PathBelow(from_, entry->path), entry->status,
                                                  PathBelow(to_, entry->path));
      if (!done) Fail(PathBelow(to_, entry->path), Describe(done.error()));
    }
    return !has_failed_;
  }

 private:
  void Fail(const std::string& path, const std::string& reason) {
    Complain(kExportName, "{}: {}", path, reason);
    has_failed_ = true;
  }

  // Makes what is no regular file, notes the others; false when nothing can be made.
  bool Plan(const TreeEntry& entry) {
    const std::string from = PathBelow(from_, entry.path);
    if (S_ISREG(entry.status.st_mode)) {
      PlanFile(entry, from);
      return true;
    }
    const std::string to = PathBelow(to_, entry.path);
    if (options_.replaces && !S_ISDIR(entry.status.st_mode))
      RemoveOld(to);
    const Result<void> made = MakeLike(from, entry.status, to);
    if (!made) Fail(to, Describe(made.error()));
    return made || !S_ISDIR(entry.status.st_mode);
  }

  void PlanFile(const TreeEntry& entry, const std::string& from) {
    const Result<ShownName> shown = NameFor(entry, from);
    if (!shown) return Fail(from, Describe(shown.error()));
    const bool is_joined =
        shown->form == Form::kGzip && options_.form == ExportForm::kSingleMember;
    const std::string to = PathBelow(to_, entry.path);
    const std::string target =
        is_joined ? to : PathBelow(ParentOf(to), shown->mount_name);
    const std::pair<dev_t, ino_t> key{entry.status.st_dev, entry.status.st_ino};
    if (entry.status.st_nlink > 1) {
      const auto [known, is_new] = by_inode_.try_emplace(key, jobs_.size());
      if (!is_new && jobs_[known->second].form == shown->form) {
        jobs_[known->second].links.push_back(target);
        return;
      }
    }
    jobs_.push_back({from, target, entry.status, shown->form, {}});
  }

  Result<ShownName> NameFor(const TreeEntry& entry, const std::string& from) {
    const std::string directory = ParentOf(from);
    if (!view_ || view_directory_ != directory) {
      Result<UniqueFd> fd = OpenInTree(directory, O_RDONLY | O_DIRECTORY);
      if (!fd) return gzipfs::Fail(fd.error());
      view_.emplace(std::move(*fd));
      view_directory_ = directory;
    }
    const std::string name = NameOf(entry.path);
    if (options_.form == ExportForm::kPlain) return ShowStoreName(*view_, name, entry.status);
    // Joined members keep their name, so that no two files want one name.
    if (!HasGzSuffix(name)) return ShownName{name, Form::kRaw};
    const Result<bool> is_gzip = entry.status.st_size == 0 ? Result<bool>(true)
                                                           : view_->IsGzip(name, entry.status);
    if (!is_gzip) return gzipfs::Fail(is_gzip.error());
    return ShownName{name, *is_gzip ? Form::kGzip : Form::kRaw};
  }

  void RunJobs() {
    std::stable_sort(jobs_.begin(), jobs_.end(), [](const ExportJob& a, const ExportJob& b) {
      return a.status.st_size > b.status.st_size;
    });
    uint64_t total_bytes = 0;
    for (const ExportJob& job : jobs_) total_bytes += static_cast<uint64_t>(job.status.st_size);
    CodecPool pool(options_.thread_count);
    Progress progress(total_bytes);
    std::atomic<bool> has_failed{false};
    RunInParallel(jobs_.size(), options_.thread_count, [&](size_t i) {
      if (WasInterrupted()) {
        has_failed = true;
        return;
      }
      auto done = RunJob(jobs_[i], options_, pool, &progress.done_bytes());
      for (size_t k = 0; done && k < jobs_[i].links.size(); ++k)
        done = AddLink(jobs_[i].to, jobs_[i].links[k]);
      if (done) return;
      Complain(kExportName, "{}: {}", jobs_[i].from, done.error());
      has_failed = true;
    });
    has_failed_ = has_failed_ || has_failed;
  }

  tl::expected<void, std::string> AddLink(const std::string& to, const std::string& link) {
    if (options_.replaces) RemoveOld(link);
    const Result<TreePlace> from = PlaceInTree(to);
    const Result<TreePlace> place = PlaceInTree(link);
    const Result<void> linked =
        from && place
            ? LinkAt(from->dir_fd(), from->c_name(), place->dir_fd(), place->c_name())
            : gzipfs::Fail((from ? place : from).error());
    if (!linked) return tl::unexpected(fmt::format("cannot link {} to it: {}", link,
                                                   Describe(linked.error())));
    return {};
  }

  const std::string from_;
  const std::string to_;
  const ExportTreeOptions& options_;
  bool has_failed_ = false;
  std::vector<ExportJob> jobs_;
  std::map<std::pair<dev_t, ino_t>, size_t> by_inode_;
  std::optional<PathView> view_;
  std::string view_directory_;
};

}  // namespace

tl::expected<void, std::string> ExportStored(const std::string& path, int fd, struct stat& status,
                                             const ExportOptions& how,
                                             const ExportTreeOptions& options,
                                             const std::string& scratch_dir, int out_fd) {
  if (!options.waiting.contains({status.st_dev, status.st_ino})) {
    const FileSource source(RealFileOps(), fd, static_cast<uint64_t>(status.st_size));
    return ExportGzip(source, how, status.st_mtim.tv_sec, out_fd);
  }
  if (!options.waiting_files) {
    return tl::unexpected("has changes in a redo log, " + options.refusal);
  }
  return options.waiting_files->Export(path, fd, how, scratch_dir, status.st_mtim, out_fd);
}

bool ExportTree(const std::string& from, const std::string& to,
                const ExportTreeOptions& options) {
  return TreeExport(from, to, options).Run();
}

bool ExportToFile(const std::string& from, const std::string& to,
                  const ExportTreeOptions& options) {
  const Result<struct stat> status = StatInTree(from);
  const ExportJob job{from, to, status.value_or(ExportJob{}.status), Form::kGzip, {}};
  Progress progress(static_cast<uint64_t>(job.status.st_size));
  CodecPool pool(options.thread_count);
  const auto done = RunJob(job, options, pool, &progress.done_bytes());
  if (!done) Complain(kExportName, "{}: {}", from, done.error());
  return done.has_value();
}

}  // namespace gzipfs
