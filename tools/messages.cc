// One write for each message, so that those of several processes do not mix.
#include "tools/messages.h"

#include <unistd.h>

#include <span>

#include "fs/sys/stream.h"

namespace gzipfs {

void Complain(std::string_view command, std::string_view sentence) {
  const std::string line =
      fmt::format("gzipfs{}{}: {}\n", command.empty() ? "" : " ", command, sentence);
  // Nobody is left to be told when stderr itself fails.
  static_cast<void>(WriteStream(STDERR_FILENO, std::as_bytes(std::span(line))));
}

std::string Describe(std::error_code code) { return code.message(); }

bool Print(std::string_view command, std::string_view text) {
  const Result<void> written = WriteStream(STDOUT_FILENO, std::as_bytes(std::span(text)));
  if (!written) Complain(command, "cannot write to standard output: {}", Describe(written.error()));
  return written.has_value();
}

}  // namespace gzipfs
