// Where the index of a base file comes from: a tail, or the members; and what
// becomes of one that contradicts them.
#include <spdlog/spdlog.h>

#include "codec/member_search.h"
#include "fs/store/base_file.h"

namespace gzipfs {
namespace {

// A file keeps the profile it has; an empty one gets the store's.
Profile ProfileOf(const Store& store, const FileLayout& layout) {
  return layout.profile.value_or(store.profile());
}

uint64_t BlockBytesOf(const Store& store, const FileLayout& layout) {
  if (ProfileOf(store, layout) == Profile::kBgzf) return kBgzfBlockBytes;
  if (layout.block_bytes >= kMinLargeBlockBytes) return layout.block_bytes;
  return std::max(store.block_bytes(), kMinLargeBlockBytes);
}

}  // namespace

bool BaseFile::IsTailDoubted(Store& store, const struct stat& attributes) {
  return store.tail_doubts().Has(attributes);
}

Result<std::unique_ptr<BaseFile>> BaseFile::Open(Store& store, UniqueFd fd, TailTrust trust,
                                                 std::shared_ptr<BaseWatch> watch) {
  Result<struct stat> attributes = store.ops().Stat(fd.get());
  if (!attributes) return Fail(attributes.error());
  return OpenAs(store, std::move(fd), *attributes, trust, std::move(watch));
}

Result<std::unique_ptr<BaseFile>> BaseFile::OpenAs(Store& store, UniqueFd fd,
                                                   const struct stat& attributes,
                                                   TailTrust trust,
                                                   std::shared_ptr<BaseWatch> watch) {
  const uint64_t file_bytes = static_cast<uint64_t>(attributes.st_size);
  const FileSource source(store.ops(), fd.get(), file_bytes);
  const bool is_doubted = IsTailDoubted(store, attributes);
  Result<FileLayout> layout =
      is_doubted ? ScanLayout(source) : store.foreign_indexes().Read(fd.get(), attributes);
  if (!layout) return Fail(layout.error());
  if (is_doubted) {
    const Result<std::optional<TailSummary>> tail = ReadTailSummary(source, file_bytes);
    if (!tail) return Fail(tail.error());
    if (*tail) layout->told_plain_bytes = (*tail)->plain_bytes;
  }
  const bool told_wrong =
      layout->told_plain_bytes && *layout->told_plain_bytes != layout->index.plain_bytes();
  if (told_wrong) store.tail_doubts().Add(attributes);
  return std::unique_ptr<BaseFile>(new BaseFile(store, std::move(fd), std::move(*layout),
                                                attributes, trust, std::move(watch)));
}

BaseFile::BaseFile(Store& store, UniqueFd fd, FileLayout layout, const struct stat& attributes,
                   TailTrust trust, std::shared_ptr<BaseWatch> watch)
    : store_(store),
      fd_(std::make_shared<const UniqueFd>(std::move(fd))),
      seen_base_(store.seen_members(), attributes, fd_),
      watch_(watch ? std::move(watch) : std::make_shared<BaseWatch>(store.ops(), attributes)),
      profile_(ProfileOf(store, layout)),
      block_bytes_(BlockBytesOf(store, layout)),
      damage_(layout.damage),
      is_conforming_(layout.is_conforming),
      base_id_(store.cache().NewBaseId()),
      index_(std::move(layout.index)),
      index_id_(store.cache().NewBaseId()),
      index_state_(layout.has_tail && trust == TailTrust::kNone ? IndexState::kClaimed
                                                                : IndexState::kProven),
      foreign_(std::make_shared<const std::vector<MemberInfo>>(std::move(layout.foreign))),
      wrong_plain_bytes_(layout.told_plain_bytes),
      rest_(layout.rest),
      restarts_(std::move(layout.restarts)),
      foreign_source_(store.ops(), fd_->get(), static_cast<uint64_t>(attributes.st_size)),
      foreign_reader_(foreign_source_, store.cache(), store.pool(),
                      [&store, attributes] { store.foreign_indexes().Doubt(attributes); }) {
  if (wrong_plain_bytes_ == index_.plain_bytes()) wrong_plain_bytes_.reset();
}

BaseFile::~BaseFile() = default;

uint64_t BaseFile::plain_bytes() const {
  MutexLock lock(mutex_);
  return wrong_plain_bytes_.value_or(index_.plain_bytes());
}

bool BaseFile::has_wrong_size() const {
  MutexLock lock(mutex_);
  return wrong_plain_bytes_.has_value();
}

bool BaseFile::AcceptSize() {
  MutexLock lock(mutex_);
  const bool was_wrong = wrong_plain_bytes_.has_value();
  wrong_plain_bytes_.reset();
  return was_wrong;
}

uint64_t BaseFile::file_bytes() const {
  MutexLock lock(mutex_);
  return index_.file_bytes();
}

std::error_code BaseFile::rest() const {
  MutexLock lock(mutex_);
  return rest_;
}

bool BaseFile::ends_with_tail() const {
  MutexLock lock(mutex_);
  return index_.ends_with_tail();
}

uint64_t BaseFile::index_id() const {
  MutexLock lock(mutex_);
  return index_id_;
}

Result<void> BaseFile::CheckSize() const {
  MutexLock lock(mutex_);
  return wrong_plain_bytes_ ? Fail(ESTALE) : Result<void>();
}

// `group` of index `index_id` does not fit its members: finds out why, unless
// somebody else has meanwhile. Afterwards there is another index, or none to
// be had. Errors are the device's.
Result<void> BaseFile::Mend(uint64_t index_id, const MemberGroup& group) {
  MutexLock change_lock(change_mutex_);
  return Rescan(index_id, group);
}

Result<void> BaseFile::Rescan(uint64_t index_id, const MemberGroup& group) {
  uint64_t file_bytes = 0;
  {
    MutexLock lock(mutex_);
    if (index_id_ != index_id || index_state_ != IndexState::kClaimed) return {};
    file_bytes = index_.file_bytes();
  }
  const FileSource source(store_.ops(), fd_->get(), file_bytes);
  Result<FileLayout> layout = ScanLayout(source);
  if (!layout) return Fail(layout.error());
  const bool walks_to_end = layout->valid_bytes == file_bytes;
  // A scan goes by ISIZE, as the walk of the group did.
  const Result<bool> is_misled = walks_to_end ? HasDamagedMember(source, group) : false;
  if (!is_misled) return Fail(is_misled.error());
  if (walks_to_end && !*is_misled) {
    AdoptScan(std::move(*layout));
    return {};
  }
  // Damage, not a lie, or both. The tail leads to what is behind it.
  MutexLock lock(mutex_);
  index_state_ = IndexState::kDamaged;
  return {};
}

void BaseFile::AdoptScan(FileLayout layout) {
  const Result<struct stat> attributes = store_.ops().Stat(fd_->get());
  if (attributes) store_.tail_doubts().Add(*attributes);
  const bool conforms = layout.is_conforming && layout.profile.value_or(profile_) == profile_;
  const uint64_t found_bytes = layout.index.plain_bytes();
  uint64_t told_bytes = 0;
  {
    MutexLock lock(mutex_);
    told_bytes = index_.plain_bytes();
    if (found_bytes != told_bytes) wrong_plain_bytes_ = told_bytes;
    index_ = std::move(layout.index);
    index_id_ = store_.cache().NewBaseId();
    index_state_ = IndexState::kProven;
    proven_from_ = 0;
    foreign_ = std::make_shared<const std::vector<MemberInfo>>(std::move(layout.foreign));
    walks_.Clear();
    is_conforming_ = conforms;
  }
  spdlog::warn("inode {}: the tail contradicts the members ({} plain bytes said, {} found); "
               "its index is not used",
               attributes ? attributes->st_ino : 0, told_bytes, found_bytes);
}

Result<void> BaseFile::Verify() { return VerifyFrom(0); }

// Walks the groups from the one that holds `plain_offset` to the first that is
// proven already. Their bytes are then what the index says, wherever those
// before them make it place them.
Result<void> BaseFile::VerifyFrom(uint64_t plain_offset) {
  MutexLock change_lock(change_mutex_);
  GZIPFS_TRY(CheckUnchanged());
  uint64_t before = 0;
  uint64_t end = 0;
  {
    MutexLock lock(mutex_);
    if (wrong_plain_bytes_) return Fail(ESTALE);
    if (index_state_ != IndexState::kClaimed || plain_offset >= proven_from_) return {};
    before = index_id_;
    end = std::min(proven_from_, index_.plain_bytes());
  }
  uint64_t first = end;
  for (uint64_t at = plain_offset; at < end;) {
    const std::optional<MemberGroup> group = Lookup(at);
    if (!group) return Fail(DataError::kBadTail);
    const Result<MemberList> members = WalkMembers(*group);
    if (!members && members.error().category() == std::system_category()) {
      return Fail(members.error());
    }
    if (!members) {
      GZIPFS_TRY(Rescan(before, *group));
      return CheckSize();
    }
    first = std::min(first, group->plain_offset);
    at = group->plain_offset + group->plain_bytes;
  }
  MutexLock lock(mutex_);
  proven_from_ = first;
  if (first == 0) index_state_ = IndexState::kProven;
  return {};
}

std::optional<MemberGroup> BaseFile::FindGroup(uint64_t plain_offset) {
  if (!VerifyFrom(plain_offset)) return std::nullopt;
  return Lookup(plain_offset);
}

}  // namespace gzipfs
