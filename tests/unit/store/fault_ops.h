// The kernel's file calls with faults: counts every call, and fails those it is
// told to. A sync that does not fail does nothing: nobody pulls the plug here.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "fs/sys/file_ops.h"

namespace gzipfs::test {

enum class Call {
  kOpen, kDuplicate, kRead, kWrite, kCopy, kTruncate, kSyncData, kSyncAll, kStat,
  kSetTimes, kSetOwner, kSetMode, kRename, kUnlink, kList, kCopyAttributes,
};

// What a full disk refuses.
inline bool NeedsSpace(Call call) {
  return call == Call::kWrite || call == Call::kCopy || call == Call::kRename ||
         call == Call::kSyncData || call == Call::kSyncAll || call == Call::kCopyAttributes;
}

// What is called before each call; may be set while calls are under way.
class FaultHook {
 public:
  FaultHook& operator=(std::function<int(Call)> hook) {
    const std::scoped_lock lock(mutex_);
    hook_ = hook ? std::make_shared<const std::function<int(Call)>>(std::move(hook)) : nullptr;
    return *this;
  }
  int operator()(Call call) const {
    std::shared_ptr<const std::function<int(Call)>> hook;
    {
      const std::scoped_lock lock(mutex_);
      hook = hook_;
    }
    return hook ? (*hook)(call) : 0;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const std::function<int(Call)>> hook_;
};

// Thread-safe.
class FaultOps final : public FileOps {
 public:
  // Called before every call; 0, or the errno with which the call is to fail. A
  // write or copy that fails has done its first half.
  FaultHook before;
  std::atomic<int> call_count{0};

  Result<UniqueFd> OpenAt(int dir_fd, const char* path, int flags, mode_t mode) override {
    if (int error = Enter(Call::kOpen)) return Fail(error);
    return real_.OpenAt(dir_fd, path, flags, mode);
  }
  Result<UniqueFd> Duplicate(int fd) override {
    if (int error = Enter(Call::kDuplicate)) return Fail(error);
    return real_.Duplicate(fd);
  }
  Result<size_t> ReadAt(int fd, uint64_t offset, std::span<std::byte> out) override {
    if (int error = Enter(Call::kRead)) return Fail(error);
    return real_.ReadAt(fd, offset, out);
  }
  Result<void> WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes) override {
    const int error = Enter(Call::kWrite);
    if (!error) return real_.WriteAt(fd, offset, bytes);
    (void)real_.WriteAt(fd, offset, bytes.first(bytes.size() / 2));
    return Fail(error);
  }
  Result<void> WriteVectorAt(int fd, uint64_t offset, std::span<iovec> parts) override {
    const int error = Enter(Call::kWrite);
    if (!error) return real_.WriteVectorAt(fd, offset, parts);
    if (!parts.empty()) parts.back().iov_len /= 2;
    (void)real_.WriteVectorAt(fd, offset, parts);
    return Fail(error);
  }
  Result<void> CopyRange(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                         uint64_t byte_count) override {
    const int error = Enter(Call::kCopy);
    if (!error) return real_.CopyRange(from_fd, from_offset, to_fd, to_offset, byte_count);
    (void)real_.CopyRange(from_fd, from_offset, to_fd, to_offset, byte_count / 2);
    return Fail(error);
  }
  Result<void> Truncate(int fd, uint64_t byte_count) override {
    return Do(Call::kTruncate, [&] { return real_.Truncate(fd, byte_count); });
  }
  Result<void> SyncData(int fd) override {
    (void)fd;
    return Do(Call::kSyncData, [] { return Result<void>(); });
  }
  Result<void> SyncAll(int fd) override {
    (void)fd;
    return Do(Call::kSyncAll, [] { return Result<void>(); });
  }
  Result<struct stat> Stat(int fd) override {
    if (int error = Enter(Call::kStat)) return Fail(error);
    return real_.Stat(fd);
  }
  Result<struct stat> StatAt(int dir_fd, const char* path) override {
    if (int error = Enter(Call::kStat)) return Fail(error);
    return real_.StatAt(dir_fd, path);
  }
  Result<void> SetTimes(int fd, const timespec times[2]) override {
    return Do(Call::kSetTimes, [&] { return real_.SetTimes(fd, times); });
  }
  Result<void> SetOwner(int fd, uid_t uid, gid_t gid) override {
    return Do(Call::kSetOwner, [&] { return real_.SetOwner(fd, uid, gid); });
  }
  Result<void> SetMode(int fd, mode_t mode) override {
    return Do(Call::kSetMode, [&] { return real_.SetMode(fd, mode); });
  }
  Result<void> RenameAt(int from_dir_fd, const char* from, int to_dir_fd, const char* to,
                        unsigned flags) override {
    return Do(Call::kRename,
              [&] { return real_.RenameAt(from_dir_fd, from, to_dir_fd, to, flags); });
  }
  Result<void> UnlinkAt(int dir_fd, const char* path, int flags) override {
    return Do(Call::kUnlink, [&] { return real_.UnlinkAt(dir_fd, path, flags); });
  }
  Result<std::vector<DirectoryItem>> List(int dir_fd) override {
    if (int error = Enter(Call::kList)) return Fail(error);
    return real_.List(dir_fd);
  }
  Result<void> CopyAttributes(int from_fd, int to_fd) override {
    return Do(Call::kCopyAttributes, [&] { return real_.CopyAttributes(from_fd, to_fd); });
  }

 private:
  int Enter(Call call) {
    ++call_count;
    return before(call);
  }
  template <typename Action>
  Result<void> Do(Call call, Action action) {
    if (int error = Enter(call)) return Fail(error);
    return action();
  }

  FileOps& real_ = RealFileOps();
};

}  // namespace gzipfs::test
