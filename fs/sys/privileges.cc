// The attribute is read by /proc/self/fd as all are; the mode by fstat(2).
#include "fs/sys/privileges.h"

#include <sys/stat.h>

#include "fs/sys/at.h"
#include "fs/sys/xattr.h"

namespace gzipfs {
namespace {

constexpr char kCapabilityXattr[] = "security.capability";
constexpr mode_t kSetIdBits = S_ISUID | S_ISGID;

mode_t ModeOf(int fd) {
  struct stat found;
  return ::fstat(fd, &found) == 0 ? found.st_mode & 07777 : 0;
}

}  // namespace

KeptPrivileges::KeptPrivileges(int fd, bool may_have_any) : fd_(fd) {
  if (!may_have_any) return;
  const mode_t mode = ModeOf(fd);
  if ((mode & kSetIdBits) != 0) mode_ = mode;
  if (auto capability = GetXattr(fd, kCapabilityXattr)) capability_ = std::move(*capability);
}

KeptPrivileges::~KeptPrivileges() {
  if (mode_ != 0 && ModeOf(fd_) != mode_) (void)ChangeMode(fd_, mode_);
  if (!capability_.empty() && !GetXattr(fd_, kCapabilityXattr)) {
    (void)SetXattr(fd_, kCapabilityXattr, capability_, 0);
  }
}

}  // namespace gzipfs
