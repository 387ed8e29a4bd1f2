// Members that were read a while ago, by what they hold: who writes such a block gets the
// member as it is, instead of compressing it once more.
//
// So a program that copies a file by read(2) and write(2) copies its members, as
// copy_file_range(2) does, and as dense as they were.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "codec/base/mutex.h"
#include "codec/gzip_format.h"
#include "codec/member.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// Thread-safe. A hint, and never believed: a member counts only when its bytes, as they
// are in the file now, decode to the very bytes that are written. Keeps no file open, and
// reads from those only that are. Remembers at most kSlotCount members, the last ones seen,
// in 56 bytes each: what was read more than 1 GiB ago is forgotten, at blocks of 64 KiB.
class SeenMembers {
  struct FileId {
    dev_t device;
    ino_t ino;
    bool operator==(const FileId&) const = default;
  };

 public:
  explicit SeenMembers(FileOps& ops) : ops_(ops) {}

  // A file that members may be read from, as long as this lives.
  class OpenBase {
   public:
    // `fd` is shared with those who read from it just then. Its attributes are `attributes`.
    OpenBase(SeenMembers& seen, const struct stat& attributes,
             std::shared_ptr<const UniqueFd> fd);
    OpenBase(const OpenBase&) = delete;
    OpenBase& operator=(const OpenBase&) = delete;
    ~OpenBase();

   private:
    friend class SeenMembers;
    SeenMembers& seen_;
    const FileId id_;
    const std::shared_ptr<const UniqueFd> fd_;
  };

  // `plain` was decoded from the `member_bytes` bytes at `file_offset` of `base`.
  void Note(std::span<const std::byte> plain, Profile profile, const OpenBase& base,
            uint64_t file_offset, uint32_t member_bytes);

  // A member of `profile` that holds `plain`, as a block; nullopt when none is known, or
  // when it is not there any more.
  std::optional<EncodedBlock> Find(std::span<const std::byte> plain, Profile profile);

 private:
  static constexpr size_t kSlotCount = 16 * 1024;
  static constexpr size_t kShardCount = 16;
  struct IdHash {
    size_t operator()(const FileId& id) const { return id.ino * 0x9e3779b97f4a7c15 >> 7; }
  };
  struct Slot {
    uint64_t print = 0;
    FileId file = {};
    uint64_t file_offset = 0;
    uint32_t member_bytes = 0;
    Profile profile = Profile::kBgzf;
  };
  struct SlotShard {
    Mutex mutex;
    std::vector<Slot> slots GUARDED_BY(mutex);  // none before the first Note
  };
  struct FileShard {
    Mutex mutex;
    std::unordered_map<FileId, std::weak_ptr<const UniqueFd>, IdHash> open GUARDED_BY(mutex);
  };

  static uint64_t PrintOf(std::span<const std::byte> plain);
  SlotShard& SlotsOf(uint64_t print) { return slots_[print % kShardCount]; }
  static size_t PlaceOf(uint64_t print) {
    return print / kShardCount % (kSlotCount / kShardCount);
  }
  FileShard& FilesOf(const FileId& id) { return files_[IdHash{}(id) % kShardCount]; }
  std::shared_ptr<const UniqueFd> FdOf(const FileId& id);

  FileOps& ops_;
  std::array<SlotShard, kShardCount> slots_;
  std::array<FileShard, kShardCount> files_;
};

}  // namespace gzipfs
