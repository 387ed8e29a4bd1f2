// Parts are claimed one by one; the caller waits until all claimed ones are
// done, not for the helpers, which may come late and then find nothing.
#include "fs/store/decode_batch.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "codec/base/mutex.h"

namespace gzipfs {
namespace {

class Batch {
 public:
  explicit Batch(std::vector<DecodePart> parts) : parts_(std::move(parts)) {}

  void Work() EXCLUDES(mutex_) {
    for (;;) {
      const size_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= parts_.size()) return;
      Result<void> decoded = DecodeMember(parts_[i].member, parts_[i].plain);
      MutexLock lock(mutex_);
      if (!decoded) error_ = decoded.error();
      if (++done_count_ == parts_.size()) all_done_.NotifyAll();
    }
  }

  Result<void> Wait() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (done_count_ < parts_.size()) all_done_.Wait(mutex_);
    if (error_) return Fail(error_);
    return {};
  }

 private:
  const std::vector<DecodePart> parts_;
  std::atomic<size_t> next_{0};
  Mutex mutex_;
  CondVar all_done_;
  size_t done_count_ GUARDED_BY(mutex_) = 0;
  std::error_code error_ GUARDED_BY(mutex_);
};

class Helper final : public Job {
 public:
  explicit Helper(std::shared_ptr<Batch> batch) : batch_(std::move(batch)) {}
  void Run() override {
    batch_->Work();
    delete this;
  }

 private:
  std::shared_ptr<Batch> batch_;
};

}  // namespace

Result<void> DecodeMembers(CodecPool& pool, std::vector<DecodePart> parts) {
  constexpr size_t kPartsPerThread = 2;  // fewer are not worth a hand-off
  const size_t helper_count =
      std::min<size_t>(pool.worker_count(), parts.size() / kPartsPerThread);
  if (helper_count < 2) {
    for (const DecodePart& part : parts) GZIPFS_TRY(DecodeMember(part.member, part.plain));
    return {};
  }
  auto batch = std::make_shared<Batch>(std::move(parts));
  for (size_t i = 1; i < helper_count; ++i) pool.Submit(new Helper(batch));
  batch->Work();
  return batch->Wait();
}

}  // namespace gzipfs
