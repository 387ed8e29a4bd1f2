// Directory entries by readdir(3).
//
// d_off is the position behind an entry; seekdir(3) with it is stable on every
// filesystem while other entries come and go, which is all that a position
// handed to the kernel needs.
#include "fs/sys/directory.h"

#include <cerrno>

namespace gzipfs {

Result<DirectoryStream> DirectoryStream::Open(UniqueFd fd) {
  DIR* stream = ::fdopendir(fd.get());
  if (stream == nullptr) return Fail(errno);
  (void)fd.Release();  // the stream closes it
  return DirectoryStream(stream);
}

Result<std::optional<DirectoryEntry>> DirectoryStream::Next() {
  errno = 0;
  const dirent* entry = ::readdir(stream_.get());
  if (entry == nullptr) {
    if (errno != 0) return Fail(errno);
    return std::nullopt;
  }
  return DirectoryEntry{.name = entry->d_name,
                        .ino = entry->d_ino,
                        .type = entry->d_type,
                        .next_position = entry->d_off};
}

void DirectoryStream::Seek(int64_t position) {
  if (position == 0) {
    ::rewinddir(stream_.get());
  } else {
    ::seekdir(stream_.get(), position);
  }
}

}  // namespace gzipfs
