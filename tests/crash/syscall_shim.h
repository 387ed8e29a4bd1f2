// System calls that are interrupted, or do less than was asked, at will.
//
// syscall_shim.cc has functions with the names of the C library's, which call the
// kernel themselves: in a program that it is linked into, or that it is preloaded
// into as a library, they come first. Not with sanitizers, which do the same.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GZIPFS_HAS_SHIM 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GZIPFS_HAS_SHIM 0
#endif
#endif
#ifndef GZIPFS_HAS_SHIM
#define GZIPFS_HAS_SHIM 1
#endif

namespace gzipfs::crash {

enum class ShimFault {
  kNone,
  kInterrupt,  // EINTR, and nothing is done
  kHalf,       // half of the bytes, one at least
  kOneByte,
};

// Asked before each call; `transfers`: it may be short. Called on any thread.
using ShimHook = ShimFault (*)(bool transfers);

// From now on, in this process; null: no faults. Thread-safe.
void SetShimHook(ShimHook hook);

}  // namespace gzipfs::crash
