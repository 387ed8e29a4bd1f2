// The checks in the order in which a person would want to hear about them.
// They race with everybody else, of course: what changes right after is caught
// by the mount itself, with a message that is less kind.
#include "fs/fuse/session_checks.h"

#include <fmt/format.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "fs/sys/mount_calls.h"
#include "fs/sys/mounts.h"

namespace gzipfs {
namespace {

using Outcome = tl::expected<void, std::string>;
namespace files = std::filesystem;

template <typename... Arguments>
tl::unexpected<std::string> Refuse(fmt::format_string<Arguments...> format,
                                   Arguments&&... arguments) {
  return tl::unexpected(fmt::format(format, std::forward<Arguments>(arguments)...));
}

std::string TextOf(int errno_value) {
  return std::error_code(errno_value, std::system_category()).message();
}

// 0, or the errno that says why this process may not use `path` so.
int AccessError(const std::string& path, int mode) {
  return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0 ? 0 : errno;
}

// Makes `path` absolute and free of symlinks.
std::error_code Resolve(std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), ::free);
  if (!real) return {errno, std::system_category()};
  path = real.get();
  return {};
}

Outcome CheckStore(MountOptions& options) {
  std::string& store = options.store_path;
  if (const std::error_code error = Resolve(store)) {
    if (error.value() == ENOENT)
      return Refuse("the store {} does not exist; make it with 'mkdir {}'", store, store);
    if (error.value() == ENOTDIR) return Refuse("the store {} is not a directory", store);
    return Refuse("the store {} cannot be reached: {}", store, error.message());
  }
  std::error_code error;
  if (!files::is_directory(store, error)) return Refuse("the store {} is not a directory", store);
  if (const int failure = AccessError(store, R_OK | X_OK))
    return Refuse("the store {} cannot be read: {}", store, TextOf(failure));
  const int failure = options.store.read_only ? 0 : AccessError(store, W_OK);
  if (failure != 0)
    return Refuse("the store {} cannot be written: {}; -o ro would mount it read-only", store,
                  TextOf(failure));
  return {};
}

tl::unexpected<std::string> RefuseDead(const std::string& mount_point) {
  return Refuse("the daemon that served {} has died; free it with 'gzipfs umount {}'", mount_point,
                mount_point);
}

// What is wrong when something is mounted on the mount point already.
Outcome CheckNotMounted(const MountOptions& options) {
  const Result<std::vector<MountEntry>> mounts = ReadMounts();
  if (!mounts) return {};
  const std::optional<MountEntry> mount = FindMountOf(*mounts, options.mount_point);
  if (!mount || mount->mount_point != options.mount_point || mount->type != kMountType) return {};
  if (const Result<bool> answers = IsFuse(options.mount_point);
      !answers && answers.error().value() == ENOTCONN)
    return RefuseDead(options.mount_point);
  if (mount->source == options.store_path)
    return Refuse("{} is already mounted on {}", options.store_path, options.mount_point);
  return Refuse("the store {} is mounted on {} already", mount->source, options.mount_point);
}

Outcome CheckMountPoint(MountOptions& options) {
  std::string& mount_point = options.mount_point;
  if (const std::error_code error = Resolve(mount_point)) {
    if (error.value() == ENOENT)
      return Refuse("the mount point {} does not exist; make it with 'mkdir {}'", mount_point,
                    mount_point);
    if (error.value() == ENOTDIR)
      return Refuse("the mount point {} is not a directory", mount_point);
    if (error.value() == ENOTCONN) return RefuseDead(mount_point);
    return Refuse("the mount point {} cannot be reached: {}", mount_point, error.message());
  }
  if (Outcome free = CheckNotMounted(options); !free) return free;
  std::error_code error;
  if (!files::is_directory(mount_point, error)) {
    if (error == std::errc::not_connected) return RefuseDead(mount_point);
    return Refuse("the mount point {} is not a directory", mount_point);
  }
  const bool is_empty = files::is_empty(mount_point, error);
  if (error)
    return Refuse("the mount point {} cannot be read: {}", mount_point, error.message());
  if (!is_empty)
    return Refuse("the mount point {} is not empty; what is in it would be hidden", mount_point);
  return {};
}

