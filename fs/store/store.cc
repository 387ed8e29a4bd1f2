// Opening a store: private directory, lock, configuration.
#include "fs/store/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <limits>
#include <tuple>

#include "fs/store/store_config.h"
#include "fs/store/store_lock.h"
#include "fs/sys/at.h"
#include "fs/sys/file_lock.h"
#include "fs/sys/process.h"

namespace gzipfs {
namespace {

constexpr char kSyncedName[] = "synced";

tl::unexpected<StoreError> Refuse(std::string message) {
  return tl::unexpected<StoreError>(StoreError{std::move(message)});
}

Result<UniqueFd> OpenDirectory(FileOps& ops, int dir_fd, const char* name) {
  return ops.OpenAt(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

// Opens a directory, made first if it is not there.
Result<UniqueFd> MakeAndOpen(FileOps& ops, int dir_fd, const char* name) {
  Result<void> made = MakeDirectoryAt(dir_fd, name, 0700);
  if (!made && made.error().value() != EEXIST) return Fail(made.error());
  return OpenDirectory(ops, dir_fd, name);
}

constexpr char kBadBlockSize[] = "block_size must be 64K or a power of two from 128K to 4M";

bool IsBlockSize(uint64_t bytes) {
  return bytes == kBgzfBlockBytes ||
         (std::has_single_bit(bytes) && bytes >= kMinLargeBlockBytes &&
          bytes <= kMaxLargeBlockBytes);
}

unsigned WorkerCount(const StoreOptions& options) {
  return options.thread_count ? options.thread_count : UsableCores();
}

}  // namespace

Store::Store(const StoreOptions& options, FileOps& ops, UniqueFd root_fd)
    : options_(options),
      ops_(ops),
      root_fd_(std::move(root_fd)),
      cache_(options.cache_bytes),
      seen_members_(ops),
      budget_(options.dirty_bytes),
      space_(budget_, [this] { return FreeBytes(); }, [this] { return relief_.Relieve(); }),
      write_effort_(WorkerCount(options)),
      pool_(WorkerCount(options)) {
  budget_.SetRelief([this] { return relief_.Relieve(); });
}

Store::~Store() {
  budget_.SetRelief(nullptr);
  const std::string text = StoreLockText{}.Encode();
  // What was not recovered is left to the next one.
  const bool is_in_order = !unclean_since_ || is_recovered_;
  if (is_signed_ && is_in_order) {
    (void)ops_.WriteAt(lock_fd_.get(), 0, std::as_bytes(std::span(text)));
  }
}

uint64_t Store::FreeBytes() const {
  const Result<struct statvfs> disk = StatFilesystem(root_fd_.get());
  if (!disk || disk->f_blocks == 0) return std::numeric_limits<uint64_t>::max();
  // Not f_bfree, which root could use in part: ext4 counts there what it keeps for itself.
  return uint64_t{disk->f_bavail} * disk->f_frsize;
}

tl::expected<std::unique_ptr<Store>, StoreError> Store::Open(const std::string& path,
                                                             const StoreOptions& options,
                                                             FileOps& ops) {
  if (options.block_bytes != 0 && !IsBlockSize(options.block_bytes)) return Refuse(kBadBlockSize);
  Result<UniqueFd> root = ops.OpenAt(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY, 0);
  if (!root) {
    return Refuse(fmt::format("cannot open the store {}: {}", path, root.error().message()));
  }
  std::unique_ptr<Store> store(new Store(options, ops, std::move(*root)));
  if (auto opened = store->OpenPrivate(path); !opened) return tl::unexpected(opened.error());
  store->OpenIndexes();
  return store;
}

tl::expected<void, StoreError> Store::OpenPrivate(const std::string& path) {
  const auto fail = [&](const char* what, std::error_code error) {
    return Refuse(fmt::format("cannot {} {}/{}: {}", what, path, kPrivateDirName,
                              error.message()));
  };
  Result<UniqueFd> private_fd = OpenDirectory(ops_, root_fd_.get(), kPrivateDirName);
  if (options_.read_only) {
    // Whatever can be learnt from the private directory; it may be missing.
    if (!private_fd) return Configure(path);
    private_fd_ = std::move(*private_fd);
    if (auto locked = TakeLock(path); !locked) return locked;
    if (auto log = OpenDirectory(ops_, private_fd_.get(), kLogDirName)) {
      log_dir_fd_ = std::move(*log);
    }
    return Configure(path);
  }
  if (!private_fd) private_fd = MakeAndOpen(ops_, root_fd_.get(), kPrivateDirName);
  if (!private_fd) return fail("use", private_fd.error());
  private_fd_ = std::move(*private_fd);
  if (auto locked = TakeLock(path); !locked) return locked;
  if (auto configured = Configure(path); !configured) return configured;
  Result<UniqueFd> image = MakeAndOpen(ops_, private_fd_.get(), kImageDirName);
  if (!image) return fail("use", image.error());
  Result<UniqueFd> log = MakeAndOpen(ops_, private_fd_.get(), kLogDirName);
  if (!log) return fail("use", log.error());
  image_dir_fd_ = std::move(*image);
  log_dir_fd_ = std::move(*log);
  return SignLock(path);
}

// Without the directory nothing is kept, which costs time only.
void Store::OpenIndexes() {
  Result<UniqueFd> dir = Fail(ENOENT);
  if (private_fd_) {
    dir = options_.read_only ? OpenDirectory(ops_, private_fd_.get(), kIndexDirName)
                             : MakeAndOpen(ops_, private_fd_.get(), kIndexDirName);
  }
  foreign_indexes_ = std::make_unique<ForeignIndexes>(
      ops_, std::make_unique<KeptIndexes>(ops_, dir ? std::move(*dir) : UniqueFd(),
                                          options_.read_only));
}

// A writer is alone; readers are only kept from a store that is written to.
tl::expected<void, StoreError> Store::TakeLock(const std::string& path) {
  const int flags = options_.read_only ? O_RDONLY : O_CREAT | O_RDWR;
  Result<UniqueFd> lock = ops_.OpenAt(private_fd_.get(), kLockName, flags | O_NOFOLLOW, 0600);
  if (!lock && options_.read_only) return {};  // nobody can have it
  if (!lock) {
    return Refuse(fmt::format("cannot write to the store {}: {}", path, lock.error().message()));
  }
  const LockKind kind = options_.read_only ? LockKind::kShared : LockKind::kExclusive;
  if (Result<void> locked = TryLockFile(lock->get(), kind); !locked) {
    // Readers do not sign.
    const long holder = ReadStoreLock(ops_, lock->get()).pid;
    return tl::unexpected(StoreError{
        .message = fmt::format("the store {} is already mounted ({})", path,
                               holder > 0 ? fmt::format("by process {}", holder) : "read-only"),
        .is_in_use = true});
  }
  lock_fd_ = std::move(*lock);
  const StoreLockText text = ReadStoreLock(ops_, lock_fd_.get());
  const Result<struct stat> left = ops_.Stat(lock_fd_.get());
  if (left && text.pid != 0) FindUncleanEnd(left->st_mtim, text.boot_id);
  was_left_unsettled_ = text.left == StoreLockText::Left::kLoss;
  return {};
}

// The last process that wrote to the store, and signed at `signed_at`, did not
// come to its end.
void Store::FindUncleanEnd(const timespec& signed_at, const std::string& boot_id) {
  unclean_since_ = signed_at;
  is_after_power_cut_ = boot_id.empty() || boot_id != BootId();
  synced_since_ = signed_at;
  const Result<struct stat> mark = ops_.StatAt(private_fd_.get(), kSyncedName);
  if (mark && std::tie(mark->st_mtim.tv_sec, mark->st_mtim.tv_nsec) >
                  std::tie(signed_at.tv_sec, signed_at.tv_nsec)) {
    synced_since_ = mark->st_mtim;
  }
}

// Tells who has the lock. Last of all, when nothing else stands in the way.
tl::expected<void, StoreError> Store::SignLock(const std::string& path) {
  const std::string text =
      StoreLockText{getpid(), is_after_power_cut_ ? "not-recovered" : BootId()}.Encode();
  Result<void> written = ops_.WriteAt(lock_fd_.get(), 0, std::as_bytes(std::span(text)));
  if (written) written = ops_.Truncate(lock_fd_.get(), text.size());
  if (written && unclean_since_) {
    // If this process dies before it has recovered all, the next one begins there again.
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, *unclean_since_};
    written = ops_.SetTimes(lock_fd_.get(), times);
  }
  // Recovery after a power cut goes by it.
  if (written) written = ops_.SyncData(lock_fd_.get());
  is_signed_ = written.has_value();
  if (written) {
    Result<UniqueFd> mark =
        ops_.OpenAt(private_fd_.get(), kSyncedName, O_CREAT | O_RDWR | O_NOFOLLOW, 0600);
    if (mark) {
      sync_marker_ = std::make_unique<SyncMarker>(ops_, private_fd_.get(), std::move(*mark));
      // Until all is recovered the mark tells where to begin.
      if (!unclean_since_) sync_marker_->Start();
    }
    return {};
  }
  return Refuse(fmt::format("cannot write to the store {}: {}", path, written.error().message()));
}

// As SignLock, and from now on.
void Store::NoteRecovered() {
  if (!is_signed_ || !unclean_since_) return;
  const std::string text = StoreLockText{getpid(), BootId()}.Encode();
  const Result<void> written = ops_.WriteAt(lock_fd_.get(), 0, std::as_bytes(std::span(text)));
  if (written) (void)ops_.SyncData(lock_fd_.get());
  is_recovered_ = written.has_value();
  if (is_recovered_ && sync_marker_) sync_marker_->Start();
}

void Store::NoteUnsettled(bool is_lost) {
  if (options_.read_only) return;
  const auto left = is_lost ? StoreLockText::Left::kLoss : StoreLockText::Left::kLogs;
  const std::string text = StoreLockText{getpid(), BootId(), left}.Encode();
  const Result<struct stat> signed_at = ops_.Stat(lock_fd_.get());
  (void)ops_.WriteAt(lock_fd_.get(), 0, std::as_bytes(std::span(text)));
  // Whose ends may be torn is still told by when this process began.
  if (signed_at) {
    const timespec times[2] = {signed_at->st_atim, signed_at->st_mtim};
    (void)ops_.SetTimes(lock_fd_.get(), times);
  }
  is_signed_ = false;  // it stays as it is
}

bool WasLeftUnsettled(const std::string& path) {
  FileOps& ops = RealFileOps();
  const std::string lock_path = fmt::format("{}/{}/{}", path, kPrivateDirName, kLockName);
  const Result<UniqueFd> fd = ops.OpenAt(AT_FDCWD, lock_path.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  return fd && ReadStoreLock(ops, fd->get()).left != StoreLockText::Left::kNothing;
}

// The profile is the store's, fixed when it was made.
tl::expected<void, StoreError> Store::Configure(const std::string& path) {
  Result<std::optional<StoreConfig>> found = ReadStoreConfig(ops_, private_fd_.get());
  if (!found) {
    return Refuse(fmt::format("{}/{}/{} {}", path, kPrivateDirName, kConfigName,
                              DescribeConfigError(found.error())));
  }
  StoreConfig config = found->value_or(StoreConfig{});
  const uint64_t wanted = options_.block_bytes;
  if (*found && wanted != 0 && wanted != config.block_bytes) {
    return Refuse(fmt::format("the store {} was made with block_size={}K, which stays", path,
                              config.block_bytes / kKiB));
  }
  if (!*found && wanted != 0) config.block_bytes = wanted;
  if (!IsBlockSize(config.block_bytes)) {
    return Refuse(fmt::format("{}/{}/{} says block_bytes {}, which no store has; {}", path,
                              kPrivateDirName, kConfigName, config.block_bytes, kBadBlockSize));
  }
  block_bytes_ = config.block_bytes;
  profile_ = block_bytes_ == kBgzfBlockBytes ? Profile::kBgzf : Profile::kLarge;
  if (!*found && !options_.read_only) {
    if (Result<void> written = WriteStoreConfig(ops_, private_fd_.get(), config); !written) {
      return Refuse(fmt::format("cannot write to the store {}: {}", path,
                                written.error().message()));
    }
  }
  return {};
}

Result<UniqueFd> Store::OpenPrivateDir(const char* name) {
  Result<UniqueFd> there = OpenDirectory(ops_, private_fd_.get(), name);
  if (there || there.error().value() != ENOENT) return there;
  Result<UniqueFd> made = MakeAndOpen(ops_, private_fd_.get(), name);
  // What will be put into it is to be found again.
  if (made) GZIPFS_TRY(ops_.SyncAll(private_fd_.get()));
  return made;
}

std::string Store::UniqueName() {
  return fmt::format("{}{}-{:08x}-{}", kImagePrefix, getpid(), unique_salt_,
                     next_unique_.fetch_add(1));
}

}  // namespace gzipfs
