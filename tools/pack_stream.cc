// Several small blocks make one job, so that handing it over costs little.
#include "tools/pack_stream.h"

#include <algorithm>
#include <memory>
#include <new>

#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

constexpr uint64_t kMinBatchBytes = 512 * kKiB;

}  // namespace

// Encodes the blocks of a batch; owns it and deletes itself. `results` must
// outlive it.
class PackStream::EncodeJob final : public Job {
 public:
  EncodeJob(std::vector<std::byte> plain, const PackOptions& options,
            OrderedResults<Result<EncodedBlock>>& results)
      : plain_(std::move(plain)), options_(options), results_(results) {}

  // Before it is submitted: from here on a result has to come.
  void Reserve() { serial_ = results_.NextSerial(); }

  void Run() override {
    Result<EncodedBlock> batch = Encode();
    if (batch) CodecPool::CountBytes(plain_.size(), batch->bytes.size());
    results_.Put(serial_, std::move(batch));
    delete this;
  }

 private:
  // ENOMEM: then nothing of the batch is written.
  Result<EncodedBlock> Encode() const {
    try {
      EncodedBlock batch;
      for (std::span<const std::byte> rest(plain_); !rest.empty();) {
        const auto block = rest.first(std::min<size_t>(rest.size(), options_.block_bytes));
        rest = rest.subspan(block.size());
        const EncodedBlock encoded = EncodeBlock(options_.profile, options_.level, block);
        batch.bytes.insert(batch.bytes.end(), encoded.bytes.begin(), encoded.bytes.end());
        batch.members.insert(batch.members.end(), encoded.members.begin(),
                             encoded.members.end());
      }
      return batch;
    } catch (const std::bad_alloc&) {
      return Fail(ENOMEM);
    }
  }

  const std::vector<std::byte> plain_;
  const PackOptions options_;
  uint64_t serial_ = 0;
  OrderedResults<Result<EncodedBlock>>& results_;
};

PackStream::PackStream(CodecPool* pool, const PackOptions& options)
    : pool_(pool),
      options_(options),
      batch_bytes_(std::max(options.block_bytes, kMinBatchBytes)),
      max_pending_(pool == nullptr ? 1 : 2 * pool->worker_count() + 2) {}

PackStream::~PackStream() {
  while (results_.pending() > 0) results_.Take();
}

tl::expected<void, PackFailure> PackStream::Copy(int in_fd, int out_fd) {
  return Copy([in_fd](std::span<std::byte> out) { return ReadStream(in_fd, out); }, out_fd);
}

tl::expected<void, PackFailure> PackStream::Copy(const PlainReader& next_plain, int out_fd) {
  using Side = PackFailure::Side;
  const auto fail = [](Side side, std::error_code code) {
    return tl::unexpected(PackFailure{side, code});
  };
  for (bool has_more = true; has_more || results_.pending() > 0;) {
    while (has_more && results_.pending() < max_pending_) {
      const Result<bool> submitted = SubmitBatch(next_plain);
      if (!submitted) return fail(Side::kInput, submitted.error());
      has_more = *submitted;
    }
    if (results_.pending() == 0) break;
    const Result<EncodedBlock> batch = results_.Take();
    if (!batch) return fail(Side::kWorker, batch.error());
    const Result<void> written = WriteBatch(*batch, out_fd);
    if (!written) return fail(Side::kOutput, written.error());
  }
  const Result<void> written = WriteTail(out_fd);
  if (!written) return fail(Side::kOutput, written.error());
  return {};
}

// Reads one batch and hands it to the pool; false when the input has ended.
Result<bool> PackStream::SubmitBatch(const PlainReader& next_plain) {
  std::vector<std::byte> plain(batch_bytes_);
  const Result<size_t> count = next_plain(plain);
  if (!count) return Fail(count.error());
  plain.resize(*count);
  if (plain.empty()) return false;
  plain_crc32_ = Crc32(plain_crc32_, plain);
  auto* job = new EncodeJob(std::move(plain), options_, results_);
  job->Reserve();
  if (pool_ == nullptr) {
    job->Run();
  } else {
    pool_->Submit(job);
  }
  return *count == batch_bytes_;
}

Result<void> PackStream::WriteBatch(const EncodedBlock& batch, int out_fd) {
  for (const EncodedMember& member : batch.members) {
    if (member.plain_bytes > kMaxPlainBytes - index_.plain_bytes())
      return Fail(DataError::kTooLarge);
    index_.Append(member.plain_bytes, member.member_bytes);
    ++member_count_;
  }
  return WriteStream(out_fd, batch.bytes);
}

Result<void> PackStream::WriteTail(int out_fd) {
  const std::vector<std::byte> tail = index_.EncodeTail(options_.profile, options_.block_bytes);
  GZIPFS_TRY(WriteStream(out_fd, tail));
  index_.AppendTail(tail.size());
  return {};
}

}  // namespace gzipfs
