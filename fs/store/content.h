// The content of one gzip base file while it is open: plain bytes in, plain
// bytes out, members in the store.
//
// A Content is in one of two modes. In append mode the base is only ever
// appended to: full blocks behind its end go to the compressors while the
// writer goes on, and their members are appended in order. In logged mode
// something before the base's end has changed (or blocks had to leave memory
// out of order): the base is frozen and the changes wait, in memory and in the
// log, for a checkpoint, which gives a complete new base.
//
//            overwrite, cut inside a member, spill
//   append  ---------------------------------------->  logged
//           <----------------------------------------
//            checkpoint done, or truncated to nothing
//
// A failed sync or checkpoint makes the error sticky: it is reported by every
// flush and sync until the Content goes.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "codec/base/result.h"
#include "fs/store/store.h"

namespace gzipfs {

// Where a base file is in the store's name space. Implemented by the inode,
// because files are renamed, linked and unlinked while they are open.
class BasePlace {
 public:
  virtual ~BasePlace() = default;

  // Runs `action` with a directory and a name in it at which the base is, and
  // keeps that so (no rename, no unlink) until `action` returns. ENOENT when
  // the base has no name any more. Called without any Content lock held.
  virtual Result<void> WithPlace(
      const std::function<Result<void>(int dir_fd, const char* name)>& action) = 0;

  // Whether the base has a name, as far as was told to the place: false only when
  // the last one was removed through the mount. Called without a lock that is taken
  // while a place is held.
  virtual bool HasName() { return false; }

  // The name, for messages to people.
  virtual std::string Describe() const { return "(a file)"; }

  // Counts the changes of the names under which the base is found; the count up
  // to which they are known to be durable. 0: of nothing that is known.
  virtual uint32_t entry_change_count() const { return 1; }
  virtual uint32_t durable_entry_change_count() const { return 0; }
  virtual void SetEntryDurable(uint32_t change_count) { static_cast<void>(change_count); }

  // The name now leads to another base (after a checkpoint replaced it).
  // Called from inside `action` of WithPlace.
  virtual void BaseReplaced(const struct stat& new_base) = 0;
};

// What Seek looks for: SEEK_DATA and SEEK_HOLE of lseek(2).
enum class SeekTo { kData, kHole };

// Who brings the bytes of a write.
enum class WriteSource : uint8_t {
  kProgram,  // waits for the answer before it goes on: the workers compress meanwhile
  kKernel,   // its writeback cache, several requests at a time: each thread that serves
             // one may as well compress what it was given
};

// Thread-safe. Lives as long as somebody has the file open or it is not
// settled; one per base inode.
class Content {
 public:
  virtual ~Content() = default;

  // Plain bytes from `plain_offset` on; fewer than asked for only at the end
  // of the file. Damaged members are EIO for the reads that need them.
  virtual Result<size_t> Read(uint64_t plain_offset, std::span<std::byte> out) = 0;

  // Takes over all of `bytes`. Waits while too much is dirty. EROFS, EFBIG,
  // or the sticky error.
  virtual Result<void> Write(uint64_t plain_offset, std::span<const std::byte> bytes,
                             WriteSource source = WriteSource::kProgram) = 0;

  // Appends at the end as it is at that instant; returns where that was.
  virtual Result<uint64_t> WriteAtEnd(std::span<const std::byte> bytes) = 0;

  // Sets the plain size; a longer file gets a hole of zeros.
  virtual Result<void> Truncate(uint64_t plain_bytes) = 0;

  // As Truncate, but a file that is long enough already stays as it is.
  virtual Result<void> Extend(uint64_t plain_bytes) = 0;

  // Makes the bytes that the file has of [plain_begin, plain_end) zeros; with `may_grow` it
  // is at least `plain_end` long afterwards. Of whole blocks only their numbers are
  // kept. Waits for a checkpoint that is under way. EROFS, EFBIG, or the sticky error.
  virtual Result<void> Zero(uint64_t plain_begin, uint64_t plain_end, bool may_grow) = 0;

