// Walking the store by descriptors.
#include "fs/vfs/name_space.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

#include "fs/sys/at.h"
#include "fs/sys/descriptor_limit.h"

namespace gzipfs {
namespace {

constexpr size_t kMostCachedDirs = 128;
constexpr size_t kFewestCachedDirs = 8;
constexpr size_t kMostPins = 256;
// Deeper than any path that can be reached in steps of PATH_MAX; a longer walk
// means that directories were moved into each other behind the mount.
constexpr size_t kMaxDepth = size_t{1} << 16;

constexpr size_t kMaxDescribedBytes = 4096;

constexpr int kDirFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW;

size_t CachedDirLimit() {
  return std::clamp(DescriptorLimit(1 << 20) / 8, kFewestCachedDirs, kMostCachedDirs);
}
size_t PinLimit() { return std::min(DescriptorLimit(1 << 20) / 8, kMostPins); }

}  // namespace

NameSpace::NameSpace(Store& store, const struct stat& root)
    : store_(store), inodes_(root, PinLimit()), dirs_(CachedDirLimit()) {}

bool NameSpace::IsReserved(const InodeRef& parent, std::string_view mount_name) const {
  return parent->id() == kRootNodeId && mount_name == kPrivateDirName;
}

bool NameSpace::IsGone(const std::error_code& error) {
  const int value = ErrnoOf(error);
  return value == ENOENT || value == ESTALE || value == ENOTDIR || value == ELOOP;
}

std::string NameSpace::DescribePlace(const InodeRef& inode) {
  std::string path;
  InodeRef each = inode;
  while (each->id() != kRootNodeId && path.size() < kMaxDescribedBytes) {
    const auto place = inodes_.PlaceOf(each);
    if (!place) return path.empty() ? "(a file without a name)" : "(removed)" + path;
    path.insert(0, "/" + place->store_name);
    each = place->parent;
  }
  return path;
}

Result<UniqueFd> NameSpace::OpenWithRoom(const std::function<Result<UniqueFd>()>& opener) {
  auto fd = opener();
  if (fd || (ErrnoOf(fd.error()) != EMFILE && ErrnoOf(fd.error()) != ENFILE)) return fd;
  dirs_.Clear();
  return opener();
}

Result<UniqueFd> NameSpace::OpenChecked(int dir_fd, const StorePlace& place,
                                        const InodeRef& inode, int flags) {
  auto fd = OpenWithRoom([&] {
    return store_.ops().OpenAt(dir_fd, place.store_name.c_str(), flags | O_NOFOLLOW, 0);
  });
  if (!fd) return fd;
  const auto found = store_.ops().Stat(fd->get());
  if (!found) return Fail(found.error());
  if (!inodes_.IsBaseOf(inode, *found)) return Fail(ESTALE);
  return fd;
}

// The nearest directory above `dir`, or itself, that is open already; the way
// from there down to `dir` is put into `steps`, last step first.
Result<DirFd> NameSpace::NearestOpenDir(const InodeRef& dir, std::vector<Step>& steps) {
  InodeRef each = dir;
  while (true) {
    if (each->id() == kRootNodeId) return DirFd::Lent(store_.root_fd());
    if (DirFd cached = dirs_.Get(each->id())) return cached;
    auto place = inodes_.PlaceOf(each);
    if (!place || steps.size() >= kMaxDepth) return Fail(ESTALE);
    InodeRef parent = place->parent;
    steps.push_back({std::move(each), std::move(*place)});
    each = std::move(parent);
  }
}

Result<DirFd> NameSpace::OpenDir(const InodeRef& dir) {
  if (!dir->is_directory()) return Fail(ENOTDIR);
  std::vector<Step> steps;
  auto fd = NearestOpenDir(dir, steps);
  while (fd && !steps.empty()) {
    const Step& step = steps.back();
    auto opened = OpenChecked(fd->get(), step.place, step.dir, kDirFlags);
    if (!opened) {
      fd = Fail(IsGone(opened.error()) ? ESTALE : ErrnoOf(opened.error()));
      break;
    }
    fd = DirFd(std::move(*opened));
    if (steps.size() == 1) dirs_.Put(dir->id(), *fd);
    steps.pop_back();
  }
  if (fd || ErrnoOf(fd.error()) != ESTALE) return fd;
  // Removed, but somebody is still in it.
  if (auto pin = inodes_.PinOf(dir)) return DirFd(std::move(pin));
  return fd;
}

Result<UniqueFd> NameSpace::OpenBase(const InodeRef& inode, int flags) {
  if (inode->id() == kRootNodeId) {
    return OpenWithRoom([&] { return store_.ops().OpenAt(store_.root_fd(), ".", flags, 0); });
  }
  while (const auto place = inodes_.PlaceOf(inode)) {
    const uint32_t as_of = inodes_.RekeyCount(inode);
    const auto dir = OpenDir(place->parent);
    Result<UniqueFd> fd = Fail(ESTALE);
    if (dir) fd = OpenChecked(dir->get(), *place, inode, flags);
    if (!dir && !IsGone(dir.error())) return Fail(dir.error());
    if (fd || !IsGone(fd.error())) return fd;
    inodes_.DisownPlace(inode, *place, as_of);
  }
  const auto pin = inodes_.PinOf(inode);
  if (!pin) return Fail(ESTALE);
  return OpenWithRoom([&] {
    return flags == O_PATH ? store_.ops().Duplicate(pin->get()) : Reopen(pin->get(), flags);
  });
}

Result<struct stat> NameSpace::StatBase(const InodeRef& inode) {
  if (inode->id() == kRootNodeId) return store_.ops().Stat(store_.root_fd());
  while (const auto place = inodes_.PlaceOf(inode)) {
    const uint32_t as_of = inodes_.RekeyCount(inode);
    const auto dir = OpenDir(place->parent);
    Result<struct stat> found = Fail(ESTALE);
    if (dir) found = store_.ops().StatAt(dir->get(), place->store_name.c_str());
    if (!dir && !IsGone(dir.error())) return Fail(dir.error());
    if (found && inodes_.IsBaseOf(inode, *found)) return found;
    if (!found && !IsGone(found.error())) return found;
    inodes_.DisownPlace(inode, *place, as_of);
  }
  const auto pin = inodes_.PinOf(inode);
  if (!pin) return Fail(ESTALE);
  return store_.ops().Stat(pin->get());
}

}  // namespace gzipfs
