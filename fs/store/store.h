// A store: the directory of base files, and what all of its open files share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "codec/codec.h"
#include "codec/codec_pool.h"
#include "codec/gzip_format.h"
#include "fs/store/block_cache.h"
#include "fs/store/checkpointer.h"
#include "fs/store/dirty_budget.h"
#include "fs/store/foreign_indexes.h"
#include "fs/store/log_table.h"
#include "fs/store/relief_list.h"
#include "fs/store/seen_members.h"
#include "fs/store/space_gate.h"
#include "fs/store/sync_marker.h"
#include "fs/store/tail_doubts.h"
#include "fs/store/write_effort.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// The directory inside the store that is ours; never shown in the mount.
inline constexpr char kPrivateDirName[] = ".gzipfs";

// What is inside it: the writer's lock, images that are not bases yet, redo
// logs, and what fitted no file or was cut off one.
inline constexpr char kLockName[] = "lock";
inline constexpr char kImageDirName[] = "image";
inline constexpr char kLogDirName[] = "log";
inline constexpr char kQuarantineDirName[] = "quarantine";

// What the names of temporary files in it begin with.
inline constexpr char kImagePrefix[] = "new-";

// Bounds (invariant 12). Every queue, cache and buffer of the store is under
// one of these or under StoreOptions.
inline constexpr uint64_t kDefaultCacheBytes = 64 * kMiB;
inline constexpr uint64_t kDefaultDirtyBytes = 64 * kMiB;
// A redo log that has grown by that many bytes, or by a share of its base's stored
// bytes if that is more, is brought into its base while writes go on.
inline constexpr uint64_t kMaxLogBytes = 64 * kMiB;
inline constexpr uint64_t kLogShareOfBase = 8;  // an eighth: what a checkpoint copies at most
// A log of that many times as much lets nobody go on before a checkpoint is done.
inline constexpr uint64_t kLogLimitFactor = 4;

// The default: blocks that a writer brings are compressed at kDefaultLevel while the
// workers keep up, at kLevelFast when they would not; all else at kDefaultLevel.
inline constexpr int kLevelAuto = -1;

struct StoreOptions {
  bool read_only = false;
  int level = kLevelAuto;                 // that, kLevelFast or 1..kMaxLevel
  uint64_t block_bytes = 0;               // 0: as the store was made, 64 KiB for a new one
  unsigned thread_count = 0;              // workers; 0: one for each usable core
  uint64_t cache_bytes = kDefaultCacheBytes;
  uint64_t dirty_bytes = kDefaultDirtyBytes;
  uint64_t log_bytes = kMaxLogBytes;
};

// Whether the process that had the store `path` last left a NoteUnsettled, of
// either kind. False also when that cannot be told.
bool WasLeftUnsettled(const std::string& path);

// Why a store cannot be used, in a sentence for a person.
struct StoreError {
  std::string message;
  bool is_in_use = false;  // by another process: later it may be free
};

// An opened and, unless read-only, locked store. Thread-safe after Open.
class Store {
 public:
  // Opens the directory `path`; creates the private directory at first use,
  // takes the writer's lock (kept until the object goes), reads or writes the
  // store's configuration. Changes nothing when it fails.
  static tl::expected<std::unique_ptr<Store>, StoreError> Open(const std::string& path,
                                                               const StoreOptions& options,
                                                               FileOps& ops);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  int root_fd() const { return root_fd_.get(); }           // O_PATH | O_DIRECTORY
  int image_dir_fd() const { return image_dir_fd_.get(); }  // -1 when read-only
  // -1 when there is none: a read-only store that was never written to.
  int log_dir_fd() const { return log_dir_fd_.get(); }
  bool read_only() const { return options_.read_only; }
  bool is_level_auto() const { return options_.level == kLevelAuto; }
  // The level for what nobody waits for, and for what is less than a block.
  int level() const { return is_level_auto() ? kDefaultLevel : options_.level; }
  // That for blocks that a writer just brought, `byte_count` plain bytes in all.
  int WriteLevel(uint64_t byte_count) {
    if (!is_level_auto()) return options_.level;
    return write_effort_.IsPressed(byte_count) ? kLevelFast : kDefaultLevel;
  }
  // That for blocks which must leave memory before a writer can go on.
  int spill_level() const { return is_level_auto() ? kLevelFast : options_.level; }
  // Null unless the level depends on it.
  WriteEffort* write_effort() { return is_level_auto() ? &write_effort_ : nullptr; }
  uint64_t log_bytes() const { return options_.log_bytes; }
  Profile profile() const { return profile_; }
  uint64_t block_bytes() const { return block_bytes_; }

