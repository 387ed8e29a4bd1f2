// The workload of tests/bench/durable: small durable writes to one file.
//
// usage: durable_bench overwrite FILE SECONDS|COUNTx SEED
//        durable_bench append FILE SECONDS|COUNTx SEED
//
// overwrite: 4 KiB at a random multiple of 4 KiB, then fsync. append: 200 bytes,
// then fsync. What is written is text from FILE's own beginning, or letters where
// that is empty. Prints the operations in a second and the slowest one in
// milliseconds.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr size_t kOverwriteBytes = 4096;
constexpr size_t kAppendBytes = 200;
constexpr size_t kTextBytes = 1 << 20;

using Clock = std::chrono::steady_clock;

[[noreturn]] void Stop(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::vector<char> ReadText(int fd) {
  std::vector<char> text(kTextBytes);
  const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  if (count < 0) Stop("pread");
  for (size_t i = static_cast<size_t>(count); i < text.size(); ++i) {
    text[i] = static_cast<char>('a' + i * i % 251 % 26);
  }
  return text;
}

// "5" is seconds, "1000x" a number of operations.
struct Limit {
  double seconds = 1e9;
  uint64_t count = ~uint64_t{0};
  explicit Limit(const std::string& text) {
    if (text.ends_with('x')) {
      count = std::strtoull(text.c_str(), nullptr, 10);
    } else {
      seconds = std::atof(text.c_str());
    }
  }
};

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "see tests/bench/durable\n"), 2;
  const bool appends = std::string(argv[1]) == "append";
  const Limit limit(argv[3]);
  std::mt19937_64 random(std::strtoull(argv[4], nullptr, 10));
  const int fd = ::open(argv[2], O_RDWR | O_CREAT, 0644);
  if (fd < 0) Stop("open");
  struct stat attributes {};
  if (::fstat(fd, &attributes) != 0) Stop("fstat");
  const std::vector<char> text = ReadText(fd);
  const size_t byte_count = appends ? kAppendBytes : kOverwriteBytes;
  const uint64_t page_count = static_cast<uint64_t>(attributes.st_size) / kOverwriteBytes;
  if (!appends && page_count == 0) return std::fprintf(stderr, "an empty file\n"), 1;
  auto at = static_cast<uint64_t>(attributes.st_size);
  uint64_t done = 0;
  double slowest = 0;
  const auto begin = Clock::now();
  for (; done < limit.count && SecondsSince(begin) < limit.seconds; ++done) {
    if (!appends) at = random() % page_count * kOverwriteBytes;
    const char* const bytes = text.data() + random() % (text.size() - byte_count);
    const auto operation_begin = Clock::now();
    if (::pwrite(fd, bytes, byte_count, static_cast<off_t>(at)) !=
        static_cast<ssize_t>(byte_count)) {
      Stop("pwrite");
    }
    if (::fsync(fd) != 0) Stop("fsync");
    slowest = std::max(slowest, SecondsSince(operation_begin));
    if (appends) at += byte_count;
  }
  const double seconds = SecondsSince(begin);
  std::printf("%.0f %.1f\n", static_cast<double>(done) / seconds, slowest * 1e3);
  return ::close(fd) == 0 ? 0 : 1;
}
