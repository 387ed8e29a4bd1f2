// A base file of several groups, and tails for it that say whatever a test wants.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "fs/store/base_file.h"
#include "tests/unit/codec/lying_tail.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {

constexpr uint64_t kGroupPlain = 3000;
constexpr size_t kGroups = 4;

// The file: kGroups groups of kGroupPlain bytes, which are three members each.
class BaseFileLies : public StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    for (uint32_t i = 0; i < 3 * kGroups; ++i) {
      const Buffer text = TextLike(kGroupPlain / 3, i + 1);
      const size_t begin = members_.size();
      test::Append(&members_, EncodeBlock(Profile::kBgzf, 1, text).bytes);
      test::Append(&plain_, text);
      if (i % 3 == 0) truth_.push_back({kGroupPlain, 0});
      truth_.back().file_bytes += members_.size() - begin;
    }
  }
  void SetTail(const std::vector<ClaimedGroup>& groups) {
    Buffer file = members_;
    test::Append(&file, MakeTail(file.size(), groups));
    WriteFile(base_path(), file);
    told_bytes_ = 0;
    for (const ClaimedGroup& group : groups) told_bytes_ += group.plain_bytes;
  }
  // The truth, changed by `tell`.
  void SetLie(void (*tell)(std::vector<ClaimedGroup>& groups)) {
    std::vector<ClaimedGroup> groups = truth_;
    tell(groups);
    SetTail(groups);
  }
  std::unique_ptr<BaseFile> OpenBase() {
    auto base = BaseFile::Open(*store_, UniqueFd(::open(base_path().c_str(), O_RDWR | O_CLOEXEC)));
    EXPECT_TRUE(base) << base.error().message();
    return base ? std::move(*base) : nullptr;
  }
  // Opens it as by somebody who has heard nothing of its tail.
  std::unique_ptr<BaseFile> OpenUnprepared() {
    CloseStore();
    OpenStore();
    return OpenBase();
  }
  Result<Buffer> ReadBase(BaseFile& base, uint64_t plain_offset, size_t byte_count) {
    Buffer bytes(byte_count);
    GZIPFS_TRY(base.Read(plain_offset, bytes));
    return bytes;
  }
  bool IsRight(const Buffer& bytes, uint64_t plain_offset) const {
    return plain_offset + bytes.size() <= plain_.size() &&
           std::equal(bytes.begin(), bytes.end(), plain_.begin() + plain_offset);
  }
  // The base has the right size, and all of it can be read.
  void ExpectAllRight(BaseFile& base) {
    ASSERT_EQ(base.plain_bytes(), plain_.size());
    const auto all = ReadBase(base, 0, plain_.size());
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_TRUE(*all == plain_);
  }
  Result<void> AppendText(BaseFile& base, std::string_view text) {
    const EncodedBlock block = EncodeBlock(Profile::kBgzf, 1, FromText(text));
    const EncodedBlock* const one = &block;
    return base.Append(std::span(&one, 1), /*with_tail=*/true);
  }

  Buffer members_;
  Buffer plain_;
  std::vector<ClaimedGroup> truth_;
  uint64_t told_bytes_ = 0;
};

}  // namespace gzipfs::test