Outcome CheckNesting(const MountOptions& options) {
  const std::string& store = options.store_path;
  const std::string& mount_point = options.mount_point;
  if (store == mount_point)
    return Refuse("the store and the mount point are the same directory, {}", store);
  if (IsInside(store, mount_point))
    return Refuse("the store {} is inside the mount point {}", store, mount_point);
  if (IsInside(mount_point, store))
    return Refuse("the mount point {} is inside the store {}", mount_point, store);
  // Two daemons would write the same files.
  const Result<std::vector<MountEntry>> mounts = ReadMounts();
  if (!mounts) return {};
  for (const MountEntry& mount : *mounts) {
    if (mount.type != kMountType || mount.source == store) continue;
    if (IsInside(store, mount.source))
      return Refuse("the store {} is inside the store {}, which is mounted on {}", store,
                    mount.source, mount.mount_point);
    if (IsInside(mount.source, store))
      return Refuse("the store {}, which is mounted on {}, is inside the store {}", mount.source,
                    mount.mount_point, store);
  }
  return {};
}

Outcome CheckDevice() {
  const int failure = AccessError("/dev/fuse", R_OK | W_OK);
  if (failure == 0) return {};
  if (failure == ENOENT)
    return Refuse("/dev/fuse is missing; load the kernel's FUSE module with 'modprobe fuse'");
  return Refuse("/dev/fuse cannot be used: {}", TextOf(failure));
}

// True when /etc/fuse.conf lets users other than root say allow_other.
bool IsAllowOtherAllowed() {
  std::ifstream config("/etc/fuse.conf");
  for (std::string line; std::getline(config, line);) {
    std::string word;
    if (std::istringstream(line) >> word && word == "user_allow_other") return true;
  }
  return false;
}

// What fusermount3 would object to, later and in other words.
Outcome CheckUserRights(const MountOptions& options) {
  if (::geteuid() == 0) return {};
  if (AccessError(options.mount_point, W_OK) != 0)
    return Refuse("the mount point {} is not yours to write, and only root may mount there",
                  options.mount_point);
  if (options.allow_other && !IsAllowOtherAllowed())
    return Refuse("allow_other is for root alone unless /etc/fuse.conf says user_allow_other");
  return {};
}

Outcome CheckLog(MountOptions& options) {
  std::string& log = options.log;
  if (log.empty() || log == "syslog" || log == "stderr") return {};
  std::error_code error;
  const files::path path = files::weakly_canonical(files::absolute(log, error), error);
  if (!error) log = path.string();
  if (IsInside(log, options.mount_point))
    return Refuse("the log {} is inside the mount point {}", log, options.mount_point);
  if (IsInside(log, options.store_path))
    return Refuse("the log {} is inside the store {}", log, options.store_path);
  const bool exists = files::exists(path, error);
  if (files::is_directory(path, error)) return Refuse("the log {} is a directory", log);
  if (const int failure = AccessError(exists ? log : path.parent_path().string(), W_OK))
    return Refuse("the log {} cannot be written: {}", log, TextOf(failure));
  return {};
}

}  // namespace

tl::expected<void, std::string> CheckMount(MountOptions& options) {
  if (Outcome checked = CheckStore(options); !checked) return checked;
  if (Outcome checked = CheckMountPoint(options); !checked) {
    // Nesting says more than "not empty" does.
    Outcome nesting = CheckNesting(options);
    return nesting ? checked : nesting;
  }
  if (Outcome checked = CheckNesting(options); !checked) return checked;
  if (Outcome checked = CheckUserRights(options); !checked) return checked;
  if (Outcome checked = CheckLog(options); !checked) return checked;
  return CheckDevice();
}

}  // namespace gzipfs
