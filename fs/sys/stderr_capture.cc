// A memory file never blocks its writer, as a pipe would.
#include "fs/sys/stderr_capture.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

constexpr size_t kMaxTextBytes = 64 << 10;

std::string LastLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

StderrCapture::StderrCapture() : memory_(::memfd_create("stderr", MFD_CLOEXEC)) {
  Result<UniqueFd> saved = DuplicateFd(STDERR_FILENO);
  if (!memory_ || !saved) return;
  ::fflush(stderr);
  if (::dup2(memory_.get(), STDERR_FILENO) >= 0) saved_ = std::move(*saved);
}

std::string StderrCapture::End() {
  Restore();
  std::string text(kMaxTextBytes, '\0');
  if (!memory_ || ::lseek(memory_.get(), 0, SEEK_SET) != 0) return {};
  const Result<size_t> count =
      ReadStream(memory_.get(), std::as_writable_bytes(std::span(text)));
  text.resize(count.value_or(0));
  return LastLine(std::move(text));
}

void StderrCapture::Restore() {
  if (!saved_) return;
  ::fflush(stderr);
  ::dup2(saved_.get(), STDERR_FILENO);
  saved_.Reset();
}

}  // namespace gzipfs
