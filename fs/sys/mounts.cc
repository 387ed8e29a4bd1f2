// The fields of a mountinfo line are described in proc(5).
#include "fs/sys/mounts.h"

#include <array>

#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

// Far above what thousands of mounts take.
constexpr size_t kMaxMountInfoBytes = size_t{16} << 20;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// Space, tab, newline and backslash stand as \040, \011, \012 and \134.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) &&
                           IsOctal(text[i + 2]) && IsOctal(text[i + 3]);
    if (is_escape) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

std::vector<MountEntry> ParseMounts(std::string_view text) {
  std::vector<MountEntry> mounts;
  for (const std::string_view line : Split(text, '\n')) {
    // 36 35 98:0 /root /mount/point options [optional fields] - type source options
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> place = Split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> what = Split(line.substr(dash + 3), ' ');
    if (place.size() < 5 || what.size() < 2) continue;
    mounts.push_back({.device = std::string(place[2]),
                      .mount_point = Unescape(place[4]),
                      .type = std::string(what[0]),
                      .source = Unescape(what[1])});
  }
  return mounts;
}

Result<std::vector<MountEntry>> ReadMounts() {
  const Result<std::string> text = ReadTextFile("/proc/self/mountinfo", kMaxMountInfoBytes);
  if (!text) return Fail(text.error());
  return ParseMounts(*text);
}

bool IsInside(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  if (!path.starts_with(directory)) return false;
  return path.size() == directory.size() || path[directory.size()] == '/';
}

std::optional<MountEntry> FindMountOf(const std::vector<MountEntry>& mounts,
                                      std::string_view path) {
  const MountEntry* best = nullptr;
  for (const MountEntry& mount : mounts) {
    if (!IsInside(path, mount.mount_point)) continue;
    if (best == nullptr || mount.mount_point.size() >= best->mount_point.size()) best = &mount;
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

}  // namespace gzipfs
