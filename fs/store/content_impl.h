// The Content of fs/store/content.h.
//
// Locks, in order: settle_mutex_ (one flush, checkpoint or truncation at a
// time), log_mutex_ (one writer to the log), base_lock_ (shared: the base is
// being read; exclusive: it is being cut or overwritten), mutex_ (everything
// else; never held across I/O or compression). Writers and readers take only
// the last two.
#pragma once

#include <chrono>
#include <atomic>
#include <map>
#include <vector>

#include "codec/base/mutex.h"
#include "fs/store/base_file.h"
#include "fs/store/block_ranges.h"
#include "fs/store/checkpointer.h"
#include "fs/store/content.h"
#include "fs/store/content_batches.h"
#include "fs/store/dirty_block.h"
#include "fs/store/log_reader.h"
#include "fs/store/redo_log.h"
#include "fs/store/relief_list.h"
#include "fs/store/spill_log.h"

namespace gzipfs {

class ImageWriter;

class ContentImpl final : public Content,
                          public Relievable,
                          public Checkpointable,
                          public std::enable_shared_from_this<ContentImpl> {
 public:
  ContentImpl(Store& store, std::shared_ptr<BaseFile> base, bool is_writable, bool is_new,
              BasePlace& place);
  ~ContentImpl() override;

  Result<size_t> Read(uint64_t plain_offset, std::span<std::byte> out) override;
  Result<void> Write(uint64_t plain_offset, std::span<const std::byte> bytes,
                     WriteSource source) override;
  Result<uint64_t> WriteAtEnd(std::span<const std::byte> bytes) override;
  Result<void> Truncate(uint64_t plain_bytes) override;
  Result<void> Extend(uint64_t plain_bytes) override;
  Result<void> Zero(uint64_t plain_begin, uint64_t plain_end, bool may_grow) override;
  Result<uint64_t> CopyMembers(Content& source, uint64_t source_offset, uint64_t plain_offset,
                               uint64_t byte_count) override;
  Result<uint64_t> Seek(uint64_t plain_offset, SeekTo what) override;
  Result<void> Flush() override;
  Result<void> FlushBesideWriters() override;
  Result<void> Sync() override;
  Result<void> Settle() override;
  Result<void> CompleteEnd() override;
  void Abandon() override;
  Result<void> CheckBase() override;
  Result<void> CheckFit() override;
  bool IsSettled() const override;
  uint64_t plain_bytes() const override;
  std::optional<timespec> pending_mtime() const override;
  Result<void> SetTimes(std::optional<timespec> atime, std::optional<timespec> mtime) override;
  Result<struct stat> StatBase() const override;
  Result<std::vector<std::byte>> Capability() const override;
  Result<void> WithBaseFd(const std::function<Result<void>(int fd)>& action) override;

  // Second half of construction: what needs a shared_ptr to this. From here on
  // its blocks can be spilled.
  void Register();
  bool is_writable() const { return is_writable_; }
  Result<bool> IsBaseOfLog(const LogSummary& summary) const EXCLUDES(mutex_);
  // The file's time until somebody writes: its first tail must not move it.
  void KeepTime(const timespec& mtime) EXCLUDES(mutex_);
  // Every write fails with `why` from now on.
  void ForbidWrites(std::error_code why);

  // Second half of opening a file that has a log: what the log says goes on
  // top of the base. `log_name`, to go on with it; empty in a read-only store.
  Result<void> LoadLog(const LogSummary& summary, UniqueFd log_fd, const std::string& log_name);

  // Checkpointable.
  void CheckpointIfDue() override;

  // Relievable: spills blocks, or appends what can be appended.
  bool Relieve() override;

 private:
  friend class EncodeJob;
  enum class Mode { kAppend, kLogged };

  // What a read has to fetch after it let go of mutex_.
  struct PendingRead {
    uint64_t plain_offset;
    std::span<std::byte> out;
    BlockPtr logged;  // null: from the base
    std::shared_ptr<const EncodedBlock> packed;  // its members, if they are in memory
  };
  // Members of whole blocks that are not part of the file yet, by block index.
  using PackedBlocks = std::map<uint64_t, std::shared_ptr<const EncodedBlock>>;
  // The state a checkpoint works on.
  struct Snapshot {
    BlockMap blocks;
    uint64_t change_count = 0;
    std::shared_ptr<BaseFile> base;
    uint64_t plain_bytes = 0;
    uint64_t base_limit = 0;
    BlockRanges zeros;
  };
  // What of the base counts: what is before `limit` and not in `zeros`.
  struct BaseView {
    uint64_t limit;
    const BlockRanges& zeros;
  };

  // content_read.cc
  void CollectBlock(const BlockPtr& block, uint64_t block_start, uint32_t begin, uint32_t end,
                    std::span<std::byte> out, const BaseView& base,
                    std::vector<PendingRead>& pending) const REQUIRES(mutex_);
  void CollectBase(uint64_t plain_offset, std::span<std::byte> out, const BaseView& base,
                   std::vector<PendingRead>& pending) const;
  void CollectRange(const BlockMap& blocks, uint64_t plain_offset, std::span<std::byte> out,
                    const BaseView& base, std::vector<PendingRead>& pending) const
      REQUIRES(mutex_);
  BaseView CountedBase() const REQUIRES(mutex_) { return {base_limit_, zeros_}; }
  Result<size_t> ReadLayers(uint64_t plain_offset, std::span<std::byte> out)
      EXCLUDES(base_lock_, mutex_);
  Result<void> Fetch(BaseFile& base, std::span<PendingRead> pending);
  Result<void> FetchLogged(const PendingRead& pending);
  static Result<EncodedBlock> FetchMembers(const DirtyBlock& logged);
  Result<void> ReadSnapshot(const Snapshot& snapshot, uint64_t plain_offset,
                            std::span<std::byte> out) EXCLUDES(mutex_);
  // Fills the bytes of `block`, which takes no writes, that were never
  // written, so that all of [begin, end) is valid.
  Result<void> Complete(const BlockPtr& block, uint32_t begin, uint32_t end) EXCLUDES(mutex_);

  void ReportDamage(uint64_t plain_offset, uint64_t byte_count, std::error_code why);

  // content_write.cc
  Result<void> CheckWritable() REQUIRES(mutex_);
  uint64_t CountKnownBytes(uint64_t plain_offset, std::span<const std::byte> bytes)
      EXCLUDES(mutex_);
  void RememberEnd(const DirtyBlock& appended) REQUIRES(mutex_);
  bool IsNextToAppend(uint64_t plain_offset, uint64_t byte_count) const EXCLUDES(mutex_);
  // ENOSPC when there is no room for it on the disk; WriteImpl does not ask.
  Result<uint64_t> WriteIfItFits(std::optional<uint64_t> plain_offset,
                                 std::span<const std::byte> bytes, WriteSource source);
  Result<uint64_t> WriteImpl(std::optional<uint64_t> plain_offset,
                             std::span<const std::byte> bytes, WriteSource source);
  uint64_t WholeBlockBytes(uint64_t plain_offset, uint64_t byte_count) const;
  void WriteBlock(uint64_t block_index, uint32_t begin, std::span<const std::byte> bytes,
                  uint64_t& reserved_bytes) REQUIRES(mutex_);
  bool AwaitAppending(uint64_t plain_offset, uint64_t byte_count) REQUIRES(mutex_);
  BlockPtr MutableBlock(uint64_t block_index, uint64_t& reserved_bytes) REQUIRES(mutex_);
  bool MarkForEncoding(const BlockPtr& block) REQUIRES(mutex_);

  // content_pack.cc
  std::shared_ptr<const EncodedBlock> FindSeen(std::span<const std::byte> plain);
  bool Packs(int level) const;
  bool TakesPacked(uint64_t plain_offset) const REQUIRES(mutex_);
  PackedBlocks PackWholeBlocks(uint64_t plain_offset, std::span<const std::byte> bytes,
                               int level);
  bool TakePacked(uint64_t block_index, PackedBlocks& packed, uint64_t& reserved_bytes)
      REQUIRES(mutex_);

  Result<void> CutBase(uint64_t plain_bytes, bool may_cut) REQUIRES(settle_mutex_)
      EXCLUDES(mutex_);
  void CutBlocks(uint64_t plain_bytes, uint64_t& reserved_bytes) REQUIRES(mutex_);
  void AwaitQuiet() REQUIRES(mutex_);

  // content_seek.cc
  using Stretch = BaseFile::Stretch;
  std::optional<Stretch> StretchAt(uint64_t at) EXCLUDES(mutex_);

  // content_copy.cc
  uint64_t CountStored(uint64_t plain_offset, uint64_t byte_count) const REQUIRES(mutex_);
  Result<std::vector<MemberInfo>> FindCopies(const std::shared_ptr<BaseFile>& base,
                                             uint64_t plain_offset, uint64_t plain_end,
                                             bool ends_file) const;
  struct SizeMark { uint64_t plain_bytes = ~uint64_t{0}, change_count = 0; };
  Result<bool> AppendBefore(uint64_t plain_offset, SizeMark& before)
      REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  void UndoAppendBefore(const SizeMark& before) REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  std::shared_ptr<BaseFile> BeginCopy(uint64_t plain_offset, SizeMark& before) EXCLUDES(mutex_);
  Result<void> CopyTo(BaseFile& target, uint64_t plain_offset, uint64_t byte_count)
      EXCLUDES(base_lock_, mutex_);

  // content_zero.cc
  Result<void> MakeRoomForZeros() REQUIRES(settle_mutex_) EXCLUDES(log_mutex_, mutex_);
  void ZeroBlocks(uint64_t begin, uint64_t end) REQUIRES(mutex_);
  void ZeroPart(uint64_t begin, uint64_t end, uint64_t& reserved_bytes,
                std::vector<BlockPtr>& full) REQUIRES(mutex_);
  void ZeroRange(uint64_t begin, uint64_t end, uint64_t& reserved_bytes,
                 std::vector<BlockPtr>& full) REQUIRES(mutex_);

  // content_append.cc
  void SubmitEncoding(BlockPtr block, int level);
  void FinishEncoding(BlockPtr block, std::shared_ptr<const EncodedBlock> encoded)
      EXCLUDES(mutex_);
  // All that is ready; from `wanted_end` on not what may grow still.
  void AppendReady(uint64_t wanted_end = 0) EXCLUDES(mutex_);
  Result<void> AppendRun(BaseFile& base, std::span<const BlockPtr> run) EXCLUDES(mutex_);
  void CoverLogged(const BlockPtr& logged) EXCLUDES(mutex_);
  bool IsReadyAt(const DirtyBlock& block, uint64_t plain_offset) const REQUIRES(mutex_);
  bool MayGrow(const DirtyBlock& block) const REQUIRES(mutex_);
  std::vector<BlockPtr> TakeReadyRun(uint64_t wanted_end) REQUIRES(mutex_);
  void HideAppendedHole() REQUIRES(mutex_);
  Result<void> AppendAll(uint64_t plain_end) REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  void FinishRun(std::vector<BlockPtr> run, const Result<void>& written) EXCLUDES(mutex_);
  // Brings the plain bytes before `plain_end` into the base; with a tail
  // behind them if that is the end of the file. Stops in logged mode.
  Result<void> AppendUpTo(uint64_t plain_end) REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  Result<void> AppendBlock(const BlockPtr& block, bool with_tail) EXCLUDES(mutex_);
  Result<void> AppendHole(uint64_t begin, uint64_t end) EXCLUDES(mutex_);
  Result<void> SettleAppended() REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  Result<void> AddTail() EXCLUDES(mutex_);
  Result<void> RestoreTimes() EXCLUDES(mutex_);
  Result<bool> SyncAppended() EXCLUDES(mutex_);
  Result<void> SyncEntry() EXCLUDES(mutex_);

  // content_spill.cc
  std::vector<BlockPtr> ChooseVictims(bool takes_unlogged) REQUIRES(mutex_);
  bool MaySpill(const DirtyBlock& block) const REQUIRES(mutex_);
  bool RelieveByRetrying() EXCLUDES(mutex_);
  bool RelieveByAppending() EXCLUDES(mutex_);
  bool RelieveBySpilling(bool takes_unlogged) EXCLUDES(mutex_);
  void RelieveEarly() EXCLUDES(mutex_);
  Result<std::shared_ptr<SpillLog>> OpenSpillLog() EXCLUDES(mutex_);
  Result<void> SpillBlock(const std::shared_ptr<SpillLog>& log, const BlockPtr& block)
      EXCLUDES(mutex_);
  void FinishSpill(std::span<const BlockPtr> victims) REQUIRES(mutex_);

  // content_spill_pieces.cc
  bool GatherPieces(const DirtyBlock& layer, uint32_t begin, uint32_t end,
                    PieceBatch& batch) const REQUIRES(mutex_);
  bool AddToPieces(const BlockPtr& block, PieceBatch& batch) const REQUIRES(mutex_);
  Result<std::vector<BlockPtr>> SpillPieces(SpillLog& log, std::span<const BlockPtr> victims)
      EXCLUDES(mutex_);
  static Result<void> FetchPieces(const DirtyBlock& logged, uint32_t begin,
                                  std::span<std::byte> out);

  // content_log.cc
  void CollectUnlogged(const BlockPtr& block, uint32_t begin, uint32_t end,
                       LogBatch& batch) const REQUIRES(mutex_);
  LogBatch CaptureBatch(ExtentMap extents) REQUIRES(mutex_);
  void RestoreUnlogged(LogBatch& batch) EXCLUDES(mutex_);
  Result<void> WriteBatch(RedoLog& log, const LogBatch& batch);
  ExtentMap WrittenSince(const BlockMap& blocks) const REQUIRES(mutex_);
  Result<bool> StartLog() REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<void> CommitToLog() REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<bool> SyncLog() EXCLUDES(settle_mutex_, log_mutex_, mutex_);
  Result<void> HeedLogLimit() EXCLUDES(settle_mutex_, log_mutex_, mutex_);
  uint64_t LogShare() const EXCLUDES(mutex_);
  void PutOffCheckpoint() REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<void> CheckpointEarly() REQUIRES(settle_mutex_) EXCLUDES(log_mutex_, mutex_);
  bool IsCheckpointDue() const EXCLUDES(log_mutex_, mutex_);
  void ForgetLog() REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<void> DropLog() REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<std::unique_ptr<RedoLog>> PrepareNextLog(const Snapshot& snapshot,
                                                  const std::string& name,
                                                  const BaseIdentity& base, LogBatch& batch)
      REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<void> FinishLog(std::unique_ptr<RedoLog> next, uint64_t base_ino, const LogBatch& batch)
      REQUIRES(log_mutex_) EXCLUDES(mutex_);
  // content_join.cc
  Result<void> JoinIfDue() REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  Result<std::optional<uint64_t>> FindJoin() REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  Result<void> TakeBack(uint64_t from) REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  Result<void> JoinMembers(uint64_t from) REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  Result<void> CutForJoin(BaseFile& base, uint64_t from) REQUIRES(settle_mutex_, log_mutex_)
      EXCLUDES(mutex_);
  // content_stale.cc
  bool GoStale(const std::shared_ptr<BaseFile>& base, const char* why)
      EXCLUDES(log_mutex_, mutex_);
  void SetLogAside() REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<bool> FindUnlinked() EXCLUDES(log_mutex_, mutex_);
  // content_replay.cc
  Result<void> ApplyRecord(const LogRecord& record) EXCLUDES(mutex_);

  bool IsOnlyAppended() const REQUIRES(mutex_);
  bool HasHole() const REQUIRES(mutex_);

  // content_checkpoint.cc
  bool NeedsCheckpoint() const EXCLUDES(mutex_);
  Result<void> Checkpoint() REQUIRES(settle_mutex_) EXCLUDES(mutex_);
  Snapshot TakeSnapshot() EXCLUDES(mutex_);
  void Thaw(const Snapshot& snapshot) EXCLUDES(mutex_);
  Result<void> InstallImage(const Snapshot& snapshot, UniqueFd image, const std::string& image_name)
      EXCLUDES(mutex_);
  Result<void> ReplaceBase(const Snapshot& snapshot, UniqueFd image,
                           const std::string& image_name, int dir_fd, const char* name)
      EXCLUDES(mutex_);
  Result<void> AnnounceImage(const LogImage& image) REQUIRES(log_mutex_) EXCLUDES(mutex_);
  void AdoptBase(const Snapshot& snapshot, std::shared_ptr<BaseFile> base, bool has_next_log)
      EXCLUDES(mutex_);
  // content_overwrite.cc
  Result<void> OverwriteBase(const Snapshot& snapshot, UniqueFd image,
                             const std::string& image_name) EXCLUDES(mutex_);
  Result<bool> CopyImage(int image_fd, BaseFile& base, uint64_t old_bytes) REQUIRES(log_mutex_);
  Result<void> CancelImage() REQUIRES(log_mutex_) EXCLUDES(mutex_);
  Result<void> ReadFromImage(const Snapshot& snapshot, UniqueFd image,
                             const std::string& image_name, std::error_code why)
      EXCLUDES(mutex_);
  Result<bool> ReproduceAttributes(int from_fd, int to_fd);

  // content_compose.cc
  Result<void> ComposeImage(const Snapshot& snapshot, ImageWriter& image) EXCLUDES(mutex_);
  Result<void> ComposeBlock(const Snapshot& snapshot, const BlockPtr& block, uint64_t end,
                            ImageWriter& image) EXCLUDES(mutex_);
  Result<uint64_t> ComposeFromBase(const Snapshot& snapshot, uint64_t begin, uint64_t end,
                                   ImageWriter& image) EXCLUDES(mutex_);
  void ComposeHole(uint64_t begin, uint64_t end, ImageWriter& image);
  void ComposeByEncoding(const Snapshot& snapshot, uint64_t begin, uint64_t end,
                         ImageWriter& image);

  uint64_t BlockStart(uint64_t block_index) const { return block_index * block_bytes_; }

  // Constant after construction.
  Store& store_;
  BasePlace& place_;
  const bool is_writable_;
  const uint64_t block_bytes_;
  const Profile profile_;
  ReliefList::Ticket relief_ticket_;
  bool is_registered_ = false;

  std::atomic<int> report_count_{0};

  static constexpr uint64_t kNoCut = ~uint64_t{0};
  static constexpr size_t kEndBytes = 4096;  // a page of the kernel's

  Mutex settle_mutex_;
  std::atomic<int> settle_waiter_count_{0};  // a background checkpoint makes haste for them
  bool is_in_background_ GUARDED_BY(settle_mutex_) = false;  // nobody waits for the checkpoint
  bool is_hurried_ GUARDED_BY(settle_mutex_) = false;        // a mount may wait for the next one
  Mutex times_mutex_;  // held across futimens, so that the last time set is the last put
  SharedMutex base_lock_;

  mutable Mutex log_mutex_;
  std::unique_ptr<RedoLog> redo_ GUARDED_BY(log_mutex_);        // null: no log
  bool log_has_prefix_ GUARDED_BY(log_mutex_) = false;  // its base grows behind a cut
  uint64_t base_ino_ GUARDED_BY(log_mutex_) = 0;                // that redo_ is for
  uint64_t logged_change_count_ GUARDED_BY(log_mutex_) = 0;     // as of the last commit
  uint64_t logged_plain_bytes_ GUARDED_BY(log_mutex_) = 0;      // likewise
  std::optional<timespec> logged_mtime_ GUARDED_BY(log_mutex_);
  uint64_t checkpoint_due_bytes_ GUARDED_BY(log_mutex_) = 0;  // length of redo_ that asks for one

  mutable Mutex mutex_;
  CondVar changed_;  // a block changed its state, or appending_ ended
  std::shared_ptr<BaseFile> base_ GUARDED_BY(mutex_);
  BlockMap blocks_ GUARDED_BY(mutex_);
  std::shared_ptr<SpillLog> log_ GUARDED_BY(mutex_);  // for the next spill; null: a new one
  uint64_t spill_cursor_ GUARDED_BY(mutex_) = 0;  // logged mode spills from this index down
  uint64_t spilled_bytes_ GUARDED_BY(mutex_) = 0;  // in logged mode, since the last snapshot
  Mode mode_ GUARDED_BY(mutex_) = Mode::kAppend;
  uint64_t plain_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t base_plain_ GUARDED_BY(mutex_) = 0;   // plain bytes in the base
  // What was appended last, up to kEndBytes of it, and where it ends. Of use if that
  // is where the base does; forgotten when that is cut or replaced.
  std::vector<std::byte> end_bytes_ GUARDED_BY(mutex_);
  uint64_t end_plain_ GUARDED_BY(mutex_) = 0;
  uint64_t join_from_ GUARDED_BY(mutex_) = 0;    // members before it are long enough
  uint64_t join_checked_bytes_ GUARDED_BY(mutex_) = 0;  // stored bytes at the last look
  uint64_t base_limit_ GUARDED_BY(mutex_) = 0;   // of them, those that count: a cut hides the rest
  BlockRanges zeros_ GUARDED_BY(mutex_);  // blocks of the base that do not count: zeros
  bool appending_ GUARDED_BY(mutex_) = false;    // somebody writes to the base's end
  // When there was last a write that did not begin at or before the end and go beyond it.
  std::optional<std::chrono::steady_clock::time_point> wrote_inside_at_ GUARDED_BY(mutex_);
  bool is_appending_all_ GUARDED_BY(mutex_) = false;  // a flush or settlement is
  bool is_spilling_ GUARDED_BY(mutex_) = false;  // somebody writes to the log
  uint64_t change_count_ GUARDED_BY(mutex_) = 0;  // of writes and cuts
  bool has_redo_ GUARDED_BY(mutex_) = false;      // redo_ is there: unlogged_ is kept
  bool is_replaying_ GUARDED_BY(mutex_) = false;  // the log is being read: all is logged
  ExtentMap unlogged_ GUARDED_BY(mutex_);         // written since the last commit
  uint64_t unlogged_cut_ GUARDED_BY(mutex_) = kNoCut;  // the shortest it was since then
  BlockRanges unlogged_zeros_ GUARDED_BY(mutex_);      // zeroed since then
  bool is_modified_ GUARDED_BY(mutex_);          // the base needs a tail of ours
  bool needs_times_ GUARDED_BY(mutex_) = false;  // the base was written to after mtime_ was set
  std::error_code write_error_ GUARDED_BY(mutex_);   // why the file takes no writes at all
  std::error_code append_error_ GUARDED_BY(mutex_);  // of the last try; the next one may succeed
  std::error_code sticky_error_ GUARDED_BY(mutex_);  // final
  bool image_is_content_ GUARDED_BY(mutex_) = false;  // of an overwrite that failed half-way
  bool is_stale_ GUARDED_BY(mutex_) = false;  // the base was changed from outside
  bool is_unlinked_ GUARDED_BY(mutex_) = false;   // found without a name when it should settle
  std::optional<timespec> mtime_ GUARDED_BY(mutex_);
};

}  // namespace gzipfs
