// The flag that libfuse does not know gets into the reply to INIT, and into
// nothing else.
#include "fs/fuse/init_patch.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <cstring>
#include <optional>
#include <vector>

namespace gzipfs {
namespace {

constexpr uint64_t kInitNumber = 2;

std::vector<std::byte> Request(uint32_t opcode, uint32_t offered_flags) {
  fuse_in_header header{};
  header.opcode = opcode;
  header.unique = kInitNumber;
  fuse_init_in init{};
  init.flags = offered_flags;
  std::vector<std::byte> message(sizeof header + sizeof init);
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, &init, sizeof init);
  return message;
}

class InitPatchTest : public ::testing::Test {
 protected:
  // Sends a reply of `body_bytes` to request `number`; the flags that went out, or
  // nullopt when the reply was left alone.
  std::optional<uint32_t> Reply(uint64_t number, int error = 0,
                                size_t body_bytes = sizeof(fuse_init_out)) {
    fuse_init_out init{};
    init.flags = FUSE_BIG_WRITES;
    fuse_out_header header{};
    header.len = static_cast<uint32_t>(sizeof header + body_bytes);
    header.error = error;
    header.unique = number;
    const iovec parts[] = {{&header, sizeof header}, {&init, body_bytes}};
    std::byte reply[InitPatch::kReplyRoomBytes];
    size_t reply_bytes = 0;
    if (!patch_.PatchReply(parts, reply, reply_bytes)) return std::nullopt;
    EXPECT_EQ(reply_bytes, header.len);
    std::memcpy(&init, reply + sizeof header, body_bytes);
    return init.flags;
  }

  InitPatch patch_;
};

TEST_F(InitPatchTest, AddsTheFlagOnceToTheReplyToInit) {
  patch_.SeeRequest(Request(FUSE_INIT, FUSE_HANDLE_KILLPRIV_V2 | FUSE_BIG_WRITES));
  EXPECT_EQ(Reply(kInitNumber + 2), std::nullopt);
  EXPECT_EQ(Reply(kInitNumber), FUSE_HANDLE_KILLPRIV_V2 | FUSE_BIG_WRITES);
  EXPECT_EQ(Reply(kInitNumber), std::nullopt);
}

TEST_F(InitPatchTest, LeavesAKernelAloneThatDoesNotOfferIt) {
  patch_.SeeRequest(Request(FUSE_INIT, FUSE_BIG_WRITES));
  EXPECT_EQ(Reply(kInitNumber), std::nullopt);
}

TEST_F(InitPatchTest, LeavesOtherRequestsAndFailuresAlone) {
  patch_.SeeRequest(Request(FUSE_STATFS, FUSE_HANDLE_KILLPRIV_V2));
  EXPECT_EQ(Reply(kInitNumber), std::nullopt);
  patch_.SeeRequest(std::vector<std::byte>(3));
  patch_.SeeRequest(Request(FUSE_INIT, FUSE_HANDLE_KILLPRIV_V2));
  EXPECT_EQ(Reply(kInitNumber, -EPROTO), std::nullopt);
}

TEST_F(InitPatchTest, LeavesAShortReplyAlone) {
  patch_.SeeRequest(Request(FUSE_INIT, FUSE_HANDLE_KILLPRIV_V2));
  EXPECT_EQ(Reply(kInitNumber, 0, 8), std::nullopt);
}

}  // namespace
}  // namespace gzipfs
