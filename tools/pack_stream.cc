// Several small blocks make one job, so that handing it over costs little.
#include "tools/pack_stream.h"

#include <algorithm>
#include <memory>

#include "fs/sys/stream.h"

namespace gzipfs {
namespace {

constexpr uint64_t kMinBatchBytes = 512 * kKiB;

}  // namespace

// Encodes the blocks of a batch; owns it and deletes itself. `results` must
// outlive it.
class PackStream::EncodeJob final : public Job {
 public:
  EncodeJob(std::vector<std::byte> plain, const PackOptions& options, uint64_t serial,
            OrderedResults<EncodedBlock>& results)
      : plain_(std::move(plain)), options_(options), serial_(serial), results_(results) {}

  void Run() override {
    EncodedBlock batch;
    for (std::span<const std::byte> rest(plain_); !rest.empty();) {
      const auto block = rest.first(std::min<size_t>(rest.size(), options_.block_bytes));
      rest = rest.subspan(block.size());
      const EncodedBlock encoded = EncodeBlock(options_.profile, options_.level, block);
      batch.bytes.insert(batch.bytes.end(), encoded.bytes.begin(), encoded.bytes.end());
      batch.members.insert(batch.members.end(), encoded.members.begin(), encoded.members.end());
    }
    results_.Put(serial_, std::move(batch));
    delete this;
  }

 private:
  const std::vector<std::byte> plain_;
  const PackOptions options_;
  const uint64_t serial_;
  OrderedResults<EncodedBlock>& results_;
};

PackStream::PackStream(CodecPool& pool, const PackOptions& options)
    : pool_(pool),
      options_(options),
      batch_bytes_(std::max(options.block_bytes, kMinBatchBytes)),
      max_pending_(2 * pool.worker_count() + 2) {}

PackStream::~PackStream() {
  while (results_.pending() > 0) results_.Take();
}

tl::expected<void, PackFailure> PackStream::Copy(int in_fd, int out_fd) {
  for (bool has_more = true; has_more || results_.pending() > 0;) {
    while (has_more && results_.pending() < max_pending_) {
      const Result<bool> submitted = SubmitBatch(in_fd);
      if (!submitted)
        return tl::unexpected(PackFailure{PackFailure::Side::kInput, submitted.error()});
      has_more = *submitted;
    }
    if (results_.pending() == 0) break;
    const Result<void> written = WriteBatch(results_.Take(), out_fd);
    if (!written) return tl::unexpected(PackFailure{PackFailure::Side::kOutput, written.error()});
  }
  const Result<void> written = WriteTail(out_fd);
  if (!written) return tl::unexpected(PackFailure{PackFailure::Side::kOutput, written.error()});
  return {};
}

// Reads one batch and hands it to the pool; false when the input has ended.
Result<bool> PackStream::SubmitBatch(int in_fd) {
  std::vector<std::byte> plain(batch_bytes_);
  const Result<size_t> count = ReadStream(in_fd, plain);
  if (!count) return Fail(count.error());
  plain.resize(*count);
  if (plain.empty()) return false;
  const uint64_t serial = results_.NextSerial();
  pool_.Submit(new EncodeJob(std::move(plain), options_, serial, results_));
  return *count == batch_bytes_;
}

Result<void> PackStream::WriteBatch(const EncodedBlock& batch, int out_fd) {
  for (const EncodedMember& member : batch.members) {
    if (member.plain_bytes > kMaxPlainBytes - index_.plain_bytes())
      return Fail(DataError::kTooLarge);
    index_.Append(member.plain_bytes, member.member_bytes);
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
