// Names there are the old ones and the time.
#include "fs/store/quarantine.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "fs/sys/at.h"

namespace gzipfs {

namespace {

// Finds a name of its own for `name`: a file may lose several things within one second.
std::string FreeName(FileOps& ops, int dir_fd, const std::string& name) {
  const std::string stem = fmt::format("{}.{}", name, FileClockNow().tv_sec);
  std::string free_name = stem;
  for (int i = 1; ops.StatAt(dir_fd, free_name.c_str()); ++i) {
    free_name = fmt::format("{}.{}", stem, i);
  }
  return free_name;
}

std::string PathOf(const std::string& kept_name) {
  return fmt::format("{}/{}/{}", kPrivateDirName, kQuarantineDirName, kept_name);
}

}  // namespace

Result<std::string> QuarantineLog(Store& store, const std::string& log_name) {
  const Result<UniqueFd> dir = store.OpenPrivateDir(kQuarantineDirName);
  if (!dir) return Fail(dir.error());
  const std::string kept_name = FreeName(store.ops(), dir->get(), log_name);
  GZIPFS_TRY(store.ops().RenameAt(store.log_dir_fd(), log_name.c_str(), dir->get(),
                                  kept_name.c_str(), 0));
  return PathOf(kept_name);
}

Result<std::string> KeepAside(Store& store, int fd, uint64_t begin, uint64_t end,
                              const std::string& path) {
  FileOps& ops = store.ops();
  const Result<UniqueFd> dir = store.OpenPrivateDir(kQuarantineDirName);
  if (!dir) return Fail(dir.error());
  constexpr size_t kMaxNameBytes = 200;
  const std::string name = path.substr(path.rfind('/') + 1).substr(0, kMaxNameBytes);
  const std::string kept_name = FreeName(ops, dir->get(), name);
  const Result<UniqueFd> kept =
      ops.OpenAt(dir->get(), kept_name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  if (!kept) return Fail(kept.error());
  Result<void> done = ops.CopyRange(fd, begin, kept->get(), 0, end - begin);
  if (done) done = ops.SyncAll(kept->get());
  if (done) done = ops.SyncAll(dir->get());
  if (done) return PathOf(kept_name);
  (void)ops.UnlinkAt(dir->get(), kept_name.c_str(), 0);
  return Fail(done.error());
}

}  // namespace gzipfs
