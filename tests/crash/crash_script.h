// A script: what a program does to one file of a store, on a disk that records
// it, and what the file held after each step.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fs/store/content.h"
#include "fs/store/store.h"
#include "tests/crash/sim_disk.h"

namespace gzipfs::crash {

inline constexpr uint64_t kBlock = kBgzfBlockBytes;

// What the file may hold after a crash.
//
// States are numbered as they come about. A crash must give a state that is no
// older than the last one that was promised before it. Where the file was in
// append mode when the state came about (is_appended), blocks reach the base
// one by one: then a beginning of that state will do, if it is no shorter than
// the file ever was since the promise.
class History {
 public:
  struct State {
    Buffer plain;
    bool is_appended = false;
    size_t begin_call = 0;  // calls on the disk before it began to come about
  };
  struct Bounds {
    size_t oldest = 0;
    size_t newest = 0;
    bool must_exist = false;
  };

  void Add(Buffer plain, bool is_appended, size_t call);
  size_t newest() const { return states_.size() - 1; }
  const Buffer& plain() const { return states_.back().plain; }
  // State `state` was promised when `call` calls had been made: by fsync, or
  // by a close, which outlives the process only.
  void Promise(size_t state, size_t call, bool survives_power_cut);
  // From that call on the file may have no name.
  void MayBeGone(size_t call) { gone_call_ = call; }
  // A write failed, and may have been done in part. From now on nothing is
  // promised, and each byte may be that of another state.
  void Blur() { is_blurred_ = true; }

  // As if only what `bounds` allow had ever been: for a disk that was crashed
  // and holds one of these states when its record begins.
  History Within(const Bounds& bounds) const;
  Bounds At(size_t call, bool is_power_cut) const;
  // Why `plain` is none of the states in `bounds`; "" if it is one.
  std::string Mismatch(const Buffer& plain, const Bounds& bounds) const;
  // The same for a base alone, which may be of any age.
  std::string MismatchOfBase(const Buffer& plain, const Bounds& bounds) const;
  std::string Tell() const;

 private:
  bool IsBlurOf(const Buffer& plain, const Bounds& bounds) const;

  struct Promised {
    size_t state;
    size_t call;
    bool survives_power_cut;
  };

  std::vector<State> states_;
  std::vector<Promised> promises_;
  std::optional<size_t> gone_call_;
  bool is_blurred_ = false;
};

// Where the file is; scripts move it.
class ScriptPlace final : public BasePlace {
 public:
  Result<void> WithPlace(
      const std::function<Result<void>(int dir_fd, const char* name)>& action) override {
    return is_gone ? Fail(ENOENT) : action(dir_fd, name.c_str());
  }
  void BaseReplaced(const struct stat&) override {}

  int dir_fd = -1;
  std::string name = "file.gz";
  bool is_gone = false;
};

// A store on a SimDisk with one file open. The steps expect success unless
// may_fail; a failed one promises nothing.
class Script {
 public:
  explicit Script(const StoreOptions& options);
  ~Script();

  // --- Before the record begins.
  void Make(const Buffer& plain);                          // a settled file
  void Put(const Buffer& base, const Buffer& plain);       // somebody else's base
  void Begin();

  // --- The steps. They know which mode the file is in, if it was flushed before
  // a write that is no append and before it is cut.
  void Write(uint64_t plain_offset, const Buffer& bytes);
  void Append(const Buffer& bytes) { Write(history_.plain().size(), bytes); }
  void Truncate(uint64_t plain_bytes);
  // Appends the members of [plain_offset, plain_offset + byte_count), or up to the end.
  void CopyToEnd(uint64_t plain_offset, uint64_t byte_count);
  void Zero(uint64_t plain_begin, uint64_t plain_end, bool may_grow = false);
  void Sync();
  void Flush();
  void Settle();
  // Flushes, but settles nothing. REQUIRES: nothing would be lost.
  void Close();
  void Open(bool is_new = false);
  void Rename(const std::string& to);
  void Link(const std::string& to);
  void Unlink();
  bool is_logged() const { return is_logged_; }
  // Runs `step` in another thread, and waits for it, just before the
  // `occurrence`-th call of that kind on a file whose name holds `path_part`.
  void Interpose(Call call, const std::string& path_part, std::function<void()> step,
                 int occurrence = 1);
  bool was_interposed() const { return was_interposed_; }

  // Lets go of everything; the record is complete.
  void End();

  SimDisk& disk() { return disk_; }
  Store& store() { return *store_; }
  Content& content() { return *content_; }
  const History& history() const { return history_; }
  const StoreOptions& options() const { return options_; }
  // All names the file has had.
  const std::vector<std::string>& names() const { return names_; }

  bool may_fail = false;
  WriteSource source = WriteSource::kProgram;  // of the writes

 private:
  bool Did(const Result<void>& done);

  StoreOptions options_;
  SimDisk disk_;
  std::unique_ptr<Store> store_;
  UniqueFd dir_fd_;
  ScriptPlace place_;
  std::shared_ptr<Content> content_;
  std::vector<std::string> names_{"file.gz"};
  History history_;
  bool is_logged_ = false;
  bool was_interposed_ = false;
};

}  // namespace gzipfs::crash
