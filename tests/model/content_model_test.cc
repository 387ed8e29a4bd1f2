// Content against an in-memory file: random operations, the same answers.
//
// GZIPFS_MODEL_SECONDS sets how long each configuration runs (default 5),
// GZIPFS_MODEL_SEED the first seed; the seed of a failure is printed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>

#include "fs/store/content.h"
#include "fs/store/store.h"

namespace gzipfs {
namespace {

int EnvironmentNumber(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

// A place that never moves.
class FixedPlace final : public BasePlace {
 public:
  FixedPlace(int dir_fd, std::string name) : dir_fd_(dir_fd), name_(std::move(name)) {}
  Result<void> WithPlace(
      const std::function<Result<void>(int dir_fd, const char* name)>& action) override {
    return action(dir_fd_, name_.c_str());
  }
  void BaseReplaced(const struct stat&) override {}

 private:
  int dir_fd_;
  std::string name_;
};

struct Setup {
  const char* name;
  StoreOptions options;
  uint64_t max_bytes;
};

class ContentModel : public ::testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    const auto parent = std::filesystem::temp_directory_path();
    std::string pattern = (parent / "content_model.XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    StoreOptions options = GetParam().options;
    options.thread_count = 2;
    auto store = Store::Open(root_, options, RealFileOps());
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    dir_fd_ = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY);
    place_ = std::make_unique<FixedPlace>(dir_fd_, "file.gz");
    Reopen(true);
  }
  void TearDown() override {
    content_.reset();
    store_.reset();
    ::close(dir_fd_);
    std::filesystem::remove_all(root_);
  }

  void Reopen(bool is_new) {
    content_.reset();
    const int fd = ::openat(dir_fd_, "file.gz", O_RDWR | (is_new ? O_CREAT : 0), 0600);
    ASSERT_GE(fd, 0);
    auto content = OpenContent(*store_, UniqueFd(fd), true, is_new, *place_);
    ASSERT_TRUE(content) << content.error().message();
    content_ = *content;
  }

  uint64_t Below(uint64_t limit) { return limit ? random_() % limit : 0; }
  // Offsets near block borders are the interesting ones.
  uint64_t SomeOffset() {
    const uint64_t at = Below(GetParam().max_bytes);
    if (Below(2)) return at;
    return RoundDown(at, store_->block_bytes()) + Below(5) - std::min<uint64_t>(at, 2);
  }
  uint64_t SomeLength() {
    switch (Below(4)) {
      case 0: return 1 + Below(100);
      case 1: return 1 + Below(5000);
      case 2: return store_->block_bytes();
      default: return 1 + Below(3 * store_->block_bytes());
    }
  }
  std::string SomeBytes(uint64_t count) {
    std::string bytes(count, '\0');
    const auto kind = Below(3);
    if (kind == 0) return bytes;
    for (char& byte : bytes) {
      byte = static_cast<char>(kind == 1 ? random_() : 'a' + (random_() >> 7) % 4);
    }
    return bytes;
  }

  void Write() {
    const uint64_t at = SomeOffset() % GetParam().max_bytes;
    const std::string bytes = SomeBytes(SomeLength());
    if (model_.size() < at + bytes.size()) model_.resize(at + bytes.size());
    model_.replace(at, bytes.size(), bytes);
    const auto source = Below(2) == 0 ? WriteSource::kProgram : WriteSource::kKernel;
    auto done = content_->Write(at, std::as_bytes(std::span(bytes)), source);
    ASSERT_TRUE(done) << done.error().message();
  }
  void Append() {
    for (auto i = Below(20); i-- > 0;) {
      const std::string bytes = SomeBytes(SomeLength());
      model_ += bytes;
      auto at = content_->WriteAtEnd(std::as_bytes(std::span(bytes)));
      ASSERT_TRUE(at) << at.error().message();
      ASSERT_EQ(*at + bytes.size(), model_.size());
      if (model_.size() > GetParam().max_bytes * 2) break;
    }
  }
  void Truncate() {
    uint64_t size = SomeOffset() % GetParam().max_bytes;
    if (Below(4) == 0) size = 0;
    model_.resize(size);
    auto done = content_->Truncate(size);
    ASSERT_TRUE(done) << done.error().message();
  }
  void Zero() {
    const uint64_t at = SomeOffset() % GetParam().max_bytes;
    const uint64_t end = at + SomeLength();
    const bool may_grow = Below(2);
    if (may_grow && model_.size() < end) model_.resize(end);
    if (at < model_.size()) {
      const uint64_t count = std::min<uint64_t>(end, model_.size()) - at;
      model_.replace(at, count, std::string(count, '\0'));
    }
    auto done = content_->Zero(at, end, may_grow);
    ASSERT_TRUE(done) << done.error().message();
  }
  void Sync() {
    auto done = content_->Sync();
    ASSERT_TRUE(done) << done.error().message();
  }
  void Read(uint64_t at, uint64_t count) {
    std::string bytes(count, '?');
    auto got = content_->Read(at, std::as_writable_bytes(std::span(bytes)));
    ASSERT_TRUE(got) << got.error().message() << " at " << at;
    bytes.resize(*got);
    const std::string expected = at < model_.size() ? model_.substr(at, count) : "";
    ASSERT_EQ(bytes.size(), expected.size()) << "at " << at;
    if (bytes != expected) {
      const auto where = std::mismatch(bytes.begin(), bytes.end(), expected.begin()).first;
      FAIL() << "first difference at " << at + static_cast<uint64_t>(where - bytes.begin());
    }
  }

