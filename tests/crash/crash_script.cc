// Steps note the state they lead to before they begin, and what they promise
// after they have returned.
#include "tests/crash/crash_script.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>


namespace gzipfs::crash {
namespace {

bool IsBeginOf(const Buffer& begin, const Buffer& whole) {
  return begin.size() <= whole.size() && std::equal(begin.begin(), begin.end(), whole.begin());
}

}  // namespace

void History::Add(Buffer plain, bool is_appended, size_t call) {
  states_.push_back({std::move(plain), is_appended, call});
}

void History::Promise(size_t state, size_t call, bool survives_power_cut) {
  if (is_blurred_) return;
  promises_.push_back({state, call, survives_power_cut});
}

History History::Within(const Bounds& bounds) const {
  History history;
  history.states_.assign(states_.begin(),
                         states_.begin() + static_cast<ptrdiff_t>(bounds.newest) + 1);
  for (State& state : history.states_) state.begin_call = 0;
  if (bounds.must_exist) history.Promise(bounds.oldest, 0, true);
  return history;
}

History::Bounds History::At(size_t call, bool is_power_cut) const {
  Bounds bounds;
  for (const Promised& promise : promises_) {
    if (promise.call > call || (is_power_cut && !promise.survives_power_cut)) continue;
    bounds.oldest = std::max(bounds.oldest, promise.state);
    bounds.must_exist = true;
  }
  for (size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].begin_call <= call) bounds.newest = i;
  }
  if (gone_call_ && *gone_call_ <= call) bounds.must_exist = false;
  return bounds;
}

bool History::IsBlurOf(const Buffer& plain, const Bounds& bounds) const {
  for (size_t at = 0; at <= plain.size(); ++at) {
    bool is_known = false;
    for (size_t i = bounds.oldest; i <= bounds.newest && !is_known; ++i) {
      const Buffer& state = states_[i].plain;
      if (at == plain.size()) {
        is_known = state.size() <= at;  // no shorter than all of them
      } else {
        is_known = at < state.size() ? state[at] == plain[at] : plain[at] == std::byte{0};
      }
    }
    if (!is_known) return false;
  }
  return true;
}

std::string History::Mismatch(const Buffer& plain, const Bounds& bounds) const {
  if (is_blurred_ && IsBlurOf(plain, bounds)) return "";
  size_t least_bytes = SIZE_MAX;
  for (size_t i = bounds.oldest; i <= bounds.newest; ++i) {
    const State& state = states_[i];
    least_bytes = std::min(least_bytes, state.plain.size());
    if (plain == state.plain) return "";
    if (state.is_appended && plain.size() >= least_bytes && IsBeginOf(plain, state.plain)) {
      return "";
    }
  }
  std::string text = fmt::format("{} bytes, which is none of the states {} to {}:", plain.size(),
                                 bounds.oldest, bounds.newest);
  for (size_t i = 0; i < states_.size(); ++i) {
    const Buffer& state = states_[i].plain;
    const size_t common = std::min(plain.size(), state.size());
    const auto differs = std::mismatch(
        plain.begin(), plain.begin() + static_cast<ptrdiff_t>(common), state.begin());
    const auto at = static_cast<size_t>(differs.first - plain.begin());
    text += fmt::format("\n  {} has {} bytes and {}", i, state.size(),
                        at < common ? fmt::format("differs from byte {} on", at)
                                    : "is the same that far");
  }
  return text;
}

std::string History::MismatchOfBase(const Buffer& plain, const Bounds& bounds) const {
  if (is_blurred_ && IsBlurOf(plain, {.oldest = 0, .newest = bounds.newest})) return "";
  for (size_t i = 0; i <= bounds.newest; ++i) {
    if (plain == states_[i].plain) return "";
    if (states_[i].is_appended && IsBeginOf(plain, states_[i].plain)) return "";
  }
  return Mismatch(plain, {.oldest = 0, .newest = bounds.newest});
}

std::string History::Tell() const {
  std::string text;
  for (size_t i = 0; i < states_.size(); ++i) {
    text += fmt::format("  call {}: state {}, {} bytes{}\n", states_[i].begin_call, i,
                        states_[i].plain.size(), states_[i].is_appended ? ", appended" : "");
  }
  for (const Promised& promise : promises_) {
    text += fmt::format("  call {}: state {} promised{}\n", promise.call, promise.state,
                        promise.survives_power_cut ? "" : " (the process may die)");
  }
  return text;
}

