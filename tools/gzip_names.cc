// Suffixes are looked for without regard to case, as gzip does.
#include "tools/gzip_names.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace gzipfs {
namespace {

struct Suffix {
  std::string_view text;
  std::string_view plain;  // what stands there after decompressing
};
constexpr std::array<Suffix, 7> kKnownSuffixes = {
    {{".gz", ""}, {".z", ""}, {".taz", ".tar"}, {".tgz", ".tar"}, {"-gz", ""}, {"-z", ""},
     {"_z", ""}}};
// Short options that take a value, which may stand right behind them.
constexpr std::string_view kWithValue = "obpS";

bool EndsWithIgnoringCase(std::string_view text, std::string_view suffix) {
  if (text.size() < suffix.size()) return false;
  const std::string_view end = text.substr(text.size() - suffix.size());
  return std::equal(end.begin(), end.end(), suffix.begin(), [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  });
}

// True when something of the name is left without the suffix.
bool HasSuffix(const std::string& path, std::string_view suffix) {
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  return name.size() > suffix.size() && EndsWithIgnoringCase(name, suffix);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// One cluster of short options, "-9cv".
void SpellOutCluster(const std::string& word, std::vector<std::string>& out) {
  std::string rest = "-";
  for (size_t i = 1; i < word.size(); ++i) {
    if (IsDigit(word[i])) {
      size_t end = i;
      while (end < word.size() && IsDigit(word[end])) ++end;
      out.push_back("--level=" + word.substr(i, end - i));
      i = end - 1;
    } else if (kWithValue.find(word[i]) != std::string_view::npos) {
      rest += word.substr(i);
      break;
    } else {
      rest += word[i];
    }
  }
  if (rest.size() > 1) out.push_back(rest);
}

}  // namespace

std::optional<std::string> CompressedName(const std::string& path, std::string_view suffix) {
  if (HasSuffix(path, suffix)) return std::nullopt;
  for (const Suffix& known : kKnownSuffixes) {
    if (HasSuffix(path, known.text)) return std::nullopt;
  }
  return path + std::string(suffix);
}

std::optional<std::string> DecompressedName(const std::string& path, std::string_view suffix) {
  if (HasSuffix(path, suffix)) return path.substr(0, path.size() - suffix.size());
  for (const Suffix& known : kKnownSuffixes) {
    if (HasSuffix(path, known.text))
      return path.substr(0, path.size() - known.text.size()) + std::string(known.plain);
  }
  return std::nullopt;
}

std::vector<std::string> SpellOutLevels(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  bool is_value = false;
  bool are_names = false;
  for (const std::string& word : words) {
    const bool is_cluster = !is_value && !are_names && word.size() > 1 && word[0] == '-' &&
                            word[1] != '-' && std::any_of(word.begin(), word.end(), IsDigit);
    are_names = are_names || (!is_value && word == "--");
    if (is_cluster) {
      SpellOutCluster(word, out);
    } else {
      out.push_back(word);
    }
    // "-p 4": the next word belongs to this one.
    is_value = !is_value && !are_names && word.size() > 1 && word[0] == '-' && word[1] != '-' &&
               kWithValue.find(word.back()) != std::string_view::npos &&
               word.find_first_of(kWithValue) == word.size() - 1;
  }
  return out;
}

}  // namespace gzipfs
