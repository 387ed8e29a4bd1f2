// A store in a directory of its own, and the content of one file in it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "fs/store/content.h"
#include "fs/store/store.h"
#include "tests/unit/codec/stored_file.h"
#include "tests/unit/store/fault_ops.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs::test {

constexpr uint64_t kBlock = kBgzfBlockBytes;

inline struct stat StatOf(const std::string& path) {
  struct stat attributes{};
  EXPECT_EQ(::stat(path.c_str(), &attributes), 0) << path;
  return attributes;
}

// A place that is where the test says; may be renamed or unlinked by the test.
class TestPlace final : public BasePlace {
 public:
  TestPlace(int dir_fd, std::string name) : dir_fd_(dir_fd), name_(std::move(name)) {}
  Result<void> WithPlace(
      const std::function<Result<void>(int dir_fd, const char* name)>& action) override {
    return is_gone ? Fail(ENOENT) : action(dir_fd_, name_.c_str());
  }
  void BaseReplaced(const struct stat& new_base) override {
    ++replaced_count;
    replaced_ino = new_base.st_ino;
  }

  bool HasName() override { return has_name; }

  bool is_gone = false;
  bool has_name = false;  // the base's own removal is the test's
  int replaced_count = 0;
  ino_t replaced_ino = 0;

 private:
  int dir_fd_;
  std::string name_;
};

// Replaces a part of `plain`, which grows if need be.
inline void Overwrite(Buffer* plain, uint64_t plain_offset, std::span<const std::byte> bytes) {
  if (plain->size() < plain_offset + bytes.size()) plain->resize(plain_offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), plain->begin() + static_cast<ptrdiff_t>(plain_offset));
}

// One file, "file.gz", in an open store. The plain bytes that it should have
// are the test's to keep.
class StoreFixture : public ::testing::Test {
 protected:
  StoreFixture() = default;
  explicit StoreFixture(const StoreOptions& options) : options_(options) {}

  void SetUp() override { OpenStore(); }
  void TearDown() override {
    ops_.before = nullptr;  // it may refer to variables of the test
    CloseStore();
  }

  void OpenStore() {
    StoreOptions options = options_;
    if (options.thread_count == 0) options.thread_count = 2;
    auto store = Store::Open(dir_.path(), options, ops_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    dir_fd_ = UniqueFd(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    place_ = std::make_unique<TestPlace>(dir_fd_.get(), "file.gz");
  }
  void CloseStore() {
    content_.reset();
    store_.reset();
  }

  std::string base_path() const { return dir_ / "file.gz"; }

  // Lets go of the content and opens it anew from its base.
  Result<std::shared_ptr<Content>> TryOpen(bool is_new = false, int flags = O_RDWR) {
    content_.reset();
    const int fd = ::open(base_path().c_str(), flags | O_CLOEXEC | (is_new ? O_CREAT : 0), 0644);
    if (fd < 0) return Fail(errno);
    return OpenContent(*store_, UniqueFd(fd), flags == O_RDWR, is_new, *place_);
  }
  void Open(bool is_new = false) {
    auto content = TryOpen(is_new);
    ASSERT_TRUE(content) << content.error().message();
    content_ = *content;
  }
  // A settled file of these plain bytes, open.
  void Make(std::span<const std::byte> plain) {
    Open(/*is_new=*/true);
    Write(0, plain);
    Settle();
  }

  void Write(uint64_t plain_offset, std::span<const std::byte> bytes) {
    const auto done = content_->Write(plain_offset, bytes);
    ASSERT_TRUE(done) << done.error().message();
  }
  void Append(std::span<const std::byte> bytes) { Write(content_->plain_bytes(), bytes); }
  void Truncate(uint64_t plain_bytes) {
    const auto done = content_->Truncate(plain_bytes);
    ASSERT_TRUE(done) << done.error().message();
  }
  // The file holds `plain` before and after it is settled, and so does its base then.
  void SettleAndExpect(const Buffer& plain) {
    EXPECT_TRUE(ReadAll() == plain);
    Settle();
    EXPECT_TRUE(ReadAll() == plain);
    EXPECT_TRUE(Gunzipped() == plain);
    ExpectNothingDirty();
  }
  // A settled file whose middle is overwritten and synced: it has a log. What it holds then.
  Buffer MakeWithLog() {
    Buffer plain = TextLike(3 * kBlock, 1);
    Make(plain);
    const Buffer change = FromText("changed");
    Write(kBlock + 5, change);
    Overwrite(&plain, kBlock + 5, change);
    EXPECT_TRUE(content_->Sync());
    return plain;
  }
  void Flush() {
    const auto done = content_->Flush();
    ASSERT_TRUE(done) << done.error().message();
  }
  void Settle() {
    const auto done = content_->Settle();
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_TRUE(content_->IsSettled());
  }
  // A settled file holds no dirty bytes, once the compressors have let go of them.
  void ExpectNothingDirty() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (store_->budget().used_bytes() > 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(store_->budget().used_bytes(), 0u);
  }
  Result<Buffer> TryRead(uint64_t plain_offset, size_t byte_count) {
    Buffer bytes(byte_count, std::byte{'?'});
    const auto count = content_->Read(plain_offset, bytes);
    if (!count) return Fail(count.error());
    bytes.resize(*count);
    return bytes;
  }
  Buffer ReadAll() {
    auto bytes = TryRead(0, content_->plain_bytes() + 1);
    EXPECT_TRUE(bytes) << bytes.error().message();
    return bytes.value_or(Buffer{});
  }

  Buffer Base() const { return ReadFile(base_path()); }
  // What gzip makes of the base; nothing when it complains.
  Buffer Gunzipped() const {
    auto plain = GunzipAll(Base());
    EXPECT_TRUE(plain) << "gzip refuses the base";
    return plain.value_or(Buffer{});
  }
  // The members of the base that hold plain bytes.
  std::vector<MemberInfo> Members() const {
    const Buffer base = Base();
    std::vector<MemberInfo> members;
    const SpanSource source(base);
    MemberScanner scanner(source);
    for (;;) {
      auto member = scanner.Next();
      if (!member || !*member) return members;
      if ((*member)->plain_bytes > 0) members.push_back(**member);
    }
  }

  TempDir dir_;
  FaultOps ops_;
  StoreOptions options_{.level = 1};
  std::unique_ptr<Store> store_;
  UniqueFd dir_fd_;
  std::unique_ptr<TestPlace> place_;
  std::shared_ptr<Content> content_;
};

}  // namespace gzipfs::test
