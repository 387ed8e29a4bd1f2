// The read-ahead of a FUSE mount belongs to its backing device information,
// which sysfs names after the device number of the mount.
#include "fs/sys/mount_calls.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>

#include "fs/sys/process.h"
#include "fs/sys/stream.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {
namespace {

constexpr long kFuseMagic = 0x65735546;  // FUSE_SUPER_MAGIC, linux/magic.h

constexpr char kBusy[] = "it is in use: a program has a file open or its working directory there";

tl::expected<void, std::string> UnmountByHelper(const std::string& mount_point, bool lazily) {
  std::vector<std::string> words = {"fusermount3", "-u"};
  if (lazily) words.push_back("-z");
  words.insert(words.end(), {"--", mount_point});
  const Result<ProgramResult> result = RunProgram(words);
  if (!result)
    return tl::unexpected("fusermount3 cannot be run: " + result.error().message());
  if (result->exit_status == 0) return {};
  const std::string& text = result->error_text;
  if (text.find("busy") != std::string::npos) return tl::unexpected(std::string(kBusy));
  return tl::unexpected(text.empty() ? "fusermount3 failed" : text);
}

}  // namespace

Result<void> SyncMount(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) return Fail(errno);
  return {};
}

Result<bool> IsFuse(const std::string& path) {
  struct statfs status {};
  while (::statfs(path.c_str(), &status) != 0) {
    if (errno != EINTR) return Fail(errno);
  }
  return status.f_type == kFuseMagic;
}

Result<unsigned> RaiseBdiSetting(const std::string& path, std::string_view setting,
                                 unsigned value) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return Fail(errno);
  const std::string file = "/sys/class/bdi/" + std::to_string(major(status.st_dev)) + ":" +
                           std::to_string(minor(status.st_dev)) + "/" + std::string(setting);
  const Result<std::string> text = ReadTextFile(file, 64);
  if (!text) return Fail(text.error());
  unsigned current = 0;
  std::from_chars(text->data(), text->data() + text->size(), current);
  if (current >= value) return current;
  GZIPFS_TRY(WriteTextFile(file, std::to_string(value)));
  return value;
}

tl::expected<void, std::string> UnmountPath(const std::string& mount_point, bool lazily) {
  if (::geteuid() != 0) return UnmountByHelper(mount_point, lazily);
  if (::umount2(mount_point.c_str(), UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) == 0) return {};
  const int error = errno;
  if (error == EBUSY) return tl::unexpected(std::string(kBusy));
  return tl::unexpected(std::error_code(error, std::system_category()).message());
}

}  // namespace gzipfs
