// Codec, index, scanner, queue and cache by themselves, for Google Benchmark.
//
// usage: build/gzipfs_bench [--benchmark_filter=...]   (target gzipfs_bench)
#include <benchmark/benchmark.h>

#include "codec/codec_pool.h"
#include "codec/member.h"
#include "codec/member_scanner.h"
#include "fs/store/block_cache.h"
#include "fs/store/walk_cache.h"
#include "tests/unit/codec/stored_file.h"

namespace gzipfs {
namespace {

using test::Buffer;

constexpr size_t kBlockBytes = kBgzfBlockBytes;

void SetBytes(benchmark::State& state, uint64_t bytes_each) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes_each));
}

void EncodeText(benchmark::State& state) {
  const Buffer plain = test::TextLike(kBlockBytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(EncodeBlock(Profile::kBgzf, static_cast<int>(state.range(0)), plain));
  }
  SetBytes(state, kBlockBytes);
}
BENCHMARK(EncodeText)->Arg(kLevelFast)->Arg(1)->Arg(6)->Arg(9)->Arg(12);

void EncodeNoise(benchmark::State& state) {
  const Buffer plain = test::Noise(kBlockBytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(EncodeBlock(Profile::kBgzf, static_cast<int>(state.range(0)), plain));
  }
  SetBytes(state, kBlockBytes);
}
BENCHMARK(EncodeNoise)->Arg(kLevelFast)->Arg(6);

void EncodeZeros(benchmark::State& state) {
  const Buffer plain(kBlockBytes);
  for (auto _ : state) benchmark::DoNotOptimize(EncodeBlock(Profile::kBgzf, 6, plain));
  SetBytes(state, kBlockBytes);
}
BENCHMARK(EncodeZeros);

void Decode(benchmark::State& state) {
  const EncodedBlock block =
      EncodeBlock(Profile::kBgzf, static_cast<int>(state.range(0)), test::TextLike(kBlockBytes));
  Buffer plain(kBlockBytes);
  for (auto _ : state) benchmark::DoNotOptimize(DecodeMember(block.bytes, plain));
  SetBytes(state, kBlockBytes);
}
BENCHMARK(Decode)->Arg(kLevelFast)->Arg(6);

// A file of so many GiB in full blocks; each of its members is the same.
MemberIndex IndexOf(int64_t gib) {
  MemberIndex index;
  for (uint64_t at = 0; at < static_cast<uint64_t>(gib) << 30; at += kBlockBytes) {
    index.Append(kBlockBytes, 16000 + at % 777);
  }
  return index;
}

void IndexFind(benchmark::State& state) {
  const MemberIndex index = IndexOf(state.range(0));
  uint64_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(index.Find(at % index.plain_bytes()));
    at += 1000003 * kBlockBytes + 17;
  }
}
BENCHMARK(IndexFind)->Arg(1)->Arg(100);

void IndexAppend(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(IndexOf(1));
  state.SetItemsProcessed(state.iterations() * ((1 << 30) / static_cast<int64_t>(kBlockBytes)));
}
BENCHMARK(IndexAppend);

test::StoredFile FileOf(size_t block_count) {
  const EncodedBlock block = EncodeBlock(Profile::kBgzf, 1, test::TextLike(kBlockBytes));
  test::StoredFile file;
  for (size_t i = 0; i < block_count; ++i) file.AddEncoded(block);
  file.AddTail();
  return file;
}

void LayoutFromTail(benchmark::State& state) {
  const test::StoredFile file = FileOf(4096);
  for (auto _ : state) benchmark::DoNotOptimize(test::Layout(file.bytes));
}
BENCHMARK(LayoutFromTail);

void ScanMembers(benchmark::State& state) {
  const test::StoredFile file = FileOf(4096);
  for (auto _ : state) benchmark::DoNotOptimize(test::Scan(file.bytes));
  state.SetItemsProcessed(state.iterations() * 4096);
}
BENCHMARK(ScanMembers);

void WalkOneGroup(benchmark::State& state) {
  const test::StoredFile file = FileOf(64);
  const SpanSource source(file.bytes);
  const MemberGroup group = *file.index.Find(0);
  for (auto _ : state) benchmark::DoNotOptimize(WalkGroup(source, group));
}
BENCHMARK(WalkOneGroup);

class CountJob final : public Job {
 public:
  void Run() override {
    if (left_.fetch_sub(1) == 1) left_.notify_all();
  }
  void Await(int count, CodecPool& pool) {
    left_ = count;
    for (int i = 0; i < count; ++i) pool.Submit(this);
    for (int left = left_; left > 0; left = left_) left_.wait(left);
  }

 private:
  std::atomic<int> left_{0};
};

void PoolHandOff(benchmark::State& state) {
  constexpr int kJobs = 1000;
  CodecPool pool(static_cast<unsigned>(state.range(0)));
  CountJob job;
  for (auto _ : state) job.Await(kJobs, pool);
  state.SetItemsProcessed(state.iterations() * kJobs);
}
BENCHMARK(PoolHandOff)->Arg(1)->Arg(2)->UseRealTime();

void CacheGet(benchmark::State& state) {
  static BlockCache cache(64 * kMiB);
  constexpr uint64_t kBlocks = 500;
  if (state.thread_index() == 0) {
    for (uint64_t i = 0; i < kBlocks; ++i) {
      cache.Put(1, i, std::make_shared<std::vector<std::byte>>(kBlockBytes));
    }
  }
  uint64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(cache.Get(1, i++ * 7919 % kBlocks));
}
BENCHMARK(CacheGet)->Threads(1)->Threads(2);

void CacheScan(benchmark::State& state) {
  BlockCache cache(64 * kMiB);
  const auto block = std::make_shared<std::vector<std::byte>>(kBlockBytes);
  uint64_t i = 0;
  for (auto _ : state) cache.Put(1, i++, block);
}
BENCHMARK(CacheScan);

void WalkCacheFind(benchmark::State& state) {
  WalkCache walks;
  const auto members = std::make_shared<const std::vector<MemberInfo>>(32);
  constexpr uint64_t kGroups = 400;
  const auto group_at = [](uint64_t i) {
    return MemberGroup{.plain_offset = i * 100, .plain_bytes = 100, .file_offset = i * 10,
                       .file_bytes = 10};
  };
  for (uint64_t i = 0; i < kGroups; ++i) walks.Add(group_at(i), members);
  uint64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(walks.Find(group_at(i++ * 7919 % kGroups)));
}
BENCHMARK(WalkCacheFind);

}  // namespace
}  // namespace gzipfs
