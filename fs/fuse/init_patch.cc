// The layout of INIT's reply is that of protocol 7.31, which libfuse 3.14
// speaks; a shorter or failed reply is left alone.
#include "fs/fuse/init_patch.h"

#include <linux/fuse.h>

#include <algorithm>
#include <cstring>

namespace gzipfs {

void InitPatch::SeeRequest(std::span<const std::byte> message) {
  fuse_in_header header;
  if (message.size() < sizeof header) return;
  std::memcpy(&header, message.data(), sizeof header);
  if (header.opcode != FUSE_INIT) return;
  fuse_init_in init{};
  const auto body = message.subspan(sizeof header);
  std::memcpy(&init, body.data(), std::min(body.size(), sizeof init));
  if ((init.flags & FUSE_HANDLE_KILLPRIV_V2) != 0) init_request_.store(header.unique);
}

bool InitPatch::PatchReply(std::span<const iovec> parts, std::span<std::byte> reply,
                           size_t& reply_bytes) {
  const uint64_t awaited = init_request_.load(std::memory_order_relaxed);
  if (awaited == kNoRequest || parts.empty()) return false;
  fuse_out_header header;
  if (parts[0].iov_len != sizeof header) return false;
  std::memcpy(&header, parts[0].iov_base, sizeof header);
  if (header.unique != awaited) return false;
  init_request_.store(kNoRequest);
  constexpr size_t kFlagsAt = sizeof header + offsetof(fuse_init_out, flags);
  if (header.error != 0 || header.len > reply.size() || header.len < kFlagsAt + sizeof(uint32_t)) {
    return false;
  }
  reply_bytes = 0;
  for (const iovec& part : parts) {
    std::memcpy(reply.data() + reply_bytes, part.iov_base, part.iov_len);
    reply_bytes += part.iov_len;
  }
  uint32_t flags;
  std::memcpy(&flags, reply.data() + kFlagsAt, sizeof flags);
  flags |= FUSE_HANDLE_KILLPRIV_V2;
  std::memcpy(reply.data() + kFlagsAt, &flags, sizeof flags);
  return true;
}

}  // namespace gzipfs
