// The queue and threads of settler.h.
//
// Several threads, because settling a small file is mostly waiting for the
// disk; few, because settling a large one is bound by the workers that
// compress, which they share.
#include "fs/vfs/settler.h"

#include <algorithm>

#include "fs/vfs/open_file.h"

namespace gzipfs {
namespace {

constexpr size_t kThreadCount = 4;
constexpr size_t kMaxQueued = 256;
// Between tries, twice as long each time: a disk may stay full for days.
constexpr std::chrono::seconds kFirstRetryDelay{2};
constexpr unsigned kMaxDoublings = 4;

}  // namespace

Settler::Settler(Action action) : action_(std::move(action)) {
  for (size_t i = 0; i < kThreadCount; ++i) threads_.emplace_back([this] { Work(); });
}

Settler::~Settler() {
  {
    const MutexLock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.NotifyAll();
  threads_.clear();  // joins them
}

bool Settler::Add(std::shared_ptr<OpenFile> file) {
  {
    const MutexLock lock(mutex_);
    if (ready_.size() >= kMaxQueued) return false;
    ready_.push_back(std::move(file));
  }
  changed_.NotifyOne();
  return true;
}

void Settler::AddLater(std::shared_ptr<OpenFile> file) {
  {
    const unsigned doublings = std::min(file->CountSettleFailure(), kMaxDoublings);
    const auto due = Clock::now() + kFirstRetryDelay * (1u << doublings);
    const MutexLock lock(mutex_);
    const auto later = std::find_if(delayed_.begin(), delayed_.end(),
                                    [due](const Delayed& each) { return each.due > due; });
    delayed_.insert(later, {due, std::move(file)});
  }
  changed_.NotifyOne();
}

std::shared_ptr<OpenFile> Settler::Take() {
  const MutexLock lock(mutex_);
  while (!is_stopping_) {
    if (!ready_.empty()) {
      auto file = std::move(ready_.front());
      ready_.pop_front();
      return file;
    }
    if (delayed_.empty()) {
      changed_.Wait(mutex_);
      continue;
    }
    const auto wait = delayed_.front().due - Clock::now();
    if (wait <= Clock::duration::zero()) {
      auto file = std::move(delayed_.front().file);
      delayed_.pop_front();
      return file;
    }
    changed_.WaitFor(mutex_, std::chrono::ceil<std::chrono::milliseconds>(wait));
  }
  return nullptr;
}

void Settler::Work() {
  while (const auto file = Take()) {
    if (!action_(file)) AddLater(file);
  }
}

}  // namespace gzipfs
