// What the subcommands say to people, and the exit statuses they share.
#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace gzipfs {

inline constexpr int kExitFailure = 1;

// Says "gzipfs COMMAND: sentence" on stderr.
void Complain(std::string_view command, std::string_view sentence);

template <typename... Arguments>
void Complain(std::string_view command, fmt::format_string<Arguments...> format,
              Arguments&&... arguments) {
  Complain(command,
           std::string_view(fmt::format(format, std::forward<Arguments>(arguments)...)));
}

// "No such file or directory", "CRC32 mismatch".
std::string Describe(std::error_code code);

// Writes `text` to stdout. False, after a complaint, when that fails.
bool Print(std::string_view command, std::string_view text);

}  // namespace gzipfs