  // Appends plain bytes [source_offset, source_offset + byte_count) of `source` (perhaps
  // this file) at `plain_offset` by copying their members as they are; returns how many
  // of them it did. 0 where that cannot be: the offsets are no multiples of the block
  // size, `plain_offset` is before the end of this file or that is not in append mode,
  // the next bytes of `source` are not in its base or their members not of this file's
  // form. Otherwise as Write. Damaged members stay damaged.
  virtual Result<uint64_t> CopyMembers(Content& source, uint64_t source_offset,
                                       uint64_t plain_offset, uint64_t byte_count) = 0;

  // The first offset from `plain_offset` on where data, or a hole, begins. A hole is all
  // zeros; zeros may count as data. ENXIO behind the end, and for data where none
  // follows; a hole is at the end of every file.
  virtual Result<uint64_t> Seek(uint64_t plain_offset, SeekTo what) = 0;

  // close(2) was called on a handle. In append mode everything is in the base
  // when this returns, with its tail; in logged mode nothing is written.
  virtual Result<void> Flush() = 0;
  // The same while others have it open for writing. A hole in append mode may be for them
  // to fill: what was written behind it stays where it is until a later flush, Sync or
  // Settle, unless the disk is nearly full.
  virtual Result<void> FlushBesideWriters() = 0;

  // fsync(2), fdatasync(2): durable when this returns, the base's directory
  // entry included.
  virtual Result<void> Sync() = 0;

  // Brings everything into the base, by a checkpoint if need be. Called after
  // the last release and by `gzipfs sync`.
  virtual Result<void> Settle() = 0;
  // After a crash: cuts off what is left of a torn write at the base's end and
  // puts a tail there, if it was ours and has none. Changes no plain byte.
  virtual Result<void> CompleteEnd() = 0;
  // Gives up what is not settled: the base may be opened anew after this. Every
  // call fails from now on.
  virtual void Abandon() = 0;
  // ESTALE when somebody else has changed the base since it was opened: then for
  // good, for all who have it open. Reads and all that brings bytes to the base
  // look for themselves.
  virtual Result<void> CheckBase() = 0;
  // As CheckBase, and ESTALE too when plain_bytes() turned out to be wrong, because
  // the base's tail lies. Whoever opens the file anew after this finds it as it is,
  // and has it for himself: this content changes nothing any more.
  virtual Result<void> CheckFit() = 0;
  // True when the base is the whole truth.
  virtual bool IsSettled() const = 0;

  // The logical size, and the time of the last logical modification if it is
  // newer than, or must survive later writes to, the base.
  virtual uint64_t plain_bytes() const = 0;
  virtual std::optional<timespec> pending_mtime() const = 0;

  // Times the user set (utimensat) or the kernel keeps (writeback cache): they
  // go to the base at once and again after every later write to it. nullopt
  // leaves a time alone.
  virtual Result<void> SetTimes(std::optional<timespec> atime, std::optional<timespec> mtime) = 0;

  // stat(2) of the base itself (owner, mode, stored blocks, links).
  virtual Result<struct stat> StatBase() const = 0;
  // The base's capabilities (kCapabilityXattr); ENODATA when it has none. Neither
  // these nor the set-id bits of StatBase are missing while the base is written to.
  virtual Result<std::vector<std::byte>> Capability() const = 0;
  // The base's descriptor, for fchmod, fchown and xattrs; valid during `action`.
  virtual Result<void> WithBaseFd(const std::function<Result<void>(int fd)>& action) = 0;
};

// Opens the content of the base file `fd` (opened read-only, or read-write
// when it may be written). The descriptor goes to the Content. `place` must
// outlive it. `is_new`: the file was created just now, by this mount.
// `base`: its attributes as they were just now, read here when not given.
// EIO (with a line in the log) when the file is damaged such that its plain
// size cannot be told.
Result<std::shared_ptr<Content>> OpenContent(Store& store, UniqueFd fd, const struct stat& base,
                                             bool is_writable, bool is_new, BasePlace& place);
Result<std::shared_ptr<Content>> OpenContent(Store& store, UniqueFd fd, bool is_writable,
                                             bool is_new, BasePlace& place);

// The plain size of a base file that is not open, whose attributes are `base`:
// from its tail by one read, or by a scan where there is none.
Result<uint64_t> ReadPlainSize(Store& store, int fd, const struct stat& base);

}  // namespace gzipfs
