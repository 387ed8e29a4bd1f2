// What pack and unpack do with each file they are given, as gzip(1) does it.
#pragma once

#include <string>
#include <vector>

#include "tools/pack_stream.h"

namespace gzipfs {

// gzip's exit statuses besides 0; the worst of all files counts, an error more
// than a warning.
inline constexpr int kExitError = 1;
inline constexpr int kExitWarning = 2;

struct GzipArguments {
  enum class Action : uint8_t { kCompress, kDecompress, kTest, kList };

  std::string command;                // "pack" or "unpack", for messages
  Action action = Action::kCompress;
  std::vector<std::string> paths;     // none: standard input
  std::string out_path;               // -o; empty: as gzip names it
  std::string suffix = ".gz";
  PackOptions pack;
  unsigned thread_count = 1;
  bool to_stdout = false;
  bool keeps = false;
  bool is_forced = false;
  bool is_recursive = false;
  bool is_verbose = false;
  bool is_quiet = false;
};

// Works through all files, in order; the exit status.
int RunGzip(const GzipArguments& arguments);

// The parts of it, which share `pool`. One thread at a time.
class GzipRun {
 public:
  explicit GzipRun(const GzipArguments& arguments);
  ~GzipRun();
  GzipRun(const GzipRun&) = delete;
  GzipRun& operator=(const GzipRun&) = delete;

  void Do(const std::string& path);
  int Finish();

 private:
  struct Input;

  void DoStandardInput();
  void DoDirectory(const std::string& path);
  bool Prepare(const std::string& path, Input& input);
  bool MayReplaceInput(const Input& input);
  static bool HasChanged(const Input& input, bool follows_links);
  void ToNamedOutput(const Input& input, const std::string& target);
  void ToDescriptor(const Input& input, int out_fd, const std::string& out_name);
  bool Convert(const Input& input, int out_fd, const std::string& out_name);
  bool Compress(const Input& input, int out_fd, const std::string& out_name);
  bool Decompress(const Input& input, int out_fd, const std::string& out_name);
  void ToOutputOption(const Input& input);
  void List(const Input& input);
  void SayDone(const Input& input, const std::string& outcome);
  bool ToStandardOutput() const;

  void Error(const std::string& sentence);
  void Warn(const std::string& sentence);

  const GzipArguments& arguments_;
  const bool is_compressing_;
  CodecPool pool_;
  int exit_status_ = 0;
  // Of the file just done.
  uint64_t plain_bytes_ = 0;
  uint64_t stored_bytes_ = 0;
  uint64_t member_count_ = 0;
  // Of those listed so far.
  uint64_t listed_count_ = 0;
  uint64_t listed_plain_bytes_ = 0;
  uint64_t listed_stored_bytes_ = 0;
};

}  // namespace gzipfs
