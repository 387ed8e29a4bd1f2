// Appending to and cutting a base file. Where its index comes from is in
// base_file_index.cc, reading in base_file_read.cc.
#include "fs/store/base_file.h"

#include <algorithm>

#include "fs/sys/privileges.h"

namespace gzipfs {

// A file of one group, whose short tail does not count its members, gets them
// counted, so that the group and the short tail can live on.
Result<void> BaseFile::ReopenGroup() {
  std::optional<MemberGroup> group;
  uint64_t before = 0;
  {
    MutexLock lock(mutex_);
    if (!index_.IsOneClosedGroup() || index_.plain_bytes() == 0) return {};
    group = index_.GroupAt(0);
    before = index_id_;
  }
  const Result<MemberList> members = WalkMembers(*group);
  if (!members) {
    if (members.error().category() == DataErrorCategory()) GZIPFS_TRY(Rescan(before, *group));
    GZIPFS_TRY(CheckSize());
    return index_id() == before ? Fail(members.error()) : Result<void>();
  }
  MutexLock lock(mutex_);
  index_.ReopenLastGroup((*members)->size());
  return {};
}

// Were the cut lost in a power cut and what is written behind it were not, the rest
// of the disk's block would be of one and the other: neither the file from before
// the cut nor the one after it could be had.
Result<void> BaseFile::SyncCut() {
  if (cut_error_) return Fail(cut_error_);
  if (!std::exchange(has_loose_cut_, false)) return {};
  const Result<void> synced = store_.ops().SyncData(fd_->get());
  if (!synced) cut_error_ = synced.error();
  return synced;
}

// Before the first append: what is left of a torn write goes, as does the tail
// of an empty file.
Result<void> BaseFile::PrepareAppend() {
  GZIPFS_TRY(CheckUnchanged());
  GZIPFS_TRY(CheckSize());
  GZIPFS_TRY(SyncCut());
  GZIPFS_TRY(ReopenGroup());
  // Found to have foreign members after it was opened.
  if (!is_conforming_) return Fail(ESTALE);
  std::error_code rest;
  uint64_t end = 0;
  bool has_dead_start = false;
  {
    MutexLock lock(mutex_);
    rest = rest_;
    if (index_.plain_bytes() == 0) {
      // No tail is believed that says so of a file with members before it.
      has_dead_start = index_.file_bytes() > 0;
      index_ = MemberIndex();
    }
    end = index_.file_bytes();
  }
  if (rest || has_dead_start) {
    const KeptPrivileges kept(fd_->get(), &watch_->privileges(), may_have_privileges_);
    const BaseWatch::OwnChange change(*watch_, fd_->get());
    GZIPFS_TRY(store_.ops().Truncate(fd_->get(), end));
    has_loose_cut_ = end > 0;
    GZIPFS_TRY(SyncCut());
  }
  MutexLock lock(mutex_);
  rest_ = {};
  return {};
}

// A write that failed half-way leaves a torn tail, which is legal but would be
// in the way of the next one.
Result<void> BaseFile::WriteAtEnd(std::span<iovec> parts, uint64_t byte_count) {
  const uint64_t end = file_bytes();
  if (end + byte_count > static_cast<uint64_t>(INT64_MAX)) return Fail(EFBIG);
  const KeptPrivileges kept(fd_->get(), &watch_->privileges(), may_have_privileges_);
  may_have_privileges_ = kept.has_any();
  const BaseWatch::OwnChange change(*watch_, fd_->get());
  store_.NoteBaseWrite();
  Result<void> written = store_.ops().WriteVectorAt(fd_->get(), end, parts);
  if (!written) {
    (void)store_.ops().Truncate(fd_->get(), end);
    has_loose_cut_ = end > 0;
  }
  return written;
}

Result<void> BaseFile::Append(std::span<const EncodedBlock* const> blocks, bool with_tail) {
  MutexLock change_lock(change_mutex_);
  GZIPFS_TRY(PrepareAppend());
  const auto add_to = [blocks](MemberIndex& index) {
    for (const EncodedBlock* block : blocks) {
      for (const EncodedMember& member : block->members) {
        index.Append(member.plain_bytes, member.member_bytes);
      }
    }
  };
  std::vector<iovec> parts;
  uint64_t byte_count = 0;
  const auto add_part = [&](const std::vector<std::byte>& bytes) {
    parts.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
    byte_count += bytes.size();
  };
  for (const EncodedBlock* block : blocks) add_part(block->bytes);
  std::vector<std::byte> tail;
  if (with_tail) {
    // The tail must be known before the write; the index changes only after it.
    MemberIndex index;
    {
      MutexLock lock(mutex_);
      index = index_;
    }
    add_to(index);
    if (index.plain_bytes() > kMaxPlainBytes) return Fail(EFBIG);
    tail = index.EncodeTail(profile_, block_bytes_);
    add_part(tail);
  }
  GZIPFS_TRY(WriteAtEnd(parts, byte_count));
  MutexLock lock(mutex_);
  add_to(index_);
  if (with_tail) index_.AppendTail(tail.size());
  return {};
}

Result<void> BaseFile::AppendRepeated(const EncodedBlock& block, uint64_t count) {
  constexpr uint64_t kBatch = 8192;  // of about a hundred bytes each
  std::vector<std::byte> bytes;
  const uint64_t batch_count = std::min(count, kBatch);
  bytes.reserve(batch_count * block.bytes.size());
  for (uint64_t i = 0; i < batch_count; ++i) {
    bytes.insert(bytes.end(), block.bytes.begin(), block.bytes.end());
  }
  MutexLock change_lock(change_mutex_);
  GZIPFS_TRY(PrepareAppend());
  while (count > 0) {
    const uint64_t now = std::min(count, batch_count);
    iovec part{bytes.data(), now * block.bytes.size()};
    GZIPFS_TRY(WriteAtEnd(std::span(&part, 1), part.iov_len));
    MutexLock lock(mutex_);
    for (uint64_t i = 0; i < now; ++i) {
      for (const EncodedMember& member : block.members) {
        index_.Append(member.plain_bytes, member.member_bytes);
      }
    }
    count -= now;
  }
  return {};
}

// Copies members that lie side by side.
Result<void> BaseFile::CopyRun(BaseFile& source, std::span<const MemberInfo> run) {
  const uint64_t begin = run.front().file_offset;
  const uint64_t byte_count = run.back().file_end() - begin;
  const uint64_t end = file_bytes();
  if (end + byte_count > static_cast<uint64_t>(INT64_MAX)) return Fail(EFBIG);
  Result<void> copied;
  {
    const BaseWatch::OwnChange change(*watch_, fd_->get());
    store_.NoteBaseWrite();
    copied = store_.ops().CopyRange(source.fd(), begin, fd_->get(), end, byte_count);
  }
  // Bytes of another file at the old places would be no members.
  if (copied) copied = source.CheckUnchanged();
  if (!copied) {
    const BaseWatch::OwnChange change(*watch_, fd_->get());
    (void)store_.ops().Truncate(fd_->get(), end);
    has_loose_cut_ = end > 0;
    return copied;
  }
  MutexLock lock(mutex_);
  for (const MemberInfo& member : run) index_.Append(member.plain_bytes, member.member_bytes);
  return {};
}

Result<void> BaseFile::AppendCopied(BaseFile& source, std::span<const MemberInfo> members) {
  MutexLock change_lock(change_mutex_);
  GZIPFS_TRY(PrepareAppend());
  while (!members.empty()) {
    size_t count = 1;
    while (count < members.size() &&
           members[count - 1].file_end() == members[count].file_offset) {
      ++count;
    }
    GZIPFS_TRY(CopyRun(source, members.first(count)));
    members = members.subspan(count);
  }
  return {};
}

Result<void> BaseFile::AppendTail() {
  MutexLock change_lock(change_mutex_);
  if (ends_with_tail()) return {};
  GZIPFS_TRY(PrepareAppend());
  std::vector<std::byte> tail;
  {
    MutexLock lock(mutex_);
    if (index_.plain_bytes() > kMaxPlainBytes) return Fail(EFBIG);
    tail = index_.EncodeTail(profile_, block_bytes_);
  }
  iovec part{tail.data(), tail.size()};
  GZIPFS_TRY(WriteAtEnd(std::span(&part, 1), tail.size()));
  MutexLock lock(mutex_);
  index_.AppendTail(tail.size());
  return {};
}

Result<bool> BaseFile::IsBoundary(uint64_t plain_offset) {
  if (plain_offset == 0 || plain_offset == plain_bytes()) return true;
  for (;;) {
    const uint64_t before = index_id();
    Result<std::vector<MemberInfo>> members = Members(plain_offset, plain_offset + 1);
    if (!members) return Fail(members.error());
    const bool is_one = !members->empty() && members->front().plain_offset == plain_offset;
    if (is_one) GZIPFS_TRY(VerifyFrom(plain_offset));
    if (index_id() == before) return is_one;
  }
}

Result<void> BaseFile::CutAt(uint64_t plain_offset) {
  uint64_t file_offset = 0;
  std::vector<MemberInfo> kept;
  if (plain_offset > 0) {
    GZIPFS_TRY(VerifyFrom(plain_offset));
    Result<std::vector<MemberInfo>> at = Members(plain_offset, plain_offset + 1);
    if (!at) return Fail(at.error());
    if (at->empty() || at->front().plain_offset != plain_offset) return Fail(EINVAL);
    file_offset = at->front().file_offset;
    Result<MemberList> group = WalkMembers(*Lookup(plain_offset));
    if (!group) return Fail(group.error());
    for (const MemberInfo& member : **group) {
      if (member.file_offset < file_offset) kept.push_back(member);
    }
  }
  GZIPFS_TRY(CheckUnchanged());
  const KeptPrivileges kept_privileges(fd_->get(), &watch_->privileges());
  const BaseWatch::OwnChange change(*watch_, fd_->get());
  GZIPFS_TRY(store_.ops().Truncate(fd_->get(), file_offset));
  {
    MutexLock change_lock(change_mutex_);
    has_loose_cut_ = file_offset > 0;
  }
  base_id_ = store_.cache().NewBaseId();
  const auto is_kept = [file_offset](const MemberInfo& member) {
    return member.file_offset < file_offset;
  };
  MutexLock lock(mutex_);
  index_id_ = store_.cache().NewBaseId();
  walks_.Clear();
  salvages_.clear();
  rest_ = {};
  std::vector<MemberInfo> foreign;
  std::copy_if(foreign_->begin(), foreign_->end(), std::back_inserter(foreign), is_kept);
  foreign_ = std::make_shared<const std::vector<MemberInfo>>(std::move(foreign));
  if (file_offset == 0) {
    is_conforming_ = true;
    index_state_ = IndexState::kProven;
    wrong_plain_bytes_.reset();
  }
  index_.CutAt(file_offset);
  for (const MemberInfo& member : kept) index_.Append(member.plain_bytes, member.member_bytes);
  return {};
}

Result<void> BaseFile::WithAttributes(const std::function<Result<void>(int fd)>& action) {
  MutexLock change_lock(change_mutex_);
  may_have_privileges_ = true;
  return action(fd_->get());
}

Result<void> BaseFile::SetTimes(const timespec times[2]) {
  GZIPFS_TRY(CheckUnchanged());
  const BaseWatch::OwnChange change(*watch_, fd_->get());
  return store_.ops().SetTimes(fd_->get(), times);
}

Result<BaseRest> BaseFile::Rest() {
  return ClassifyRest(foreign_source_, file_bytes(), rest(), is_conforming_);
}

}  // namespace gzipfs
