// The marks are words, so that a person who looks into the file understands it.
#include "fs/store/store_lock.h"

#include <fmt/format.h>

#include <cstdlib>

namespace gzipfs {
namespace {

constexpr char kBootWord[] = "\nboot ";
constexpr size_t kBootIdBytes = 36;  // as of proc(5)
constexpr char kLossMark[] = "\nunsettled\n";
constexpr char kLogsMark[] = "\nlogged\n";
constexpr size_t kMaxText = 128;

}  // namespace

std::string StoreLockText::Encode() const {
  std::string text = fmt::format("{:<10}\nboot {:<36}\n", pid == 0 ? "" : std::to_string(pid),
                                 boot_id);
  if (left == Left::kLogs) text += kLogsMark + 1;
  if (left == Left::kLoss) text += kLossMark + 1;
  return text;
}

StoreLockText ReadStoreLock(FileOps& ops, int lock_fd) {
  std::string text(kMaxText, '\0');
  const Result<size_t> count = ops.ReadAt(lock_fd, 0, std::as_writable_bytes(std::span(text)));
  text.resize(count ? *count : 0);
  StoreLockText lock;
  lock.pid = count ? std::atol(text.c_str()) : -1;
  if (const size_t at = text.find(kBootWord); at != std::string::npos) {
    lock.boot_id = text.substr(at + sizeof(kBootWord) - 1, kBootIdBytes);
    lock.boot_id = lock.boot_id.substr(0, lock.boot_id.find_first_of(" \n"));
  }
  if (text.find(kLossMark) != std::string::npos) lock.left = StoreLockText::Left::kLoss;
  if (text.find(kLogsMark) != std::string::npos) lock.left = StoreLockText::Left::kLogs;
  return lock;
}

}  // namespace gzipfs
