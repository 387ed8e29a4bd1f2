// The loops around read(2) and write(2).
#include "fs/sys/stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace gzipfs {

Result<size_t> ReadStream(int fd, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::read(fd, out.data() + done, out.size() - done);
    if (count == 0) break;
    if (count > 0) {
      done += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      return Fail(errno);
    }
  }
  return done;
}

Result<void> WriteStream(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(count));
    } else if (errno != EINTR) {
      return Fail(errno);
    }
  }
  return {};
}

Result<void> CloseStream(UniqueFd fd) {
  // After EINTR the descriptor is closed all the same (close(2), Linux).
  if (::close(fd.Release()) != 0 && errno != EINTR) return Fail(errno);
  return {};
}

Result<UniqueFd> DuplicateFd(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return Fail(errno);
  return copy;
}

Result<std::string> ReadTextFile(const std::string& path, size_t limit_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Fail(errno);
  std::string text;
  constexpr size_t kPieceBytes = 16384;
  for (size_t done = 0; done < limit_bytes; done = text.size()) {
    text.resize(std::min(done + kPieceBytes, limit_bytes));
    const auto room = std::as_writable_bytes(std::span(text)).subspan(done);
    const Result<size_t> count = ReadStream(fd.get(), room);
    if (!count) return Fail(count.error());
    text.resize(done + *count);
    if (*count < room.size()) break;
  }
  return text;
}

Result<void> WriteTextFile(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return Fail(errno);
  return WriteStream(fd.get(), std::as_bytes(std::span(text)));
}

}  // namespace gzipfs
