// One open base file: its descriptor, its index, and the decoding of its
// members.
//
// A BaseFile only ever grows at its end or is cut; a checkpoint makes a new
// one. Reading is thread-safe and runs beside one appender. Cutting excludes
// readers: the Content's base lock sees to that.
//
// The index is *proven* when the members were looked at, and *claimed* when it
// comes from a tail, because looking costs a read for each member. A claimed
// index is held against the members group by group, as they are needed. Where
// it contradicts them the file is scanned, once, and the index found takes its
// place: the tail cost time, and the reads go on with the right bytes. What that
// cannot mend:
//  - A read believes the groups before the one it needs. A tail with all its
//    checksums right that shifts them, and fits where it is looked at, is seen
//    through by a read from front to back and by Verify. What is cut off is
//    looked at in any case.
//  - The plain size that the tail tells has been told to others (stat asks the
//    tail alone; the kernel goes by it). Where it is wrong it stays plain_bytes()
//    until somebody who has set that right says so (AcceptSize). Meanwhile reads
//    give right bytes as far as both sizes go and fail where they end, because
//    an end that comes too early would look like any other, and all that would
//    change the file fails with ESTALE.
//  - A member whose header or ISIZE is damaged looks like a contradiction, too.
//    What a scan finds then is less than the tail knows: that stays in use. In a
//    group with damage in it the members on both sides are read, and what is
//    between them is EIO.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/base/mutex.h"
#include "codec/member.h"
#include "codec/member_index.h"
#include "fs/store/base_rest.h"
#include "fs/store/base_watch.h"
#include "fs/store/foreign_reader.h"
#include "fs/store/store.h"
#include "fs/store/walk_cache.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

// How far the index in a file's tail is to be believed.
enum class TailTrust : uint8_t {
  kNone,  // it is held against the members before anything relies on it
  kOwn,   // this process wrote the file, from a base with a proven index
};

class BaseFile {
 public:
  // Reads the layout of `fd`, which the BaseFile then owns.
  // `watch`: that of another BaseFile of the same stored file; null for a new one.
  static Result<std::unique_ptr<BaseFile>> Open(Store& store, UniqueFd fd,
                                                TailTrust trust = TailTrust::kNone,
                                                std::shared_ptr<BaseWatch> watch = nullptr);
  // Likewise; `attributes`: those of `fd`, as they were just now.
  static Result<std::unique_ptr<BaseFile>> OpenAs(Store& store, UniqueFd fd,
                                                  const struct stat& attributes, TailTrust trust,
                                                  std::shared_ptr<BaseWatch> watch);
  ~BaseFile();

  // Whether the tail of the file with these attributes was found to lie. Open
  // does not believe it then, but for plain_bytes(). May forget, and never reads.
  // Thread-safe.
  static bool IsTailDoubted(Store& store, const struct stat& attributes);

  int fd() const { return fd_->get(); }
  // Around whatever else changes the file's size or times.
  const std::shared_ptr<BaseWatch>& watch() const { return watch_; }
  // ESTALE when somebody else has changed the file since it was opened: what is
  // known of it fits it no longer. Read, and whatever changes the file, look too.
  Result<void> CheckUnchanged() { return watch_->Check(fd()); }
  // Calls `action`, which reads or changes mode, owner or extended attributes by
  // the descriptor, while nobody writes to the file: a write keeps the privileges
  // that were there when it began (KeptPrivileges).
  Result<void> WithAttributes(const std::function<Result<void>(int fd)>& action)
      EXCLUDES(change_mutex_);
  // futimens(3). ESTALE as above.
  Result<void> SetTimes(const timespec times[2]);
  Profile profile() const { return profile_; }
  uint64_t block_bytes() const { return block_bytes_; }
  // False when some member is foreign: nothing may be appended, the first
  // write converts the file.
  bool is_conforming() const { return is_conforming_; }
  // Why the bytes behind the last member are no member; empty: there are none.
  std::error_code rest() const EXCLUDES(mutex_);
  // Why the last member, a foreign one, cannot be read to its end; empty: it can.
  std::error_code damage() const { return damage_; }
  // The size that the tail told, or the members where there is none, and what
  // was appended and cut since. Does not change because the tail turns out to lie.
  uint64_t plain_bytes() const EXCLUDES(mutex_);
  // Whether that is known to be wrong.
  bool has_wrong_size() const EXCLUDES(mutex_);
  // Makes plain_bytes() what the members have. For whoever knows that nobody
  // counts on what the tail told. False when that was right, as far as is known.
  bool AcceptSize() EXCLUDES(mutex_);
  uint64_t file_bytes() const EXCLUDES(mutex_);
  bool ends_with_tail() const EXCLUDES(mutex_);

