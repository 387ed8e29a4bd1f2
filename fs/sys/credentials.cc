// Per-thread credentials by raw system calls.
//
// Order matters: groups while still root, the user last; back in reverse. Only
// effective ids change, so that the saved and real ones bring root back. A
// change of the effective user clears the thread's effective capabilities, and
// its return to 0 restores them (capabilities(7)).
#include "fs/sys/credentials.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "fs/sys/file_ops.h"

namespace gzipfs {
namespace {

constexpr uid_t kUnchangedUid = static_cast<uid_t>(-1);
constexpr gid_t kUnchangedGid = static_cast<gid_t>(-1);

bool SetEffectiveUid(uid_t uid) {
  return ::syscall(SYS_setresuid, kUnchangedUid, uid, kUnchangedUid) == 0;
}
bool SetEffectiveGid(gid_t gid) {
  return ::syscall(SYS_setresgid, kUnchangedGid, gid, kUnchangedGid) == 0;
}
bool SetGroups(const std::vector<gid_t>& groups) {
  return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

std::vector<gid_t> OwnGroups() {
  const int count = ::getgroups(0, nullptr);
  if (count <= 0) return {};
  std::vector<gid_t> groups(static_cast<size_t>(count));
  const int filled = ::getgroups(count, groups.data());
  groups.resize(filled < 0 ? 0 : static_cast<size_t>(filled));
  return groups;
}

// The numbers of the line "Groups:\t4 20 24 " of a /proc/PID/status.
std::vector<gid_t> ParseGroupsLine(std::string_view status) {
  constexpr std::string_view kKey = "\nGroups:";
  const size_t key = status.find(kKey);
  if (key == std::string_view::npos) return {};
  std::string_view line = status.substr(key + kKey.size());
  line = line.substr(0, line.find('\n'));
  std::vector<gid_t> groups;
  while (true) {
    const size_t digit = line.find_first_of("0123456789");
    if (digit == std::string_view::npos) return groups;
    line.remove_prefix(digit);
    gid_t gid = 0;
    const auto parsed = std::from_chars(line.data(), line.data() + line.size(), gid);
    if (parsed.ec == std::errc()) groups.push_back(gid);
    line.remove_prefix(static_cast<size_t>(parsed.ptr - line.data()));
  }
}

}  // namespace

std::vector<gid_t> SupplementaryGroupsOf(pid_t pid) {
  if (pid <= 0) return {};
  std::array<char, 32> path;
  std::snprintf(path.data(), path.size(), "/proc/%d/status", pid);
  const auto fd = RealFileOps().OpenAt(AT_FDCWD, path.data(), O_RDONLY, 0);
  if (!fd) return {};
  std::string status(4096, '\0');
  size_t used = 0;
  while (true) {  // 65,536 groups are the kernel's limit; the file ends by itself
    const auto count =
        RealFileOps().ReadAt(fd->get(), used,
                             std::as_writable_bytes(std::span(status)).subspan(used));
    if (!count) return {};
    used += *count;
    if (used < status.size()) break;
    status.resize(2 * status.size());
  }
  return ParseGroupsLine(std::string_view(status).substr(0, used));
}

bool IsInGroup(const Caller& caller, gid_t gid) {
  if (caller.gid == gid) return true;
  const std::vector<gid_t> groups = SupplementaryGroupsOf(caller.pid);
  return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

CredentialsGuard::CredentialsGuard(const Caller& caller) {
  if (::geteuid() != 0 || (caller.uid == 0 && caller.gid == 0)) return;
  own_gid_ = ::getegid();
  own_groups_ = OwnGroups();
  is_switched_ = true;
  holds_ = SwitchTo(caller);
  if (!holds_) SwitchBack();
}

CredentialsGuard::~CredentialsGuard() {
  if (is_switched_) SwitchBack();
}

bool CredentialsGuard::SwitchTo(const Caller& caller) {
  return SetGroups(SupplementaryGroupsOf(caller.pid)) && SetEffectiveGid(caller.gid) &&
         SetEffectiveUid(caller.uid);
}

void CredentialsGuard::SwitchBack() {
  is_switched_ = false;
  if (SetEffectiveUid(0) && SetEffectiveGid(own_gid_) && SetGroups(own_groups_)) return;
  std::fputs("gzipfs: cannot return to root's rights\n", stderr);
  std::abort();
}

}  // namespace gzipfs
