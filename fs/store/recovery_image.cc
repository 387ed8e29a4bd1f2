// What the copy that was killed has taken from the base must come back, but not what
// somebody has taken from it since, on purpose.
#include "fs/store/recovery_image.h"

#include <fcntl.h>

#include <optional>

#include "fs/store/redo_log.h"
#include "fs/sys/privileges.h"

namespace gzipfs {
namespace {

// Whether what `base` lacks of privileges may have been taken by the writes of a copy that
// was killed. Those leave the modification time equal to the time of the last change; who
// removes privileges moves the latter alone. They are for the image's owner and group only.
// When in doubt they are lost: nobody may get back what was taken from him.
bool MayLackByWrites(const struct stat& base, const struct stat& image) {
  const bool has_same_owner = base.st_uid == image.st_uid && base.st_gid == image.st_gid;
  return has_same_owner && base.st_ctim.tv_sec == base.st_mtim.tv_sec &&
         base.st_ctim.tv_nsec == base.st_mtim.tv_nsec;
}

}  // namespace

Result<void> CopyImageAgain(Store& store, const LogImage& image, const RecoveryPlace& place) {
  FileOps& ops = store.ops();
  const Result<UniqueFd> base = place.Open(ops, store.root_fd(), O_RDWR);
  if (!base) return Fail(base.error());
  const Result<UniqueFd> from =
      ops.OpenAt(store.image_dir_fd(), image.name.c_str(), O_RDONLY | O_NOFOLLOW, 0);
  if (!from && from.error().value() != ENOENT) return Fail(from.error());
  if (!from) {
    // It goes when the copy is durable.
    const auto done = IdentityOf(ops, base->get());
    const bool is_done = done && done->stored_bytes == image.image.stored_bytes &&
                         done->end_crc == image.image.end_crc;
    return is_done ? Result<void>() : Fail(from.error());
  }
  const Result<BaseIdentity> identity = IdentityOf(ops, from->get());
  if (!identity) return Fail(identity.error());
  if (!(*identity == image.image)) return Fail(ESTALE);
  const auto base_before = ops.Stat(base->get());
  if (!base_before) return Fail(base_before.error());
  const auto image_attributes = ops.Stat(from->get());
  if (!image_attributes) return Fail(image_attributes.error());
  if (HasOtherPrivileges(from->get(), base->get()) &&
      !MayLackByWrites(*base_before, *image_attributes)) {
    // Durably so before our own writes make the times equal, for whoever comes after us.
    GZIPFS_TRY(RemovePrivileges(from->get()));
    GZIPFS_TRY(ops.SyncAll(from->get()));
  }
  std::optional<KeptPrivileges> kept(std::in_place, base->get());
  GZIPFS_TRY(ops.CopyRange(from->get(), 0, base->get(), 0, image.image.stored_bytes));
  GZIPFS_TRY(ops.Truncate(base->get(), image.image.stored_bytes));
  kept.reset();
  // Whoever began to copy it has taken away what the image has kept.
  (void)GivePrivileges(from->get(), base->get());
  return ops.SyncAll(base->get());
}

}  // namespace gzipfs
