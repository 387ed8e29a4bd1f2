// What a disk holds, the calls that change it, and what is left of them when
// the machine stops.
//
// The process dies: every call that returned is done, the last one perhaps in
// part. What it did stays, because the kernel lives on.
//
// The power goes: what a file holds and what directories hold are lost by
// different rules.
//  * File data. A write that no later sync of the file has covered is kept,
//    lost, kept up to or from a 512-byte boundary on, or has moved the file's
//    end and left zeros; each write by itself, in every combination. Sectors
//    are whole, and old bytes stay where new ones are lost. The file's size is
//    what the surviving writes make it. Where a truncation is lost, what was
//    written behind it later is lost too, because it went to other blocks; but
//    for the rest of the 4 KiB block in which the cut was.
//  * Metadata (create, link, rename, unlink, truncate) goes through a journal
//    that keeps its order, as that of ext4, xfs and btrfs: what survives is a
//    prefix of what was done. A sync of a directory makes all of it durable up
//    to then. A sync of a file makes its data, its size and its truncations
//    durable, and nothing else: not its name, though some filesystems do more.
//  * Times, owners and modes do not matter here.
// Directories are there from the beginning and stay.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/codec/test_data.h"

namespace gzipfs::crash {

using test::Buffer;

using FileId = int;  // never used twice, unlike an inode number

struct DiskOp {
  enum class Kind { kCreate, kLink, kRename, kUnlink, kTruncate, kWrite, kSyncFile, kSyncDir };
  Kind kind;
  FileId file = -1;                     // but for kSyncDir
  std::string path;                     // from the store's root; of the name that is made or goes
  std::string from = {};                // kRename: the name before
  uint64_t ino = 0;                     // kCreate
  uint64_t offset = 0;                  // kWrite; kTruncate: the new size
  std::shared_ptr<const Buffer> bytes = {};  // kWrite

  bool IsMetadata() const { return kind <= Kind::kTruncate; }
  std::string Describe() const;
};

struct DiskFile {
  uint64_t ino = 0;
  std::shared_ptr<Buffer> bytes = std::make_shared<Buffer>();

  // Its bytes, for changing: no other state sees that.
  Buffer& Own();
};

// Which part of a write is there.
struct Fate {
  enum class Kind { kKept, kLost, kBegin, kEnd, kZeros };
  Kind kind = Kind::kKept;
  uint64_t cut = 0;  // kBegin, kEnd: offset in the file

  std::string Describe() const;
};

struct DiskState {
  std::map<std::string, FileId> names;
  std::map<FileId, DiskFile> files;
  bool lost_power = false;  // else its process died

  // `fate` is a write's.
  void Apply(const DiskOp& op, const Fate& fate = {});
  void DropNameless();
  // The same for equal contents and names.
  uint64_t Fingerprint() const;
};

// A disk as it may be found.
struct CrashState {
  DiskState disk;
  std::string story;  // for the message
  bool is_power_cut = false;
};

// Goes through a record of calls and makes the states of a crash at each.
class CrashStates {
 public:
  using Visit = std::function<void(const CrashState&)>;

  // Of all states one in `every` is made; `samples`: how often the fates of
  // writes are drawn, for each set of names.
  CrashStates(const DiskState& begin, const std::vector<DiskOp>& ops, size_t samples,
              size_t every, std::mt19937_64& random)
      : now_(begin), settled_(begin), ops_(ops), samples_(samples), every_(every),
        random_(random) {}

  size_t op_count() const { return done_; }
  // One call more has returned.
  void Advance();
  // The process dies here, or within the next call.
  void VisitProcessDeaths(const Visit& visit);
  void VisitPowerCuts(const Visit& visit);

 private:
  struct Pending {
    size_t op;
    bool is_durable = false;  // must stay here for the sake of an earlier write
  };

  bool IsWanted() { return every_ <= 1 || random_() % every_ == 0; }
  void MakeDurable(const std::function<bool(const DiskOp&)>& covers);
  void VisitPrefix(size_t metadata_count, const Visit& visit);
  std::vector<size_t> LooseWrites(size_t metadata_count) const;
  CrashState Make(size_t metadata_count, const std::map<size_t, Fate>& fates) const;
  DiskState ApplyMetadata(size_t metadata_count) const;
  Fate RandomFate(const DiskOp& write);

  DiskState now_;      // all calls done
  DiskState settled_;  // what nothing can take away any more
  const std::vector<DiskOp>& ops_;
  const size_t samples_;
  const size_t every_;
  std::mt19937_64& random_;
  size_t done_ = 0;
  std::vector<Pending> pending_;
};

}  // namespace gzipfs::crash