  // The settled base as gzip sees it.
  void CompareWithZcat() {
    auto done = content_->Settle();
    ASSERT_TRUE(done) << done.error().message();
    ASSERT_TRUE(content_->IsSettled());
    const std::string plain_path = root_ + "/plain";
    const std::string command = "gzip -dc '" + root_ + "/file.gz' > '" + plain_path + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::ifstream plain(plain_path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(plain)), {});
    ASSERT_EQ(bytes.size(), model_.size());
    ASSERT_TRUE(bytes == model_) << "zcat gives other bytes";
  }

  void Step() {
    switch (Below(28)) {
      case 0: return Truncate();
      case 1: case 2: return Append();
      case 3: {
        auto done = content_->Flush();
        ASSERT_TRUE(done) << done.error().message();
        return;
      }
      case 4: {
        auto done = content_->Settle();
        ASSERT_TRUE(done) << done.error().message();
        return;
      }
      case 5: {
        if (Below(4) != 0) return;
        CompareWithZcat();
        if (!HasFatalFailure()) Reopen(false);
        return;
      }
      case 6: case 7: case 8: case 9: case 10: case 11: case 12: return Write();
      case 13: return Read(0, model_.size() + 10);
      case 14: case 15: return Zero();
      case 16: return Sync();
      default: return Read(SomeOffset(), SomeLength());
    }
  }

  std::string root_;
  std::unique_ptr<Store> store_;
  int dir_fd_ = -1;
  std::unique_ptr<FixedPlace> place_;
  std::shared_ptr<Content> content_;
  std::string model_;
  std::mt19937_64 random_;
};

TEST_P(ContentModel, BehavesLikeAFileInMemory) {
  const auto begin = std::chrono::steady_clock::now();
  const std::chrono::seconds limit(EnvironmentNumber("GZIPFS_MODEL_SECONDS", 5));
  uint64_t seed = static_cast<uint64_t>(
      EnvironmentNumber("GZIPFS_MODEL_SEED", static_cast<int>(std::random_device{}() >> 1)));
  uint64_t steps = 0;
  for (; std::chrono::steady_clock::now() - begin < limit; ++seed) {
    SCOPED_TRACE(testing::Message() << "GZIPFS_MODEL_SEED=" << seed);
    random_.seed(seed);
    ASSERT_TRUE(content_->Truncate(0));
    model_.clear();
    for (int i = 0; i < 300; ++i, ++steps) {
      Step();
      if (HasFatalFailure()) return;
      ASSERT_EQ(content_->plain_bytes(), model_.size());
    }
    Read(0, model_.size());
    if (HasFatalFailure()) return;
    CompareWithZcat();
    if (HasFatalFailure()) return;
  }
  std::cout << steps << " steps, last seed " << seed - 1 << "\n";
}

INSTANTIATE_TEST_SUITE_P(
    All, ContentModel,
    ::testing::Values(
        Setup{"Default", {.level = kLevelAuto}, 3 * kMiB},
        Setup{"SmallFile", {.level = kLevelFast}, 200 * kKiB},
        Setup{"TinyBudget", {.level = kLevelFast, .cache_bytes = kMiB, .dirty_bytes = 256 * kKiB},
              2 * kMiB},
        Setup{"LargeBlocks", {.level = kLevelFast, .block_bytes = 128 * kKiB}, 3 * kMiB}),
    [](const auto& setup) { return setup.param.name; });

}  // namespace
}  // namespace gzipfs
