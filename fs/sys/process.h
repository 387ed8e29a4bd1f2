// Processes, their limits and their standard streams.
//
// Errors are errno values of the system category.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "fs/sys/unique_fd.h"

namespace gzipfs {

struct ProgramResult {
  int exit_status = 0;     // 128 + N when signal N ended it
  std::string error_text;  // the last line it wrote to stderr
};

// What tells one run of the kernel from all others, proc(5); empty when it is not
// to be had.
std::string BootId();

// The memory of the machine in bytes.
uint64_t MachineMemoryBytes();

// Runs `words` (a program found in PATH, and its arguments) to its end.
Result<ProgramResult> RunProgram(const std::vector<std::string>& words);

// A descriptor that becomes readable when process `pid` ends (pidfd_open(2)).
// ESRCH when there is none.
Result<UniqueFd> WatchProcess(pid_t pid);
// Waits for the end of the process that WatchProcess gave `watch_fd` for.
Result<void> WaitForExit(int watch_fd);

// Lets this process open as many files as its hard limit allows.
void RaiseDescriptorLimit();

// Makes memory that was given back serve all threads, so that the process takes little more
// than what is in use at a time. glibc has up to 8 arenas a core, and what is free in one
// serves no other: blocks are made by the threads that serve requests and freed by others,
// so each arena comes to hold nearly all that all together may. To be called before there is
// a second thread. Does nothing where malloc is not glibc's.
void ShareFreedMemory();

// Lets the calling thread run after others that want a core; about a quarter of one
// is left to it beside a busy thread.
void LowerThreadPriority();

// Points stdin and stdout at /dev/null, and stderr, too, unless it is kept.
Result<void> DetachStandardStreams(bool keep_stderr);

// Waits for the end of a child; its exit status, 128 + N when signal N ended it.
Result<int> WaitForChild(pid_t pid);

// From here on SIGINT, SIGTERM, SIGHUP and SIGPIPE remove the file `path`
// before they end the process as usual; an empty path ends that. One path per
// process; for programs, not for daemons.
void RemoveOnSignal(const std::string& path);

// From here on the first SIGINT, SIGTERM or SIGHUP is only noted, for WasInterrupted,
// so that a program can bring to its end what it is doing; the second one ends the
// process as usual. Signals that are ignored stay so.
void CatchInterrupt();
// Thread-safe.
bool WasInterrupted();

}  // namespace gzipfs
