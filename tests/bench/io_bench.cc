// The timed part of the workloads of tests/bench/run that do I/O on one file.
//
// usage: io_bench write FILE INPUT CHUNK_BYTES    new file, written in chunks, fsync, close
//        io_bench read FILE CHUNK_BYTES           from front to back
//        io_bench random-read FILE COUNT SEED     4 KiB at random multiples of 4 KiB
//        io_bench download FILE INPUT BYTES PROCESSES  ranges of one preallocated file, by
//                                                 one process each, in writes of 1 KiB
//        io_bench stat FILE COUNT                 once, and COUNT times more with pauses, for
//                                                 which the kernel has nothing left that it trusts
//        io_bench first-byte FILE OFFSET          open, and one byte from there
//
// INPUT is in memory before the clocks start. Prints the seconds, and for how many of them
// this process had a processor; for stat those of the first one, and the median of the others.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kDownloadChunkBytes = 1024;

[[noreturn]] void Stop(const char* what) {
  std::perror(what);
  std::exit(1);
}

int Open(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0) Stop(path);
  return fd;
}

uint64_t Number(const char* text) { return std::strtoull(text, nullptr, 10); }

// What the workload took.
struct Cost {
  double seconds = -1;
  double cpu_seconds = 0;
};

double CpuSeconds() {
  double seconds = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    struct rusage usage {};
    if (::getrusage(who, &usage) != 0) Stop("getrusage");
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
  }
  return seconds;
}

class Clock {
 public:
  Cost Read() const {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
    return {took.count(), CpuSeconds() - cpu_begin_};
  }

 private:
  const double cpu_begin_ = CpuSeconds();
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

std::vector<char> ReadWhole(const char* path) {
  const int fd = Open(path, O_RDONLY);
  struct stat attributes {};
  if (::fstat(fd, &attributes) != 0) Stop("fstat");
  std::vector<char> bytes(static_cast<size_t>(attributes.st_size));
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (count <= 0) Stop("read of the input");
    done += static_cast<size_t>(count);
  }
  ::close(fd);
  return bytes;
}

void WriteAt(int fd, const char* bytes, size_t byte_count, uint64_t offset) {
  const ssize_t count = ::pwrite(fd, bytes, byte_count, static_cast<off_t>(offset));
  if (count != static_cast<ssize_t>(byte_count)) Stop("pwrite");
}

Cost Write(const char* path, const char* input, size_t chunk_bytes) {
  const std::vector<char> bytes = ReadWhole(input);
  const Clock clock;
  const int fd = Open(path, O_WRONLY | O_CREAT | O_TRUNC);
  for (size_t done = 0; done < bytes.size(); done += chunk_bytes) {
    const size_t count = std::min(chunk_bytes, bytes.size() - done);
    if (::write(fd, bytes.data() + done, count) != static_cast<ssize_t>(count)) Stop("write");
  }
  if (::fsync(fd) != 0) Stop("fsync");
  if (::close(fd) != 0) Stop("close");
  return clock.Read();
}

Cost ReadAll(const char* path, size_t chunk_bytes) {
  std::vector<char> buffer(chunk_bytes);
  const Clock clock;
  const int fd = Open(path, O_RDONLY);
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0) Stop("read");
    if (count == 0) return clock.Read();
  }
}

Cost RandomRead(const char* path, uint64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<char> buffer(kPageBytes);
  const int fd = Open(path, O_RDONLY);
  struct stat attributes {};
  if (::fstat(fd, &attributes) != 0) Stop("fstat");
  const uint64_t page_count = static_cast<uint64_t>(attributes.st_size) / kPageBytes;
  if (page_count == 0) Stop("a file without a page");
  const Clock clock;
  for (uint64_t i = 0; i < count; ++i) {
    const auto offset = static_cast<off_t>(random() % page_count * kPageBytes);
    if (::pread(fd, buffer.data(), buffer.size(), offset) != static_cast<ssize_t>(kPageBytes)) {
      Stop("pread");
    }
  }
  return clock.Read();
}

void DownloadRange(const char* path, const std::vector<char>& bytes, uint64_t begin,
                   uint64_t end) {
  const int fd = Open(path, O_WRONLY);
  for (uint64_t at = begin; at < end; at += kDownloadChunkBytes) {
    const uint64_t count = std::min(kDownloadChunkBytes, end - at);
    const uint64_t from = at % (bytes.size() - kDownloadChunkBytes);
    WriteAt(fd, bytes.data() + from, count, at);
  }
  if (::close(fd) != 0) Stop("close");
}

Cost Download(const char* path, const char* input, uint64_t byte_count, unsigned processes) {
  const std::vector<char> bytes = ReadWhole(input);
  const Clock clock;
  const int fd = Open(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (::posix_fallocate(fd, 0, static_cast<off_t>(byte_count)) != 0) Stop("posix_fallocate");
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t child = ::fork();
    if (child < 0) Stop("fork");
    if (child > 0) continue;
    DownloadRange(path, bytes, byte_count / processes * i,
                  i + 1 == processes ? byte_count : byte_count / processes * (i + 1));
    ::_exit(0);
  }
  bool failed = false;
  for (unsigned i = 0; i < processes; ++i) {
    int status = 0;
    if (::wait(&status) < 0) Stop("wait");
    failed = failed || status != 0;
  }
  if (failed) Stop("a download failed");
  if (::fsync(fd) != 0) Stop("fsync");
  if (::close(fd) != 0) Stop("close");
  return clock.Read();
}

double SecondsOfStat(const char* path) {
  struct stat attributes {};
  const Clock clock;
  if (::stat(path, &attributes) != 0) Stop("stat");
  return clock.Read().seconds;
}

void Stat(const char* path, uint64_t count) {
  constexpr std::chrono::milliseconds kPause(1100);  // names and attributes are trusted for 1 s
  const double first = SecondsOfStat(path);
  std::vector<double> others;
  for (uint64_t i = 0; i < count; ++i) {
    std::this_thread::sleep_for(kPause);
    others.push_back(SecondsOfStat(path));
  }
  std::sort(others.begin(), others.end());
  std::printf("%.7f %.7f\n", first, others[others.size() / 2]);
}

Cost FirstByte(const char* path, uint64_t offset) {
  char byte = 0;
  const Clock clock;
  const int fd = Open(path, O_RDONLY);
  if (::pread(fd, &byte, 1, static_cast<off_t>(offset)) != 1) Stop("pread");
  return clock.Read();
}

Cost Run(const std::vector<std::string>& words) {
  const std::string& what = words[0];
  const char* const path = words[1].c_str();
  const auto word = [&](size_t i) { return words[i].c_str(); };
  const size_t count = words.size();
  if (what == "write" && count == 4) return Write(path, word(2), Number(word(3)));
  if (what == "read" && count == 3) return ReadAll(path, Number(word(2)));
  if (what == "random-read" && count == 4) {
    return RandomRead(path, Number(word(2)), Number(word(3)));
  }
  if (what == "download" && count == 5) {
    return Download(path, word(2), Number(word(3)), static_cast<unsigned>(Number(word(4))));
  }
  if (what == "first-byte" && count == 3) return FirstByte(path, Number(word(2)));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "stat" && Number(argv[3]) > 0) {
    return Stat(argv[2], Number(argv[3])), 0;
  }
  const Cost cost = words.size() < 2 ? Cost{} : Run(words);
  if (cost.seconds < 0) return std::fprintf(stderr, "see the head of io_bench.cc\n"), 2;
  std::printf("%.7f %.4f\n", cost.seconds, cost.cpu_seconds);
  return 0;
}
