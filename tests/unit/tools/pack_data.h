// Gzip files for the tests of the tools, made in memory or in temporary files.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "codec/member_index.h"
#include "fs/sys/stream.h"
#include "tests/unit/codec/test_data.h"

namespace gzipfs::test {

// `plain` as a store would keep it.
inline Buffer PackInMemory(std::span<const std::byte> plain, Profile profile = Profile::kBgzf,
                           uint64_t block_bytes = kBgzfBlockBytes) {
  Buffer file;
  MemberIndex index;
  for (size_t at = 0; at < plain.size(); at += block_bytes) {
    const auto block = plain.subspan(at, std::min<size_t>(block_bytes, plain.size() - at));
    const EncodedBlock encoded = EncodeBlock(profile, 1, block);
    for (const EncodedMember& member : encoded.members)
      index.Append(member.plain_bytes, member.member_bytes);
    Append(&file, encoded.bytes);
  }
  Append(&file, index.EncodeTail(profile, block_bytes));
  return file;
}

// A directory that goes with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = "/tmp/gzipfs-unit-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) std::abort();
    path_ = path;
  }
  ~TemporaryDirectory() {
    [[maybe_unused]] const int status = std::system(("rm -rf '" + path_ + "'").c_str());
  }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void WriteFile(const std::string& path, std::span<const std::byte> bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) std::abort();
  std::fwrite(bytes.data(), 1, bytes.size(), file);
  std::fclose(file);
}

inline Buffer ReadFile(const std::string& path) {
  const Result<std::string> text = ReadTextFile(path, size_t{1} << 30);
  return text ? FromText(*text) : Buffer{};
}

}  // namespace gzipfs::test
