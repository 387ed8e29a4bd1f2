// O_TMPFILE where the store has it; a file unlinked at once where not.
#include "fs/store/spill_log.h"

#include <fcntl.h>

namespace gzipfs {

Result<std::shared_ptr<SpillLog>> SpillLog::Create(FileOps& ops, int dir_fd,
                                                   const std::string& dir) {
  Result<UniqueFd> fd = ops.OpenAt(dir_fd, dir.c_str(), O_TMPFILE | O_RDWR, 0600);
  if (!fd && (fd.error().value() == EOPNOTSUPP || fd.error().value() == EISDIR)) {
    const std::string name = dir + "/spill";
    (void)ops.UnlinkAt(dir_fd, name.c_str(), 0);
    fd = ops.OpenAt(dir_fd, name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd) (void)ops.UnlinkAt(dir_fd, name.c_str(), 0);
  }
  if (!fd) return Fail(fd.error());
  return std::shared_ptr<SpillLog>(new SpillLog(ops, std::move(*fd)));
}

Result<LogPlace> SpillLog::Append(std::span<const std::byte> members) {
  GZIPFS_TRY(ops_.WriteAt(fd_.get(), end_, members));
  const LogPlace place{end_, static_cast<uint32_t>(members.size())};
  end_ += members.size();
  return place;
}

Result<void> SpillLog::Read(const LogPlace& place, std::span<std::byte> members) const {
  Result<size_t> count = ops_.ReadAt(fd_.get(), place.offset, members);
  if (!count) return Fail(count.error());
  if (*count != members.size()) return Fail(DataError::kTruncated);
  return {};
}

}  // namespace gzipfs
