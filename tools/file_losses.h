// What is wrong with a file's members, gathered in file order and told to people.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

namespace gzipfs {

// A stretch of the file whose plain bytes cannot be had.
struct FileLoss {
  uint64_t plain_offset = 0;
  uint64_t plain_bytes = 0;   // 0: none, or nobody knows how many
  uint64_t file_offset = 0;
  uint64_t member_count = 1;  // 0: no member stands there, and nothing leads past it
  std::error_code error;
};

// One thread at a time. Memory is bounded: of very many only the sum is kept.
class FileLosses {
 public:
  void Add(const FileLoss& loss);
  // Forgets those at and behind `file_offset`.
  void DropFrom(uint64_t file_offset);
  bool empty() const { return losses_.empty(); }
  // Nothing is wrong but that the file's end is no member.
  bool is_only_end() const { return losses_.size() == 1 && losses_[0].member_count == 0; }
  const FileLoss& last() const { return losses_.back(); }

  // A line for each of the first ones, adjoining ones together, and one for the
  // others.
  std::vector<std::string> Describe(uint64_t file_bytes) const;

 private:
  std::vector<FileLoss> losses_;
  uint64_t unkept_count_ = 0;
  uint64_t unkept_plain_bytes_ = 0;
};

}  // namespace gzipfs