  FileOps& ops() const { return ops_; }
  CodecPool& pool() { return pool_; }
  BlockCache& cache() { return cache_; }
  SeenMembers& seen_members() { return seen_members_; }
  DirtyBudget& budget() { return budget_; }
  ReliefList& relief() { return relief_; }
  SpaceGate& space() { return space_; }
  LogTable& logs() { return logs_; }
  TailDoubts& tail_doubts() { return tail_doubts_; }
  ForeignIndexes& foreign_indexes() { return *foreign_indexes_; }
  Checkpointer& checkpointer() { return checkpointer_; }
  // Some base file was written to.
  void NoteBaseWrite() {
    if (sync_marker_) sync_marker_->NoteWrite();
  }

  // Since when files may end in a torn write, if the last process that wrote to
  // the store did not come to its end; by the clock of the store's filesystem.
  std::optional<timespec> unclean_since() const { return unclean_since_; }
  // Whether the kernel that ran it is gone, too: then what it had not synced may
  // be lost in part. For files changed since `synced_since` only.
  bool is_after_power_cut() const { return is_after_power_cut_; }
  std::optional<timespec> synced_since() const { return synced_since_; }
  // Whether that process left a NoteUnsettled about a loss.
  bool was_left_unsettled() const { return was_left_unsettled_; }
  // Recovery has come to its end: should this process not, the next one has to look
  // only at what is changed from now on.
  void NoteRecovered();
  // Leaves word for whoever waits for this process (`gzipfs umount`) that it ends
  // with files that are not settled; `is_lost`: logs do not have all that is missing.
  void NoteUnsettled(bool is_lost);

  // From now on no checkpoint is begun, and one that is composing its image gives
  // up: what needs one answers ECANCELED to Settle, and can still be synced. For a
  // process that is to end soon; for good.
  void Hurry() { is_hurried_ = true; }
  bool is_hurried() const { return is_hurried_; }
  // What is free on the store's disk for this process; the largest number where the
  // filesystem does not tell.
  uint64_t FreeBytes() const;
  // Opens a directory inside the private one, made first if it is not there.
  Result<UniqueFd> OpenPrivateDir(const char* name);
  // A name for a temporary file in the private directory, unique in this process.
  std::string UniqueName();

 private:
  Store(const StoreOptions& options, FileOps& ops, UniqueFd root_fd);
  tl::expected<void, StoreError> OpenPrivate(const std::string& path);
  void OpenIndexes();
  tl::expected<void, StoreError> TakeLock(const std::string& path);
  void FindUncleanEnd(const timespec& signed_at, const std::string& boot_id);
  tl::expected<void, StoreError> SignLock(const std::string& path);
  tl::expected<void, StoreError> Configure(const std::string& path);

  StoreOptions options_;
  FileOps& ops_;
  UniqueFd root_fd_;
  UniqueFd private_fd_;
  UniqueFd image_dir_fd_;
  UniqueFd log_dir_fd_;
  UniqueFd lock_fd_;
  bool was_left_unsettled_ = false;
  bool is_signed_ = false;  // the lock file has our number
  bool is_after_power_cut_ = false;
  bool is_recovered_ = false;
  std::optional<timespec> unclean_since_;
  std::optional<timespec> synced_since_;
  Profile profile_ = Profile::kBgzf;
  uint64_t block_bytes_ = kBgzfBlockBytes;
  // Process numbers come again, and recovery may have left a file.
  const uint32_t unique_salt_ = std::random_device()();
  std::atomic<uint64_t> next_unique_{0};
  std::atomic<bool> is_hurried_{false};
  BlockCache cache_;
  SeenMembers seen_members_;
  DirtyBudget budget_;
  ReliefList relief_;
  SpaceGate space_;
  WriteEffort write_effort_;
  LogTable logs_;
  TailDoubts tail_doubts_;
  std::unique_ptr<ForeignIndexes> foreign_indexes_;  // set by Open
  std::unique_ptr<SyncMarker> sync_marker_;  // null when read-only
  // Last: their threads use all of the above.
  CodecPool pool_;
  Checkpointer checkpointer_;
};

}  // namespace gzipfs
