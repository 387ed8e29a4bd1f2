// The plan is made by reading; this carries it out in the order that makes it
// safe: keep and sync, cut, append, sync.
#include "fs/store/repair.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "codec/member_index.h"
#include "fs/store/repair_plan.h"
#include "fs/sys/privileges.h"

namespace gzipfs {
namespace {

constexpr int kMaxKeptNames = 10'000;

class FileRepair {
 public:
  explicit FileRepair(const RepairSite& site) : site_(site), ops_(site.ops) {}

  Result<RepairResult> Run();

 private:
  Result<void> CheckUnchanged();
  Result<std::string> KeepRest();
  Result<std::string> FreeKeptName();
  Result<void> CutAndAppend();
  Result<void> ReplaceByImage();
  Result<void> FillImage(int image_fd);
  Result<void> CheckResult();
  uint64_t rest_bytes() const {
    return static_cast<uint64_t>(before_.st_size) - plan_.members_end;
  }
  std::string Describe(const std::string& kept_name) const;

  const RepairSite& site_;
  FileOps& ops_;
  UniqueFd fd_;
  struct stat before_ {};
  RepairPlan plan_;
};

bool IsSameState(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// The name still leads to the file that was looked at.
Result<void> FileRepair::CheckUnchanged() {
  const Result<struct stat> now = ops_.StatAt(site_.dir_fd, site_.name.c_str());
  if (!now) return Fail(now.error());
  return IsSameState(before_, *now) ? Result<void>() : Fail(ESTALE);
}

Result<std::string> FileRepair::FreeKeptName() {
  std::string name = site_.kept_name;
  for (int number = 1; number < kMaxKeptNames; ++number) {
    const Result<struct stat> taken = ops_.StatAt(site_.kept_dir_fd, name.c_str());
    if (!taken && taken.error().value() == ENOENT) return name;
    if (!taken) return Fail(taken.error());
    name = fmt::format("{}.{}", site_.kept_name, number);
  }
  return Fail(EEXIST);
}

// Copies what is to be cut off to its place, durably; the name it has there.
Result<std::string> FileRepair::KeepRest() {
  const Result<UniqueFd> copy =
      ops_.OpenAt(site_.scratch_dir_fd, site_.scratch_name.c_str(),
                  O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0600);
  if (!copy) return Fail(copy.error());
  Result<void> done =
      ops_.CopyRange(fd_.get(), plan_.members_end, copy->get(), 0, rest_bytes());
  if (done) done = ops_.SyncAll(copy->get());
  Result<std::string> name = done ? FreeKeptName() : Fail(done.error());
  if (name) {
    done = ops_.RenameAt(site_.scratch_dir_fd, site_.scratch_name.c_str(), site_.kept_dir_fd,
                         name->c_str(), 0);
  }
  if (name && done) done = ops_.SyncAll(site_.kept_dir_fd);
  if (name && done) return name;
  (void)ops_.UnlinkAt(site_.scratch_dir_fd, site_.scratch_name.c_str(), 0);
  return name ? Fail(done.error()) : Fail(name.error());
}

// Between the two the file is its members, which is what any gzip writer leaves.
// A tail that was written over the rest first would look like damage if it were
// torn.
Result<void> FileRepair::CutAndAppend() {
  const int fd = fd_.get();
  std::optional<KeptPrivileges> kept(std::in_place, fd);
  if (plan_.cuts_rest) GZIPFS_TRY(ops_.Truncate(fd, plan_.members_end));
  const Result<void> written = ops_.WriteAt(fd, plan_.members_end, plan_.tail);
  if (!written) {
    (void)ops_.Truncate(fd, plan_.members_end);
    return written;
  }
  kept.reset();
  const timespec times[2] = {before_.st_atim, before_.st_mtim};
  GZIPFS_TRY(ops_.SetTimes(fd, times));
  return ops_.SyncAll(fd);
}

// Content, owner, mode, attributes and times.
Result<void> FileRepair::FillImage(int image_fd) {
  GZIPFS_TRY(ops_.WriteAt(image_fd, 0, plan_.tail));
  const Result<struct stat> made = ops_.Stat(image_fd);
  if (!made) return Fail(made.error());
  if (made->st_uid != before_.st_uid || made->st_gid != before_.st_gid) {
    GZIPFS_TRY(ops_.SetOwner(image_fd, before_.st_uid, before_.st_gid));
  }
  GZIPFS_TRY(ops_.SetMode(image_fd, before_.st_mode & 07777));
  GZIPFS_TRY(ops_.CopyAttributes(fd_.get(), image_fd));
  const timespec times[2] = {before_.st_atim, before_.st_mtim};
  GZIPFS_TRY(ops_.SetTimes(image_fd, times));
  return ops_.SyncAll(image_fd);
}

Result<void> FileRepair::ReplaceByImage() {
  Result<UniqueFd> image = ops_.OpenAt(site_.scratch_dir_fd, site_.scratch_name.c_str(),
                                       O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0600);
  if (!image) return Fail(image.error());
  Result<void> done = FillImage(image->get());
  if (done) done = CheckUnchanged();
  if (done) {
    done = ops_.RenameAt(site_.scratch_dir_fd, site_.scratch_name.c_str(), site_.dir_fd,
                         site_.name.c_str(), 0);
  }
  if (!done) {
    (void)ops_.UnlinkAt(site_.scratch_dir_fd, site_.scratch_name.c_str(), 0);
    return done;
  }
  fd_ = std::move(*image);
  return ops_.SyncAll(site_.dir_fd);
}

// What was written is read back.
Result<void> FileRepair::CheckResult() {
  const Result<struct stat> after = ops_.Stat(fd_.get());
  if (!after) return Fail(after.error());
  const FileSource source(ops_, fd_.get(), static_cast<uint64_t>(after->st_size));
  const Result<FileLayout> layout = ReadLayout(source);
  if (!layout) return Fail(layout.error());
  const bool is_right = !layout->rest && layout->index.plain_bytes() == plan_.plain_bytes &&
                        (plan_.tail.empty() || layout->has_tail);
  return is_right ? Result<void>() : Fail(EIO);
}

std::string FileRepair::Describe(const std::string& kept_name) const {
  std::string text;
  if (plan_.cuts_rest) {
    text = fmt::format("{} bytes behind its last complete member are cut off and kept as {}/{}",
                       rest_bytes(), site_.kept_path, kept_name);
  }
  if (!plan_.tail.empty()) {
    text += fmt::format("{}it has a right tail now", text.empty() ? "" : "; ");
  }
  return text;
}

Result<RepairResult> FileRepair::Run() {
  using Kind = RepairResult::Kind;
  Result<UniqueFd> fd = ops_.OpenAt(site_.dir_fd, site_.name.c_str(),
                                    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
  if (!fd) return Fail(fd.error());
  fd_ = std::move(*fd);
  const Result<struct stat> before = ops_.Stat(fd_.get());
  if (!before) return Fail(before.error());
  before_ = *before;
  if (!S_ISREG(before_.st_mode) || before_.st_size == 0) return RepairResult{};
  const FileSource source(ops_, fd_.get(), static_cast<uint64_t>(before_.st_size));
  Result<RepairPlan> plan =
      PlanRepair(source, site_.empty_profile, site_.empty_block_bytes);
  if (!plan) return Fail(plan.error());
  plan_ = std::move(*plan);
  if (!plan_.obstacle.empty()) return RepairResult{Kind::kLeft, plan_.obstacle};
  if (!plan_.is_needed()) return RepairResult{};
  if (plan_.needs_image && before_.st_nlink > 1) {
    return RepairResult{Kind::kLeft, "it has several names and would have to be replaced"};
  }
  GZIPFS_TRY(CheckUnchanged());
  std::string kept_name;
  if (plan_.cuts_rest) {
    const Result<std::string> kept = KeepRest();
    if (!kept) return Fail(kept.error());
    kept_name = *kept;
    GZIPFS_TRY(CheckUnchanged());
  }
  const std::string what = Describe(kept_name);
  GZIPFS_TRY(plan_.needs_image ? ReplaceByImage() : CutAndAppend());
  GZIPFS_TRY(CheckResult());
  return RepairResult{Kind::kRepaired, what};
}

}  // namespace

Result<RepairResult> RepairFile(const RepairSite& site) { return FileRepair(site).Run(); }

}  // namespace gzipfs
