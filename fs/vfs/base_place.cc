// Holding a name still without stopping the rest of the name space.
//
// Only the inode's own place_mutex is held while a checkpoint runs, so a slow
// disk delays who wants to unlink or rename this file and nobody else. Whoever
// meets the name between the rename of the new base over the old one and
// BaseReplaced finds the inode by BeginReplace.
#include "fs/vfs/base_place.h"

#include "fs/sys/at.h"

namespace gzipfs {
namespace {

// BeginReplace and EndReplace, whatever happens in between.
class ReplaceScope {
 public:
  ReplaceScope(InodeTable& inodes, const InodeRef& inode, const StorePlace& place)
      : inodes_(inodes), inode_(inode) {
    inodes_.BeginReplace(inode_, place);
  }
  ~ReplaceScope() { inodes_.EndReplace(inode_); }
  ReplaceScope(const ReplaceScope&) = delete;
  ReplaceScope& operator=(const ReplaceScope&) = delete;

 private:
  InodeTable& inodes_;
  const InodeRef& inode_;
};

}  // namespace

Result<void> InodePlace::WithPlace(
    const std::function<Result<void>(int dir_fd, const char* name)>& action) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const auto place = names_.inodes().PlaceOf(inode_);
    if (!place) return Fail(ENOENT);
    // The action's own error leaves by `outcome`, not by the attempt's.
    Result<void> outcome;
    const auto was_there = TryAt(*place, [&](int dir_fd, const char* name) {
      outcome = action(dir_fd, name);
      return outcome;
    });
    if (!was_there) return Fail(was_there.error());
    if (*was_there) return outcome;
  }
  return Fail(ESTALE);
}

Result<bool> InodePlace::TryAt(
    const StorePlace& place,
    const std::function<Result<void>(int dir_fd, const char* name)>& action) {
  InodeTable& inodes = names_.inodes();
  const MutexLock place_lock(inode_->place_mutex);
  DirFd dir;
  {
    const SharedLock lock(names_.lock);
    if (!inodes.HasPlace(inode_, place)) return false;
    const uint32_t as_of = inodes.RekeyCount(inode_);
    const auto opened = names_.OpenDir(place.parent);
    if (!opened) return Fail(opened.error());
    dir = *opened;
    const auto found = names_.store().ops().StatAt(dir.get(), place.store_name.c_str());
    if (!found || !inodes.IsBaseOf(inode_, *found)) {
      inodes.DisownPlace(inode_, place, as_of);
      return false;
    }
  }
  const uint32_t change_count = place.parent->change_count.load();
  const auto before = names_.store().ops().Stat(dir.get());
  if (!before) return Fail(before.error());
  current_ = Current{place.parent, dir.get(), change_count, *before};
  {
    const ReplaceScope scope(inodes, inode_, place);
    (void)action(dir.get(), place.store_name.c_str());
  }
  current_.reset();
  return true;
}

bool InodePlace::HasName() {
  // Who takes the last name away holds it until the table knows.
  const MutexLock place_lock(inode_->place_mutex);
  return !names_.inodes().WasUnlinked(inode_);
}

std::string InodePlace::Describe() const {
  return names_.inodes().PlaceOf(inode_) ? names_.DescribePlace(inode_) : first_path_;
}

void InodePlace::BaseReplaced(const struct stat& new_base) {
  names_.inodes().Rekey(inode_, new_base);
  RestoreDirectoryTime();
}

// Changes of entries count themselves with the name space lock held. So when
// the count is what it was, with the lock exclusive, the rename of the new
// base was the only change of the directory.
void InodePlace::RestoreDirectoryTime() {
  const ExclusiveLock lock(names_.lock);
  if (!current_ || current_->dir->change_count.load() != current_->change_count) return;
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, current_->dir_before.st_mtim};
  (void)ChangeTimes(current_->dir_fd, times);  // without it the time is newer, no harm done
}

}  // namespace gzipfs
