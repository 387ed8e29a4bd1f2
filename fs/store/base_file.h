// One open base file: its descriptor, its index, and the decoding of its
// members.
//
// A BaseFile only ever grows at its end or is cut; a checkpoint makes a new
// one. Reading is thread-safe and runs beside one appender. Cutting excludes
// readers: the Content's base lock sees to that.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/base/mutex.h"
#include "codec/member.h"
#include "codec/member_index.h"
#include "fs/store/base_rest.h"
#include "fs/store/foreign_reader.h"
#include "fs/store/store.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

using MemberList = std::shared_ptr<const std::vector<MemberInfo>>;

class BaseFile {
 public:
  // Reads the layout of `fd`, which the BaseFile then owns.
  static Result<std::unique_ptr<BaseFile>> Open(Store& store, UniqueFd fd);
  ~BaseFile();

  int fd() const { return fd_.get(); }
  Profile profile() const { return profile_; }
  uint64_t block_bytes() const { return block_bytes_; }
  // False when some member is foreign: nothing may be appended, the first
  // write converts the file.
  bool is_conforming() const { return is_conforming_; }
  // Why the bytes behind the last member are no member; empty: there are none.
  std::error_code rest() const EXCLUDES(mutex_);
  uint64_t plain_bytes() const EXCLUDES(mutex_);
  uint64_t file_bytes() const EXCLUDES(mutex_);
  bool ends_with_tail() const EXCLUDES(mutex_);

  // Decodes [plain_offset, plain_offset + out.size()), which must be within
  // plain_bytes(). CRC32 and ISIZE of every member it needs are checked.
  Result<void> Read(uint64_t plain_offset, std::span<std::byte> out);

  // The group that holds `plain_offset`; nullopt behind the end.
  std::optional<MemberGroup> FindGroup(uint64_t plain_offset) const EXCLUDES(mutex_);
  // The members that hold plain bytes of [begin, end), in order, those that
  // reach in from outside included.
  Result<std::vector<MemberInfo>> Members(uint64_t plain_begin, uint64_t plain_end);

  // Appends encoded members behind the last byte, and a tail if asked to, in
  // one write; on failure the file is cut back to where it ended. One thread
  // at a time.
  Result<void> Append(std::span<const EncodedBlock* const> blocks, bool with_tail);
  // Appends members that repeat `block` `count` times (a hole).
  Result<void> AppendRepeated(const EncodedBlock& block, uint64_t count);
  // Appends a tail unless one is there. One thread at a time.
  Result<void> AppendTail();

  // Whether a member begins or the file ends at `plain_offset`.
  Result<bool> IsBoundary(uint64_t plain_offset);
  // Cuts the file to the members before `plain_bytes`, a member boundary.
  // REQUIRES: no reader, no appender.
  Result<void> CutAt(uint64_t plain_bytes);
  // What the bytes behind the last readable member are.
  Result<BaseRest> Rest();

 private:
  struct CachedWalk {
    MemberGroup group;
    MemberList members;
  };

  BaseFile(Store& store, UniqueFd fd, FileLayout layout, uint64_t file_bytes);
  Result<MemberList> MembersOf(const MemberGroup& group);
  Result<void> ReadMembers(std::span<const MemberInfo> members, uint64_t plain_offset,
                           std::span<std::byte> out);
  Result<void> PrepareAppend();
  Result<void> WriteAtEnd(std::span<iovec> parts, uint64_t byte_count);

  Store& store_;
  const UniqueFd fd_;
  const Profile profile_;
  const uint64_t block_bytes_;
  std::atomic<bool> is_conforming_;
  std::vector<MemberInfo> foreign_;  // changed by CutAt alone, which excludes readers
  std::atomic<uint64_t> base_id_;

  mutable Mutex mutex_;
  MemberIndex index_ GUARDED_BY(mutex_);
  std::error_code rest_ GUARDED_BY(mutex_);
  std::list<CachedWalk> walks_ GUARDED_BY(mutex_);  // most recently used first

  FileSource foreign_source_;
  ForeignReader foreign_reader_;  // a tail may also stand behind members it does not know
};

}  // namespace gzipfs
