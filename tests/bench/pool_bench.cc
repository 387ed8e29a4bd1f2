// What compressing costs in memory, for tests/bench/run: no file, no mount.
//
// usage: pool_bench pool INPUT LEVEL THREADS   through CodecPool and EncodeBlock
//        pool_bench alone INPUT LEVEL THREADS  the library's compressor on 64 KiB blocks,
//                                              the input cut into THREADS parts
//
// LEVEL: 0 for fast, 1 to 12. Prints the seconds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "codec/base/mutex.h"
#include "codec/codec_pool.h"
#include "codec/member.h"

namespace gzipfs {
namespace {

using Bytes = std::span<const std::byte>;

std::vector<Bytes> BlocksOf(Bytes input) {
  std::vector<Bytes> blocks;
  for (; !input.empty(); input = input.subspan(blocks.back().size())) {
    blocks.push_back(input.first(std::min<size_t>(input.size(), kBgzfBlockBytes)));
  }
  return blocks;
}

// Jobs under way: fewer than the queue holds, or CodecPool::Submit would run one right
// here and be one thread more.
class Window {
 public:
  explicit Window(size_t limit) : limit_(limit) {}
  void Begin() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (count_ >= limit_) changed_.Wait(mutex_);
    ++count_;
  }
  void End() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --count_;
    changed_.NotifyAll();
  }
  void AwaitAll() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (count_ > 0) changed_.Wait(mutex_);
  }

 private:
  const size_t limit_;
  Mutex mutex_;
  CondVar changed_;
  size_t count_ GUARDED_BY(mutex_) = 0;
};

class EncodeJob final : public Job {
 public:
  EncodeJob(Bytes block, int level, Window& window)
      : block_(block), level_(level), window_(window) {}
  void Run() override {
    (void)EncodeBlock(Profile::kBgzf, level_, block_);
    window_.End();
    delete this;
  }

 private:
  const Bytes block_;
  const int level_;
  Window& window_;
};

void RunPool(const std::vector<Bytes>& blocks, int level, unsigned thread_count) {
  CodecPool pool(thread_count);
  Window window(32 * thread_count);
  for (const Bytes block : blocks) {
    window.Begin();
    pool.Submit(new EncodeJob(block, level, window));
  }
  window.AwaitAll();
}

void RunAlone(const std::vector<Bytes>& blocks, int level, unsigned thread_count) {
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < thread_count; ++i) {
    threads.emplace_back([&, i] {
      const auto compressor = MakeCompressor(level);
      std::vector<std::byte> out(2 * kBgzfBlockBytes);
      for (size_t at = i; at < blocks.size(); at += thread_count) {
        (void)compressor->Deflate(blocks[at], out);
      }
    });
  }
}

}  // namespace
}  // namespace gzipfs

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "see the head of pool_bench.cc\n"), 2;
  std::ifstream file(argv[2], std::ios::binary);
  const std::string input{std::istreambuf_iterator<char>(file), {}};
  if (input.empty()) return std::fprintf(stderr, "cannot read %s\n", argv[2]), 1;
  const auto blocks = gzipfs::BlocksOf(std::as_bytes(std::span(input)));
  const int level = std::atoi(argv[3]);
  const auto threads = static_cast<unsigned>(std::atoi(argv[4]));
  const auto begin = std::chrono::steady_clock::now();
  if (std::string(argv[1]) == "pool") {
    gzipfs::RunPool(blocks, level, threads);
  } else {
    gzipfs::RunAlone(blocks, level, threads);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%.7f\n", took.count());
  return 0;
}
