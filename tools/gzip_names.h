// The names that gzip(1) gives to files, and its way of writing levels.
//
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gzipfs {

// "x.gz" for "x"; nullopt when it has that suffix already, or one that gzip
// knows (.tgz, .taz, .z, -gz, -z, _z).
std::optional<std::string> CompressedName(const std::string& path, std::string_view suffix);

// "x" for "x.gz", "x.tar" for "x.tgz"; nullopt when there is no suffix to take off.
std::optional<std::string> DecompressedName(const std::string& path, std::string_view suffix);

// The words of a command line with "-9c" and "-12" written as "--level=9 -c" and
// "--level=12": also in front of other short options. Words behind "--" stay, and
// so do values ("-p4").
std::vector<std::string> SpellOutLevels(const std::vector<std::string>& words);

}  // namespace gzipfs
