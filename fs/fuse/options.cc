// One table for each kind of option, so that a new one is a new line.
#include "fs/fuse/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "codec/option_text.h"

namespace gzipfs {
namespace {

using Outcome = tl::expected<void, std::string>;

constexpr uint64_t kMinDirtyBytes = kMiB;
constexpr uint64_t kMaxThreads = 1024;

// For fstab(5), mount(8) and systemd, not for us, or what is so anyway.
constexpr std::array<std::string_view, 26> kPassedOver = {
    "auto",     "noauto",      "user",       "nouser",        "users",      "owner",
    "group",    "nofail",      "_netdev",    "defaults",      "atime",      "diratime",
    "relatime", "norelatime",  "strictatime", "nostrictatime", "lazytime",  "nolazytime",
    "iversion", "noiversion",  "mand",       "nomand",        "silent",     "loud",
    "quiet",    "default_permissions"};
constexpr std::array<std::string_view, 6> kPassedOverPrefixes = {"x-",    "X-",       "comment=",
                                                                 "user=", "subtype=", "helper="};
// libfuse and the kernel know what to do with these.
constexpr std::array<std::string_view, 12> kForKernel = {
    "suid", "nosuid", "dev",     "nodev",      "exec",    "noexec",
    "sync", "async",  "noatime", "nodiratime", "dirsync", "auto_unmount"};

template <size_t kCount>
bool Contains(const std::array<std::string_view, kCount>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

tl::unexpected<std::string> BadValue(std::string_view name, std::string_view takes,
                                     std::string_view value) {
  return tl::unexpected(fmt::format("option {}= takes {}, not '{}'", name, takes, value));
}

Outcome SetSize(std::string_view name, std::string_view value, uint64_t min_bytes, uint64_t& to) {
  const std::optional<uint64_t> bytes = ParseByteCount(value);
  if (!bytes || *bytes < min_bytes) {
    const std::string takes =
        min_bytes == 0 ? "a size such as 64M"
                       : fmt::format("a size from {} on, such as 64M", FormatByteCount(min_bytes));
    return BadValue(name, takes, value);
  }
  to = *bytes;
  return {};
}

Outcome ApplyValue(std::string_view name, std::string_view value, MountOptions& options) {
  StoreOptions& store = options.store;
  if (name == "level") {
    const std::optional<int> level = value == "auto" ? kLevelAuto : ParseLevel(value);
    if (!level) return BadValue(name, fmt::format("auto, {}", kLevelChoices), value);
    store.level = *level;
  } else if (name == "block_size") {
    const std::optional<uint64_t> bytes = ParseBlockBytes(value);
    if (!bytes) return BadValue(name, kBlockBytesChoices, value);
    store.block_bytes = *bytes;
  } else if (name == "threads") {
    const std::optional<uint64_t> count = ParseCount(value, kMaxThreads);
    if (!count || *count == 0) return BadValue(name, "1 to 1024", value);
    store.thread_count = static_cast<unsigned>(*count);
  } else if (name == "cache") {
    return SetSize(name, value, 0, store.cache_bytes);
  } else if (name == "dirty") {
    return SetSize(name, value, kMinDirtyBytes, store.dirty_bytes);
  } else if (name == "log") {
    if (value.empty()) return BadValue(name, "syslog, stderr or a file", value);
    options.log = value;
  } else if (name == "fsname") {
    options.kernel_options.push_back(fmt::format("fsname={}", value));
  } else {
    return tl::unexpected(fmt::format("unknown option '{}='", name));
  }
  return {};
}

Outcome ApplyWord(std::string_view word, MountOptions& options) {
  if (word == "ro" || word == "rw") {
    options.store.read_only = word == "ro";
  } else if (word == "allow_other") {
    options.allow_other = true;
  } else if (word == "writeback" || word == "nowriteback") {
    options.writeback = word == "writeback";
  } else if (Contains(kForKernel, word)) {
    options.kernel_options.emplace_back(word);
  } else if (word == "level" || word == "block_size" || word == "threads" || word == "cache" ||
             word == "dirty" || word == "log") {
    return tl::unexpected(fmt::format("option '{}' needs a value: {}=VALUE", word, word));
  } else {
    return tl::unexpected(fmt::format("unknown option '{}'", word));
  }
  return {};
}

Outcome ApplyOption(std::string_view option, MountOptions& options) {
  const bool is_passed_over =
      option.empty() || Contains(kPassedOver, option) ||
      std::any_of(kPassedOverPrefixes.begin(), kPassedOverPrefixes.end(),
                  [&](std::string_view prefix) { return option.starts_with(prefix); });
  if (is_passed_over) return {};
  const size_t equals = option.find('=');
  if (equals == std::string_view::npos) return ApplyWord(option, options);
  return ApplyValue(option.substr(0, equals), option.substr(equals + 1), options);
}

}  // namespace

const char kMountOptionsHelp[] =
    "Options, for -o:\n"
    "  ro                    read only; nothing in the store is touched\n"
    "  allow_other           other users may enter, too (needs root, or user_allow_other\n"
    "                        in /etc/fuse.conf)\n"
    "  level=LEVEL           how hard to compress: fast, 1 to 12, or auto: 6 while that\n"
    "                        keeps up with what is written, else fast; default: auto\n"
    "  block_size=SIZE       plain bytes in a block: 64K (BGZF) or 128K to 4M; fixed when\n"
    "                        the store is first mounted; default: 64K\n"
    "  threads=N             compressing threads; default: one a core\n"
    "  cache=SIZE            memory for decoded blocks; default: 64M\n"
    "  dirty=SIZE            memory for data not written yet; default: 64M\n"
    "  writeback, nowriteback\n"
    "                        whether the kernel gathers small writes; default: it does,\n"
    "                        unless the disk is nearly full at the time of mounting\n"
    "  log=WHERE             syslog, stderr or a file; default: syslog, with -f stderr\n"
    "  nosuid, nodev         on by default; suid, dev, exec, noexec, sync, noatime,\n"
    "                        dirsync and the words of fstab(5) are understood as well\n";

tl::expected<void, std::string> ApplyMountOptions(std::string_view list, MountOptions& options) {
  std::string option;
  for (size_t i = 0; i <= list.size(); ++i) {
    const bool is_end = i == list.size();
    const bool is_escaped = !is_end && list[i] == '\\' && i + 1 < list.size() &&
                            (list[i + 1] == ',' || list[i + 1] == '\\');
    if (is_escaped) {
      option += list[++i];
    } else if (!is_end && list[i] != ',') {
      option += list[i];
    } else {
      if (Outcome applied = ApplyOption(option, options); !applied) return applied;
      option.clear();
    }
  }
  return {};
}

}  // namespace gzipfs
