// The attribute is read by /proc/self/fd as all are; the mode by fstat(2).
#include "fs/sys/privileges.h"

#include "fs/sys/at.h"
#include "fs/sys/xattr.h"

namespace gzipfs {
namespace {

constexpr mode_t kSetIdBits = S_ISUID | S_ISGID;

mode_t ModeOf(int fd) {
  struct stat found;
  return ::fstat(fd, &found) == 0 ? found.st_mode & 07777 : 0;
}

}  // namespace

Result<struct stat> PrivilegeView::Stat(FileOps& ops, int fd) const {
  const MutexLock lock(mutex_);
  auto found = ops.Stat(fd);
  if (found && kept_ != nullptr) found->st_mode |= kept_->mode_ & kSetIdBits;
  return found;
}

Result<std::vector<std::byte>> PrivilegeView::Capability(int fd) const {
  const MutexLock lock(mutex_);
  if (kept_ != nullptr && !kept_->capability_.empty()) return kept_->capability_;
  return GetXattr(fd, kCapabilityXattr);
}

KeptPrivileges::KeptPrivileges(int fd, PrivilegeView* view, bool may_have_any)
    : fd_(fd), view_(view) {
  if (!may_have_any) return;
  const mode_t mode = ModeOf(fd);
  if ((mode & kSetIdBits) != 0) mode_ = mode;
  if (auto capability = GetXattr(fd, kCapabilityXattr)) capability_ = std::move(*capability);
  if (view_ == nullptr || !has_any()) return;
  const MutexLock lock(view_->mutex_);
  if (view_->kept_ == nullptr) view_->kept_ = this;
}

KeptPrivileges::~KeptPrivileges() {
  if (mode_ != 0 && ModeOf(fd_) != mode_) (void)ChangeMode(fd_, mode_);
  if (!capability_.empty() && !GetXattr(fd_, kCapabilityXattr)) {
    (void)SetXattr(fd_, kCapabilityXattr, capability_, 0);
  }
  if (view_ == nullptr) return;
  const MutexLock lock(view_->mutex_);
  if (view_->kept_ == this) view_->kept_ = nullptr;
}

bool GivePrivileges(int from_fd, int to_fd) {
  const mode_t lacking = ModeOf(from_fd) & ~ModeOf(to_fd) & kSetIdBits;
  if (lacking != 0) (void)ChangeMode(to_fd, ModeOf(to_fd) | lacking);
  const auto capability = GetXattr(from_fd, kCapabilityXattr);
  if (capability && !GetXattr(to_fd, kCapabilityXattr)) {
    (void)SetXattr(to_fd, kCapabilityXattr, *capability, 0);
  }
  return capability || (ModeOf(from_fd) & kSetIdBits) != 0;
}

bool HasOtherPrivileges(int from_fd, int to_fd) {
  if ((ModeOf(from_fd) & ~ModeOf(to_fd) & kSetIdBits) != 0) return true;
  const auto capability = GetXattr(from_fd, kCapabilityXattr);
  if (!capability) return false;
  const auto other = GetXattr(to_fd, kCapabilityXattr);
  return !other || *other != *capability;
}

Result<void> RemovePrivileges(int fd) {
  const mode_t mode = ModeOf(fd);
  if ((mode & kSetIdBits) != 0) GZIPFS_TRY(ChangeMode(fd, mode & ~kSetIdBits));
  return GetXattr(fd, kCapabilityXattr) ? RemoveXattr(fd, kCapabilityXattr) : Result<void>();
}

}  // namespace gzipfs
