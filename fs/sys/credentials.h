// Acting as the user who asked.
//
// A daemon that runs as root creates files as the calling process: its user,
// its group, its supplementary groups. The C library's setresuid() changes all
// threads of a process, so the raw system calls are used, which change the
// calling thread alone.
#pragma once

#include <sys/types.h>

#include <vector>

namespace gzipfs {

// Who sent a request.
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;     // 0: not known; then without supplementary groups
  mode_t umask = 0;  // where a request makes something, and nobody has applied it yet
};

// The calling thread acts as `caller` from construction to destruction, which
// happens on the same thread. Nothing happens when the process is not root
// (it could not), or the caller is root itself. When the way there fails the
// guard does not hold; when the way back fails the process aborts: going on
// with a stranger's rights, or with root's for a stranger, is no choice.
class CredentialsGuard {
 public:
  explicit CredentialsGuard(const Caller& caller);
  ~CredentialsGuard();
  CredentialsGuard(const CredentialsGuard&) = delete;
  CredentialsGuard& operator=(const CredentialsGuard&) = delete;

  // False: the thread still is what it was, and must not act for the caller.
  bool holds() const { return holds_; }

 private:
  bool SwitchTo(const Caller& caller);
  void SwitchBack();

  bool is_switched_ = false;
  bool holds_ = true;
  gid_t own_gid_ = 0;
  std::vector<gid_t> own_groups_;
};

// The supplementary groups of process or thread `pid`, from /proc; none when
// they cannot be told.
std::vector<gid_t> SupplementaryGroupsOf(pid_t pid);

// Whether `gid` is the caller's group or one of its supplementary ones.
bool IsInGroup(const Caller& caller, gid_t gid);

}  // namespace gzipfs