  // Decodes [plain_offset, plain_offset + out.size()), which must be within
  // plain_bytes(). CRC32 and ISIZE of every member it needs are checked. In a
  // file whose plain_bytes() were wrong: kBadTail for what is not there, ESTALE
  // where it ends too early.
  Result<void> Read(uint64_t plain_offset, std::span<std::byte> out)
      EXCLUDES(change_mutex_, mutex_);

  // A part of the file that is one of the two.
  struct Stretch {
    uint64_t plain_end;
    bool is_hole;  // nothing but zeros; false: they were not found to be
  };
  // What begins at `plain_offset`, up to the end of its group at most. Reads little:
  // members of zeros are found where they are small beside nothing larger.
  Stretch StretchAt(uint64_t plain_offset) EXCLUDES(change_mutex_, mutex_);

  // Proves the index, by a walk over all members if need be. To be called
  // before what the index describes takes the base's place: from then on what
  // it has missed would be lost, and a lie seen through in the middle would put
  // bytes in the wrong place. ESTALE when plain_bytes() were wrong. A damaged
  // member is no error: it fails by itself.
  Result<void> Verify() EXCLUDES(change_mutex_, mutex_);

  // The group that holds `plain_offset`. It and all groups behind it are proven
  // first, for whoever asks is about to do without them. nullopt behind the
  // end, and where that shows that plain_bytes() were wrong.
  std::optional<MemberGroup> FindGroup(uint64_t plain_offset) EXCLUDES(change_mutex_, mutex_);
  // The members that hold plain bytes of [begin, end), in order, those that
  // reach in from outside included. ESTALE when plain_bytes() are known to be
  // wrong. Where they are more than `max_members`, the first so many, and perhaps the
  // rest of their group (kMaxWalkedMembers).
  Result<std::vector<MemberInfo>> Members(uint64_t plain_begin, uint64_t plain_end,
                                          size_t max_members = SIZE_MAX)
      EXCLUDES(change_mutex_, mutex_);

  // Appends encoded members behind the last byte, and a tail if asked to, in
  // one write; on failure the file is cut back to where it ended. One thread
  // at a time. ESTALE when plain_bytes() were wrong.
  Result<void> Append(std::span<const EncodedBlock* const> blocks, bool with_tail)
      EXCLUDES(change_mutex_, mutex_);
  // Appends members that repeat `block` `count` times (a hole).
  Result<void> AppendRepeated(const EncodedBlock& block, uint64_t count)
      EXCLUDES(change_mutex_, mutex_);
  // Appends `members` of `source` (perhaps this file) as the bytes that they are, those
  // that lie side by side at once; what is between others, dead tails, stays behind.
  // On failure those that were copied before it stay. ESTALE also when `source` was
  // changed by somebody else meanwhile. REQUIRES: they are in plain order, of this
  // file's profile, and no larger than its blocks; `source` is not cut meanwhile.
  Result<void> AppendCopied(BaseFile& source, std::span<const MemberInfo> members)
      EXCLUDES(change_mutex_, mutex_);
  // Appends a tail unless one is there. One thread at a time.
  Result<void> AppendTail() EXCLUDES(change_mutex_, mutex_);

  // Whether a member begins or the file ends at `plain_offset`. If so, what is
  // behind it is proven, as by FindGroup.
  Result<bool> IsBoundary(uint64_t plain_offset) EXCLUDES(change_mutex_, mutex_);
  // Cuts the file to the members before `plain_bytes`, a member boundary.
  // REQUIRES: no reader, no appender.
  Result<void> CutAt(uint64_t plain_bytes) EXCLUDES(change_mutex_, mutex_);
  // What the bytes behind the last readable member are.
  Result<BaseRest> Rest();

 private:
  enum class IndexState : uint8_t {
    kClaimed,  // from a tail, not looked at as a whole
    kProven,   // as the members are
    kDamaged,  // contradicts members that cannot be walked to the end: the best there is
  };
  using ForeignList = std::shared_ptr<const std::vector<MemberInfo>>;
  struct Salvage {
    MemberGroup group;
    MemberList members;
  };

  BaseFile(Store& store, UniqueFd fd, FileLayout layout, const struct stat& attributes,
           TailTrust trust, std::shared_ptr<BaseWatch> watch);

  // base_file_index.cc
  Result<void> VerifyFrom(uint64_t plain_offset) EXCLUDES(change_mutex_, mutex_);
  Result<void> Mend(uint64_t index_id, const MemberGroup& group)
      EXCLUDES(change_mutex_, mutex_);
  Result<void> Rescan(uint64_t index_id, const MemberGroup& group)
      REQUIRES(change_mutex_) EXCLUDES(mutex_);
  void AdoptScan(FileLayout layout) REQUIRES(change_mutex_) EXCLUDES(mutex_);
  Result<void> CheckSize() const EXCLUDES(mutex_);
  uint64_t index_id() const EXCLUDES(mutex_);

