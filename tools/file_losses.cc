// Plain bytes are told as "A to B", both included, counted from 0.
#include "tools/file_losses.h"

#include "tools/messages.h"

namespace gzipfs {
namespace {

constexpr size_t kMaxKeptLosses = 10'000;
constexpr size_t kMaxToldLosses = 50;

std::string DescribeLoss(const FileLoss& loss, uint64_t file_bytes) {
  const std::string reason = Describe(loss.error);
  if (loss.member_count == 0 && loss.file_offset == 0) return reason;
  if (loss.member_count == 0 && loss.plain_bytes == 0) {
    return fmt::format("{} bytes from file offset {} on (plain offset {}): {}",
                       file_bytes - loss.file_offset, loss.file_offset, loss.plain_offset,
                       reason);
  }
  const std::string place =
      loss.member_count > 1
          ? fmt::format("{} members from file offset {} on", loss.member_count, loss.file_offset)
          : fmt::format("member at file offset {}", loss.file_offset);
  if (loss.plain_bytes == 0) return fmt::format("{}, without plain bytes: {}", place, reason);
  return fmt::format("plain bytes {} to {}, {}: {}", loss.plain_offset,
                     loss.plain_offset + loss.plain_bytes - 1, place, reason);
}

std::vector<FileLoss> JoinAdjoining(const std::vector<FileLoss>& losses) {
  std::vector<FileLoss> joined;
  for (const FileLoss& loss : losses) {
    FileLoss* const last = joined.empty() ? nullptr : &joined.back();
    if (last && last->plain_bytes > 0 && loss.plain_bytes > 0 && last->member_count > 0 &&
        loss.member_count > 0 && last->plain_offset + last->plain_bytes == loss.plain_offset &&
        last->error == loss.error) {
      last->plain_bytes += loss.plain_bytes;
      last->member_count += loss.member_count;
    } else {
      joined.push_back(loss);
    }
  }
  return joined;
}

}  // namespace

void FileLosses::Add(const FileLoss& loss) {
  if (losses_.size() < kMaxKeptLosses) {
    losses_.push_back(loss);
    return;
  }
  ++unkept_count_;
  unkept_plain_bytes_ += loss.plain_bytes;
}

void FileLosses::DropFrom(uint64_t file_offset) {
  while (!losses_.empty() && losses_.back().file_offset >= file_offset) losses_.pop_back();
}

std::vector<std::string> FileLosses::Describe(uint64_t file_bytes) const {
  std::vector<std::string> lines;
  uint64_t untold_count = unkept_count_;
  uint64_t untold_plain_bytes = unkept_plain_bytes_;
  for (const FileLoss& loss : JoinAdjoining(losses_)) {
    if (lines.size() < kMaxToldLosses) {
      lines.push_back(DescribeLoss(loss, file_bytes));
    } else {
      ++untold_count;
      untold_plain_bytes += loss.plain_bytes;
    }
  }
  if (untold_count > 0) {
    lines.push_back(fmt::format("{} more like this, with {} plain bytes", untold_count,
                                untold_plain_bytes));
  }
  return lines;
}

}  // namespace gzipfs
