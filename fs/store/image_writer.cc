// Output is either a batch of encoded members or one pending copy, so that
// both become few, large calls.
#include "fs/store/image_writer.h"

#include <algorithm>

namespace gzipfs {
namespace {

constexpr uint64_t kBatchBytes = 1 * kMiB;

}  // namespace

class ImageWriter::PlainJob final : public Job {
 public:
  PlainJob(ImageWriter& writer, ReadPlain read, uint64_t plain_offset, uint64_t byte_count)
      : writer_(writer),
        read_(std::move(read)),
        plain_offset_(plain_offset),
        byte_count_(byte_count),
        serial_(writer.results_.NextSerial()) {}

  void Run() override {
    std::vector<std::byte> plain(byte_count_);
    Result<Encoded> result;
    if (Result<void> done = read_(plain_offset_, plain); !done) {
      result = Fail(done.error());
    } else {
      result = std::make_shared<EncodedBlock>(
          EncodeBlock(writer_.profile_, writer_.effort_.level, plain));
    }
    // The writer may go as soon as it has the result.
    ImageWriter& writer = writer_;
    const uint64_t serial = serial_;
    delete this;
    writer.results_.Put(serial, std::move(result));
  }

 private:
  ImageWriter& writer_;
  ReadPlain read_;
  uint64_t plain_offset_;
  uint64_t byte_count_;
  uint64_t serial_;
};

ImageWriter::~ImageWriter() {
  while (results_.pending() > 0) (void)results_.Take();
}

void ImageWriter::AddPlain(ReadPlain read, uint64_t plain_offset, uint64_t byte_count) {
  if (error_ || byte_count == 0) return;
  auto* const job = new PlainJob(*this, std::move(read), plain_offset, byte_count);
  if (effort_.uses_pool()) {
    store_.pool().Submit(job);
  } else {
    job->Run();
  }
  Take(/*wait_for_all=*/false);
}

// Takes results that are there; waits while too many are under way, or for all.
void ImageWriter::Take(bool wait_for_all) {
  if (!error_ && store_.is_hurried()) error_ = {ECANCELED, std::system_category()};
  const size_t limit = wait_for_all ? 0 : 2 * store_.pool().worker_count() + 2;
  for (;;) {
    std::optional<Result<Encoded>> result = results_.TryTake();
    if (!result) {
      if (results_.pending() <= limit) return;
      result = results_.Take();
    }
    if (!*result) {
      if (!error_) error_ = result->error();
    } else {
      Write(std::move(**result));
    }
  }
}

void ImageWriter::Write(Encoded block) {
  FlushCopy();
  if (error_) return;
  for (const EncodedMember& member : block->members) {
    index_.Append(member.plain_bytes, member.member_bytes);
  }
  batch_bytes_ += block->bytes.size();
  batch_.push_back(std::move(block));
  if (batch_bytes_ >= kBatchBytes) FlushBatch();
}

void ImageWriter::FlushBatch() {
  if (error_ || batch_.empty()) return;
  std::vector<iovec> parts;
  for (const Encoded& block : batch_) {
    parts.push_back({const_cast<std::byte*>(block->bytes.data()), block->bytes.size()});
  }
  Result<void> done = store_.ops().WriteVectorAt(fd_, written_bytes_, parts);
  if (!done) error_ = done.error();
  written_bytes_ += batch_bytes_;
  batch_bytes_ = 0;
  batch_.clear();
}

void ImageWriter::AddEncoded(Encoded block) {
  Take(/*wait_for_all=*/true);
  if (!error_) Write(std::move(block));
}

void ImageWriter::AddRepeated(const EncodedBlock& block, uint64_t count) {
  Take(/*wait_for_all=*/true);
  const auto shared = std::make_shared<EncodedBlock>(block);
  for (; count > 0 && !error_; --count) Write(shared);
}

void ImageWriter::Copy(int from_fd, uint64_t from_offset, uint64_t byte_count) {
  FlushBatch();
  if (copy_.byte_count > 0 && copy_.fd == from_fd &&
      copy_.offset + copy_.byte_count == from_offset) {
    copy_.byte_count += byte_count;
    return;
  }
  FlushCopy();
  copy_ = {from_fd, from_offset, byte_count};
}

void ImageWriter::FlushCopy() {
  if (copy_.byte_count == 0) return;
  if (!error_) {
    Result<void> done = store_.ops().CopyRange(copy_.fd, copy_.offset, fd_, written_bytes_,
                                               copy_.byte_count);
    if (!done) error_ = done.error();
  }
  written_bytes_ += copy_.byte_count;
  copy_.byte_count = 0;
}

void ImageWriter::CopyMember(int from_fd, const MemberInfo& member) {
  Take(/*wait_for_all=*/true);
  if (error_) return;
  Copy(from_fd, member.file_offset, member.member_bytes);
  index_.Append(member.plain_bytes, member.member_bytes);
}

void ImageWriter::CopyGroup(int from_fd, const MemberGroup& group) {
  Take(/*wait_for_all=*/true);
  if (error_) return;
  Copy(from_fd, group.file_offset, group.file_bytes);
  index_.AppendAlone(group.plain_bytes, group.file_bytes);
}

Result<void> ImageWriter::Finish() {
  Take(/*wait_for_all=*/true);
  FlushBatch();
  FlushCopy();
  if (error_) return Fail(error_);
  if (index_.plain_bytes() > kMaxPlainBytes) return Fail(EFBIG);
  const std::vector<std::byte> tail = index_.EncodeTail(profile_, block_bytes_);
  return store_.ops().WriteAt(fd_, written_bytes_, tail);
}

}  // namespace gzipfs