  // base_file_read.cc
  std::optional<MemberGroup> Lookup(uint64_t plain_offset) const EXCLUDES(mutex_);
  MemberList CachedMembers(const MemberGroup& group) EXCLUDES(mutex_);
  Result<MemberList> WalkMembers(const MemberGroup& group) EXCLUDES(mutex_);
  Result<MemberList> SalvageMembers(uint64_t index_id, const MemberGroup& group)
      EXCLUDES(mutex_);
  Result<MemberList> MembersOf(uint64_t index_id, const MemberGroup& group)
      EXCLUDES(change_mutex_, mutex_);
  Result<std::vector<MemberInfo>> Collect(uint64_t index_id, uint64_t plain_begin,
                                          uint64_t plain_end, size_t max_members)
      EXCLUDES(change_mutex_, mutex_);
  Result<void> CheckEnd(uint64_t plain_end) const EXCLUDES(mutex_);
  Result<void> ReadBy(uint64_t index_id, uint64_t plain_offset, std::span<std::byte> out)
      EXCLUDES(change_mutex_, mutex_);
  Result<void> ReadRuns(uint64_t index_id, std::span<const MemberInfo> members,
                        uint64_t plain_offset, std::span<std::byte> out);
  RestartsRef RestartsOf(const MemberInfo& member) const;
  Result<void> ReadMembers(std::span<const MemberInfo> members, uint64_t plain_offset,
                           std::span<std::byte> out);

  // base_file_holes.cc
  bool IsZeros(std::span<const std::byte> member, uint64_t plain_bytes) EXCLUDES(mutex_);

  // base_file.cc
  Result<void> ReopenGroup() REQUIRES(change_mutex_) EXCLUDES(mutex_);
  Result<void> PrepareAppend() REQUIRES(change_mutex_) EXCLUDES(mutex_);
  Result<void> SyncCut() REQUIRES(change_mutex_) EXCLUDES(mutex_);
  Result<void> CopyRun(BaseFile& source, std::span<const MemberInfo> run)
      REQUIRES(change_mutex_) EXCLUDES(mutex_);
  Result<void> WriteAtEnd(std::span<iovec> parts, uint64_t byte_count) REQUIRES(change_mutex_);

  Store& store_;
  const std::shared_ptr<const UniqueFd> fd_;
  const SeenMembers::OpenBase seen_base_;
  const std::shared_ptr<BaseWatch> watch_;
  const Profile profile_;
  const uint64_t block_bytes_;
  const std::error_code damage_;
  std::atomic<bool> is_conforming_;
  std::atomic<uint64_t> base_id_;

  // Held by whoever changes what the index describes, or puts another index in
  // its place: an appender must not find another one half-way through.
  // Taken before mutex_, never by a reader that finds nothing wrong.
  Mutex change_mutex_;

  // Set-id bits or capabilities that a write has to keep.
  bool may_have_privileges_ GUARDED_BY(change_mutex_) = true;
  bool has_loose_cut_ GUARDED_BY(change_mutex_) = false;  // that a power cut could undo
  std::error_code cut_error_ GUARDED_BY(change_mutex_);   // why it could not be made durable

  mutable Mutex mutex_;
  MemberIndex index_ GUARDED_BY(mutex_);
  // Another one for every index that took the place of one; part of the cache's
  // keys of foreign members, which are by plain offset.
  uint64_t index_id_ GUARDED_BY(mutex_);
  IndexState index_state_ GUARDED_BY(mutex_);
  uint64_t proven_from_ GUARDED_BY(mutex_) = ~uint64_t{0};  // a claimed one, from this plain offset
  ForeignList foreign_ GUARDED_BY(mutex_);  // by file offset, as far as the index knows them
  std::optional<uint64_t> wrong_plain_bytes_ GUARDED_BY(mutex_);  // the size that was told
  std::error_code rest_ GUARDED_BY(mutex_);
  std::vector<std::byte> zero_member_ GUARDED_BY(mutex_);  // found to hold zeros, last
  WalkCache walks_ GUARDED_BY(mutex_);
  std::list<Salvage> salvages_ GUARDED_BY(mutex_);  // of damaged groups; they have gaps

  const std::vector<RestartsRef> restarts_;  // of large foreign members, by file offset

  FileSource foreign_source_;
  ForeignReader foreign_reader_;  // a tail may also stand behind members it does not know
};

}  // namespace gzipfs
