// Writes a complete new base file from front to back.
//
// Members come from three places: copied as bytes from the old base, given
// ready-made, or encoded by the pool from plain bytes that a function reads.
// Whatever the order of completion, they stand in the order of the calls.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "codec/member.h"
#include "codec/member_index.h"
#include "codec/ordered_results.h"
#include "fs/store/store.h"

namespace gzipfs {

// One thread at a time. After an error every call returns it.
class ImageWriter {
 public:
  // Fills `out` with the plain bytes from `plain_offset` on; called on a worker,
  // if the pool is used.
  using ReadPlain = std::function<Result<void>(uint64_t plain_offset, std::span<std::byte> out)>;

  struct Effort {
    int level;              // of compression
    // Asked for each block: workers read and encode it rather than the caller.
    std::function<bool()> uses_pool;
  };

  // Writes to `fd`, which must be empty and outlive the writer.
  ImageWriter(Store& store, int fd, Profile profile, uint64_t block_bytes, Effort effort)
      : store_(store), fd_(fd), profile_(profile), block_bytes_(block_bytes),
        effort_(std::move(effort)) {}
  ~ImageWriter();

  // Encodes [plain_offset, plain_offset + byte_count), at most one block.
  void AddPlain(ReadPlain read, uint64_t plain_offset, uint64_t byte_count);
  void AddEncoded(std::shared_ptr<const EncodedBlock> block);
  // `count` copies of one block.
  void AddRepeated(const EncodedBlock& block, uint64_t count);
  // Stored bytes of `from_fd` that are the given members, or the given group.
  void CopyMember(int from_fd, const MemberInfo& member);
  void CopyGroup(int from_fd, const MemberGroup& group);

  // Writes what is left and the tail. The file is complete, not yet durable.
  Result<void> Finish();
  uint64_t plain_bytes() const { return index_.plain_bytes(); }

 private:
  class PlainJob;
  using Encoded = std::shared_ptr<const EncodedBlock>;

  void Take(bool wait_for_all);
  void Copy(int from_fd, uint64_t from_offset, uint64_t byte_count);
  void FlushCopy();
  void FlushBatch();
  void Write(Encoded block);

  Store& store_;
  const int fd_;
  const Profile profile_;
  const uint64_t block_bytes_;
  const Effort effort_;
  MemberIndex index_;
  std::error_code error_;
  OrderedResults<Result<Encoded>> results_;
  std::vector<Encoded> batch_;       // encoded, not written yet
  uint64_t batch_bytes_ = 0;
  uint64_t written_bytes_ = 0;       // of the image
  struct {
    int fd = -1;
    uint64_t offset = 0;
    uint64_t byte_count = 0;
  } copy_;                           // not done yet; never together with a batch
};

}  // namespace gzipfs
