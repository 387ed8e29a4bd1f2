// spdlog's sinks take care of their own locking; every line is flushed, since
// there are few and the last ones matter most.
#include "fs/fuse/session_log.h"

#include <fmt/format.h>
#include <fuse_log.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <stdio.h>
#include <syslog.h>

#include <array>
#include <cstdarg>
#include <memory>

namespace gzipfs {
namespace {

constexpr char kLineWithTime[] = "%Y-%m-%d %H:%M:%S.%e gzipfs[%P] %l: %v";
constexpr char kLineOfSyslog[] = "%v";

spdlog::level::level_enum LevelOf(fuse_log_level level) {
  switch (level) {
    case FUSE_LOG_EMERG:
    case FUSE_LOG_ALERT:
    case FUSE_LOG_CRIT: return spdlog::level::critical;
    case FUSE_LOG_ERR: return spdlog::level::err;
    case FUSE_LOG_WARNING: return spdlog::level::warn;
    case FUSE_LOG_NOTICE:
    case FUSE_LOG_INFO: return spdlog::level::info;
    case FUSE_LOG_DEBUG: return spdlog::level::debug;
  }
  return spdlog::level::info;
}

void LogFromLibfuse(fuse_log_level level, const char* format, va_list arguments) {
  std::array<char, 1024> text{};
  ::vsnprintf(text.data(), text.size(), format, arguments);
  std::string_view line(text.data());
  while (line.ends_with('\n')) line.remove_suffix(1);
  if (!line.empty()) spdlog::log(LevelOf(level), "libfuse: {}", line);
}

std::string Destination(const MountOptions& options) {
  if (!options.log.empty()) return options.log;
  return options.foreground || options.debug ? "stderr" : "syslog";
}

}  // namespace

tl::expected<void, std::string> SetUpLog(const MountOptions& options) {
  const std::string destination = Destination(options);
  spdlog::sink_ptr sink;
  try {
    if (destination == "syslog") {
      sink = std::make_shared<spdlog::sinks::syslog_sink_mt>("gzipfs", LOG_PID, LOG_DAEMON, false);
    } else if (destination == "stderr") {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(destination);
    }
  } catch (const spdlog::spdlog_ex& error) {
    return tl::unexpected(fmt::format("the log {} cannot be opened: {}", destination,
                                      error.what()));
  }
  sink->set_pattern(destination == "syslog" ? kLineOfSyslog : kLineWithTime);
  auto logger = std::make_shared<spdlog::logger>("gzipfs", std::move(sink));
  logger->flush_on(spdlog::level::trace);
  if (options.debug) logger->set_level(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  ::fuse_set_log_func(LogFromLibfuse);
  return {};
}

}  // namespace gzipfs