Script::Script(const StoreOptions& options) : options_(options) {
  if (options_.thread_count == 0) options_.thread_count = 1;
  auto store = Store::Open(disk_.path(), options_, disk_);
  if (!store) {
    ADD_FAILURE() << store.error().message;
    return;
  }
  store_ = std::move(*store);
  dir_fd_ = UniqueFd(::open(disk_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  place_.dir_fd = dir_fd_.get();
}

Script::~Script() { End(); }

void Script::Make(const Buffer& plain) {
  history_.Add({}, true, 0);
  Open(/*is_new=*/true);
  Append(plain);
  Settle();
  Close();
  history_ = {};
  history_.Add(plain, true, 0);
}

void Script::Put(const Buffer& base, const Buffer& plain) {
  disk_.Put("file.gz", base);
  history_.Add(plain, false, 0);
  is_logged_ = true;
}

void Script::Begin() {
  const bool exists = !disk_.Now().names.empty();
  disk_.BeginRecord();
  if (!exists) {
    history_.Add({}, true, 0);
  } else {
    history_.Promise(0, 0, true);
  }
  Open(/*is_new=*/!exists);
}

// True when the step was done.
bool Script::Did(const Result<void>& done) {
  if (!done && !may_fail) ADD_FAILURE() << done.error().message();
  return done.has_value();
}

void Script::Open(bool is_new) {
  const int flags = O_RDWR | (is_new ? O_CREAT : 0);
  auto fd = disk_.OpenAt(place_.dir_fd, place_.name.c_str(), flags, 0644);
  if (!Did(fd ? Result<void>() : Fail(fd.error()))) return;
  auto content = OpenContent(*store_, std::move(*fd), true, is_new, place_);
  if (Did(content ? Result<void>() : Fail(content.error()))) content_ = *content;
}

void Script::Write(uint64_t plain_offset, const Buffer& bytes) {
  Buffer plain = history_.plain();
  if (plain_offset < plain.size()) is_logged_ = true;
  plain.resize(std::max<uint64_t>(plain.size(), plain_offset + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), plain.begin() + static_cast<ptrdiff_t>(plain_offset));
  history_.Add(std::move(plain), !is_logged_, disk_.op_count());
  if (!content_ || !Did(content_->Write(plain_offset, bytes, source))) history_.Blur();
}

void Script::Truncate(uint64_t plain_bytes) {
  const bool is_shorter = plain_bytes < history_.plain().size();
  const size_t first_op = disk_.op_count();
  Buffer plain = history_.plain();
  plain.resize(plain_bytes);
  history_.Add(std::move(plain), !is_logged_, first_op);
  if (!content_ || !Did(content_->Truncate(plain_bytes))) return history_.Blur();
  if (!is_shorter) return;
  const auto& ops = disk_.ops();
  is_logged_ = std::none_of(ops.begin() + static_cast<ptrdiff_t>(first_op), ops.end(),
                            [this](const DiskOp& op) {
                              return op.kind == DiskOp::Kind::kTruncate && op.path == place_.name;
                            });
}

void Script::CopyToEnd(uint64_t plain_offset, uint64_t byte_count) {
  Buffer plain = history_.plain();
  const uint64_t plain_end = plain.size();
  byte_count = std::min(byte_count, plain_end - plain_offset);
  plain.resize(plain_end + byte_count);
  std::copy_n(plain.begin() + static_cast<ptrdiff_t>(plain_offset), byte_count,
              plain.begin() + static_cast<ptrdiff_t>(plain_end));
  history_.Add(std::move(plain), !is_logged_, disk_.op_count());
  Result<uint64_t> copied = Fail(EBADF);
  if (content_) copied = content_->CopyMembers(*content_, plain_offset, plain_end, byte_count);
  if (copied && *copied == byte_count) return;
  if (copied && !may_fail) ADD_FAILURE() << *copied << " bytes copied of " << byte_count;
  if (!copied) (void)Did(Fail(copied.error()));
  history_.Blur();
}

void Script::Zero(uint64_t plain_begin, uint64_t plain_end, bool may_grow) {
  Buffer plain = history_.plain();
  if (plain_begin < plain.size()) is_logged_ = true;
  if (may_grow) plain.resize(std::max<uint64_t>(plain.size(), plain_end));
  const auto end = static_cast<ptrdiff_t>(std::min<uint64_t>(plain.size(), plain_end));
  const auto begin = std::min(static_cast<ptrdiff_t>(plain_begin), end);
  std::fill(plain.begin() + begin, plain.begin() + end, std::byte{0});
  history_.Add(std::move(plain), !is_logged_, disk_.op_count());
  if (!content_ || !Did(content_->Zero(plain_begin, plain_end, may_grow))) history_.Blur();
}

void Script::Sync() {
  const size_t state = history_.newest();
  if (content_ && Did(content_->Sync())) history_.Promise(state, disk_.op_count(), true);
}

void Script::Flush() {
  const size_t state = history_.newest();
  if (!content_ || !Did(content_->Flush())) return;
  if (!is_logged_) history_.Promise(state, disk_.op_count(), false);
}

void Script::Settle() {
  const size_t state = history_.newest();
  if (!content_ || !Did(content_->Settle())) return;
  history_.Promise(state, disk_.op_count(), false);
  if (state == history_.newest()) is_logged_ = false;
}

void Script::Close() {
  Flush();
  content_.reset();
}

void Script::Rename(const std::string& to) {
  names_.push_back(to);
  if (Did(disk_.RenameAt(place_.dir_fd, place_.name.c_str(), place_.dir_fd, to.c_str(), 0))) {
    place_.name = to;
  }
}

void Script::Link(const std::string& to) {
  names_.push_back(to);
  (void)Did(disk_.LinkAt(place_.dir_fd, place_.name.c_str(), to.c_str()));
}

void Script::Unlink() {
  history_.MayBeGone(disk_.op_count());
  if (Did(disk_.UnlinkAt(place_.dir_fd, place_.name.c_str(), 0))) place_.is_gone = true;
}

void Script::Interpose(Call call, const std::string& path_part, std::function<void()> step,
                       int occurrence) {
  was_interposed_ = false;
  disk_.before = [=, this](Call what, const std::string& path) mutable {
    if (what != call || path.find(path_part) == std::string::npos || --occurrence != 0) return 0;
    was_interposed_ = true;
    std::thread(step).join();
    return 0;
  };
}

void Script::End() {
  disk_.before = nullptr;
  content_.reset();
  store_.reset();
}

}  // namespace gzipfs::crash
