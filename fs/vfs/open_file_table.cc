// Opening, joining and closing of files.
//
// A file is in the table from before its base is opened (others wait for that)
// until it is settled and unused. It leaves only if nobody came between the
// last look at it and its removal; whoever came looks again when he goes.
#include "fs/vfs/open_file_table.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

namespace gzipfs {
namespace {

// Errors that say the disk or the process is short of something, now: what is
// not settled stays in memory and is tried again.
bool MayPass(int error) {
  return error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EMFILE ||
         error == ENFILE || error == EAGAIN;
}

// Errors that say the file may be read but not written.
bool IsReadOnlyError(int error) {
  return error == EACCES || error == EROFS || error == EPERM || error == ETXTBSY;
}

}  // namespace

OpenFileRef::~OpenFileRef() {
  if (file_) table_->Release(file_);
}

OpenFileTable::OpenFileTable(NameSpace& names)
    : names_(names), settler_([this](const FilePtr& file) { return SettleUnused(file); }) {}

Result<OpenedFile> OpenFileTable::Open(const InodeRef& inode, bool wants_write) {
  auto joined = Join(inode, wants_write);
  if (!joined) return Fail(joined.error());
  if (!joined->needs_opening) return OpenedFile{OpenFileRef(this, joined->file), true};
  auto base = OpenBase(*joined->file, wants_write);
  if (!base) {
    CancelOpen(joined->file);
    return Fail(base.error());
  }
  const bool keeps_pages = base->keeps_pages;
  FinishOpen(joined->file, std::move(*base));
  return OpenedFile{OpenFileRef(this, joined->file), keeps_pages};
}

Result<OpenFileRef> OpenFileTable::OpenNew(const InodeRef& inode, UniqueFd fd,
                                           const struct stat& base) {
  Result<FilePtr> file = Fail(EEXIST);
  {
    const MutexLock lock(mutex_);
    if (!files_.contains(inode->id())) file = AddFile(inode);
  }
  if (!file) return Fail(file.error());
  auto opened = OpenBaseWith(**file, std::move(fd), base, true, true);
  if (!opened) {
    CancelOpen(*file);
    return Fail(opened.error());
  }
  FinishOpen(*file, std::move(*opened));
  return OpenFileRef(this, *file);
}

OpenFileRef OpenFileTable::Find(const InodeRef& inode) {
  const MutexLock lock(mutex_);
  const auto found = files_.find(inode->id());
  if (found == files_.end() || found->second->state_ == OpenFile::State::kOpening) return {};
  ++found->second->user_count_;
  ++found->second->open_count_;
  return OpenFileRef(this, found->second);
}

Result<OpenFileTable::Joined> OpenFileTable::Join(const InodeRef& inode, bool wants_write) {
  const MutexLock lock(mutex_);
  while (true) {
    const auto found = files_.find(inode->id());
    if (found == files_.end()) {
      auto file = AddFile(inode);
      if (!file) return Fail(file.error());
      return Joined{std::move(*file), true};
    }
    const FilePtr& file = found->second;
    if (file->state_ == OpenFile::State::kOpening || (wants_write && file->is_reopening_)) {
      changed_.Wait(mutex_);
      continue;
    }
    ++file->user_count_;
    ++file->open_count_;
    // Opened for reading when it could not be written; perhaps now it can.
    const bool needs_reopening = wants_write && !file->is_writable();
    file->is_reopening_ = needs_reopening;
    return Joined{file, needs_reopening};
  }
}

Result<OpenFileTable::FilePtr> OpenFileTable::AddFile(const InodeRef& inode) {
  if (!names_.inodes().SetOpen(inode)) return Fail(ESTALE);
  auto file = std::make_shared<OpenFile>(names_, inode);
  files_.emplace(inode->id(), file);
  return file;
}

Result<OpenFileTable::OpenedBase> OpenFileTable::OpenBase(OpenFile& file, bool wants_write) {
  constexpr int kFlags = O_NOCTTY | O_NONBLOCK;  // it may have become a fifo behind our back
  const bool may_write = !names_.store().read_only();
  if (wants_write && !may_write) return Fail(EROFS);
  bool is_writable = may_write;
  Result<UniqueFd> fd = Fail(EROFS);
  {
    const SharedLock lock(names_.lock);
    if (may_write) fd = names_.OpenBase(file.inode_, O_RDWR | kFlags);
    if (!fd && !wants_write && IsReadOnlyError(ErrnoOf(fd.error()))) {
      fd = names_.OpenBase(file.inode_, O_RDONLY | kFlags);
      is_writable = false;
    }
  }
  if (!fd) return Fail(fd.error());
  {
    // Whoever changes the times of the base, because it was closed, does so first.
    const MutexLock place_lock(file.inode_->place_mutex);
  }
  const auto base = names_.store().ops().Stat(fd->get());
  if (!base) return Fail(base.error());
  auto opened = OpenBaseWith(file, std::move(*fd), *base, is_writable, false);
  if (!opened || opened->keeps_pages) return opened;
  if (!MustBeLookedUp(file, wants_write)) {
    file.has_doubtful_size = writeback_;  // else it takes the one that it is told
    return opened;
  }
  names_.inodes().DisplaceAtOpen(file.inode_);
  return Fail(ESTALE);
}

// Of a file that was changed behind the mount the kernel would keep the size, and
// writes would go to the old end: it looks the name up once more, and finds a new
// inode. Who only reads and looked it up just for that gets the size of a moment ago, or
// he could not open what somebody else appends to all the time.
bool OpenFileTable::MustBeLookedUp(const OpenFile& file, bool wants_write) {
  const bool is_open_already = file.content() || file.raw_fd();
  if (!writeback_ || is_open_already) return false;
  return wants_write || !names_.inodes().IsOpenedAgain(file.inode_);
}

// `base`: what `fd` is open on, as it was just now.
Result<OpenFileTable::OpenedBase> OpenFileTable::OpenBaseWith(OpenFile& file, UniqueFd fd,
                                                              const struct stat& base,
                                                              bool is_writable, bool is_new) {
  OpenedBase opened{.content = nullptr,
                    .raw_fd = nullptr,
                    .is_writable = is_writable,
                    .keeps_pages = names_.inodes().MayKeepPages(file.inode_, base),
                    .stamp = StampOf(base)};
  if (!file.is_gzip()) {
    opened.raw_fd = std::make_shared<const UniqueFd>(std::move(fd));
    return opened;
  }
  auto content =
      OpenContent(names_.store(), std::move(fd), base, is_writable, is_new, file.place_);
  if (!content) return Fail(content.error());
  const auto told_bytes = names_.inodes().KnownPlainBytes(file.inode_, base);
  if (!is_new && told_bytes && *told_bytes != (*content)->plain_bytes()) {
    names_.inodes().Displace(file.inode_);
    return Fail(ESTALE);
  }
  opened.content = std::move(*content);
  return opened;
}

void OpenFileTable::FinishOpen(const FilePtr& file, OpenedBase base) {
  {
    const MutexLock lock(file->mutex_);
    file->content_.swap(base.content);
    file->raw_fd_.swap(base.raw_fd);
    file->is_writable_ = base.is_writable;
    file->opened_stamp_ = base.stamp;
  }
  {
    const MutexLock lock(mutex_);
    file->state_ = OpenFile::State::kOpen;
    file->is_reopening_ = false;
  }
  changed_.NotifyAll();
}

void OpenFileTable::CancelOpen(const FilePtr& file) {
  bool was_open;
  {
    const MutexLock lock(mutex_);
    was_open = file->state_ == OpenFile::State::kOpen;
    file->is_reopening_ = false;
    if (!was_open) {
      files_.erase(file->inode_->id());
      names_.inodes().SetNotOpened(file->inode_);
    }
  }
  changed_.NotifyAll();
  if (was_open) Release(file);
}

void OpenFileTable::Release(const FilePtr& file) {
  {
    const MutexLock lock(mutex_);
    if (--file->user_count_ > 0) return;
  }
  CloseUnused(file);
}

void OpenFileTable::CloseUnused(const FilePtr& file) {
  uint64_t open_count;
  {
    const MutexLock lock(mutex_);
    // The settler closes it when it is through; until then it may still have
    // the base's times to set.
    if (file->user_count_ > 0 || file->is_queued_) return;
    open_count = file->open_count_;
  }
  const auto content = file->content();
  if (!content || content->IsSettled()) {
    Drop(file, open_count, false);
    return;
  }
  {
    const MutexLock lock(mutex_);
    if (file->user_count_ > 0 || file->is_queued_) return;
    file->is_queued_ = true;
  }
  if (settler_.Add(file)) return;
  if (!SettleUnused(file)) settler_.AddLater(file);
}

bool OpenFileTable::SettleUnused(const FilePtr& file) {
  const auto content = file->content();
  const auto settled = content->Settle();
  // It stays in the table, for SettleAll.
  if (!settled && names_.store().is_hurried()) return false;
  if (!settled) {
    spdlog::error("{}: not settled: {}", names_.DescribePlace(file->inode_),
                  settled.error().message());
    if (MayPass(ErrnoOf(settled.error()))) return false;
  }
  uint64_t open_count;
  {
    const MutexLock lock(mutex_);
    file->is_queued_ = false;
    if (file->user_count_ > 0) return true;  // the last of them closes it
    open_count = file->open_count_;
  }
  if (settled && !content->IsSettled()) {
    CloseUnused(file);  // used and left again meanwhile
  } else {
    Drop(file, open_count, !settled);
  }
  return true;
}

bool OpenFileTable::WasChangedOutside(const OpenFile& file) const {
  if (const auto content = file.content()) {
    const Result<void> fits = content->CheckFit();
    return !fits && ErrnoOf(fits.error()) == ESTALE;
  }
  const auto raw_fd = file.raw_fd();
  if (!raw_fd || file.change_time_ns() != 0) return false;
  const auto base = names_.store().ops().Stat(raw_fd->get());
  const MutexLock lock(file.mutex_);
  // Whoever changes it here says so first.
  return base && !HaveSameContents(file.opened_stamp_, StampOf(*base)) &&
         file.change_time_ns() == 0;
}

bool OpenFileTable::AdoptRawChange(OpenFile& file) const {
  if (!WasChangedOutside(file)) return false;
  const auto base = names_.store().ops().Stat(file.raw_fd()->get());
  if (!base) return false;
  const MutexLock lock(file.mutex_);
  const bool is_first = !HaveSameContents(file.opened_stamp_, StampOf(*base));
  file.opened_stamp_ = StampOf(*base);
  return is_first;
}

// Removes the file if nobody has come since `open_count` was read.
void OpenFileTable::Drop(const FilePtr& file, uint64_t open_count, bool is_in_doubt) {
  const auto content = file->content();
  const auto raw_fd = file->raw_fd();
  // Nothing of it may reach the base when somebody opens that anew.
  if (content && is_in_doubt) content->Abandon();
  const auto base = content ? content->StatBase() : names_.store().ops().Stat(raw_fd->get());
  is_in_doubt |= file->has_doubtful_size;
  // After that: what is changed from here on does not have these attributes.
  if (base && !is_in_doubt && WasChangedOutside(*file)) {
    names_.inodes().Displace(file->inode_);
    is_in_doubt = true;
  }
  const uint64_t plain_bytes = content ? content->plain_bytes() : base ? base->st_size : 0;
  const MutexLock lock(mutex_);
  if (file->user_count_ > 0 || file->is_queued_ || file->open_count_ != open_count) return;
  const auto found = files_.find(file->inode_->id());
  if (found == files_.end() || found->second != file) return;
  files_.erase(found);
  if (base && !is_in_doubt) {
    names_.inodes().SetClosed(file->inode_, *base, plain_bytes);
  } else {
    names_.inodes().SetClosedInDoubt(file->inode_);
  }
}

Result<void> OpenFileTable::SettleAll() {
  std::vector<OpenFileRef> all;
  {
    const MutexLock lock(mutex_);
    for (const auto& [id, file] : files_) {
      if (file->state_ == OpenFile::State::kOpening) continue;
      ++file->user_count_;
      ++file->open_count_;
      all.emplace_back(this, file);
    }
  }
  Result<void> first_error;
  for (const OpenFileRef& file : all) {
    const auto content = file->content();
    if (!content || content->IsSettled()) continue;
    auto settled = content->Settle();
    if (!settled && ErrnoOf(settled.error()) == ECANCELED) {
      const auto synced = content->Sync();
      if (!synced) settled = synced;
    }
    const bool is_free = first_error || ErrnoOf(first_error.error()) == ECANCELED;
    if (!settled && is_free) first_error = settled;
  }
  return first_error;
}

std::vector<NodeId> OpenFileTable::OpenIds() const {
  const MutexLock lock(mutex_);
  std::vector<NodeId> ids;
  for (const auto& [id, file] : files_) ids.push_back(id);
  return ids;
}

size_t OpenFileTable::open_count() const {
  const MutexLock lock(mutex_);
  return files_.size();
}

size_t OpenFileTable::unsettled_count() const {
  const MutexLock lock(mutex_);
  size_t count = 0;
  for (const auto& [id, file] : files_) {
    const auto content = file->content();
    if (content && !content->IsSettled()) ++count;
  }
  return count;
}

}  // namespace gzipfs
