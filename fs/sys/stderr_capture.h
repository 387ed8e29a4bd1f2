// Collects what libraries and helper programs write to stderr, so that it can
// become part of one sentence.
#pragma once

#include <string>

#include "fs/sys/unique_fd.h"

namespace gzipfs {

// From its construction to End() descriptor 2 of this process is a file in
// memory. Where that cannot be had, stderr stays as it is. One at a time per
// process.
class StderrCapture {
 public:
  StderrCapture();
  ~StderrCapture() { Restore(); }
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  // Puts stderr back; returns the last line that was written meanwhile.
  std::string End();

 private:
  void Restore();

  UniqueFd memory_;
  UniqueFd saved_;  // the real stderr; empty when nothing is captured
};

}  // namespace gzipfs
