// Flags of the connection that libfuse 3.14 does not know.
//
// Without FUSE_HANDLE_KILLPRIV_V2 the kernel asks for the extended attribute
// "security.capability" before every single write(2): with it, writes of 512
// bytes are about twenty times as fast. libfuse 3.14 has no name for it, so
// the reply to the kernel's first request, INIT, is patched on its way out
// (protocol: linux/fuse.h).
//
// The flag makes it this filesystem's duty to drop set-user-id and set-group-
// id bits when a file is written, truncated or given away (Vfs does).
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <span>

namespace gzipfs {

// Watches the messages of one session until INIT is answered. Thread-safe.
class InitPatch {
 public:
  // A request that was just read from the kernel.
  void SeeRequest(std::span<const std::byte> message);

  // Whether the reply made of `parts` is the one to INIT; then `reply`, a copy
  // of it, has the flags added and is to be sent instead.
  bool PatchReply(std::span<const iovec> parts, std::span<std::byte> reply, size_t& reply_bytes);

  // How much room PatchReply needs.
  static constexpr size_t kReplyRoomBytes = 256;

 private:
  static constexpr uint64_t kNoRequest = 0;  // the kernel begins at 2

  std::atomic<uint64_t> init_request_{kNoRequest};  // waits for its reply
};

}  // namespace gzipfs
