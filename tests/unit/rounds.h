// How often tests repeat themselves in a build that is slow for what they test.
#pragma once

namespace gzipfs::test {

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
inline constexpr int kSlowness = 8;  // and it can only find what several threads do
#elif !defined(__OPTIMIZE__)
inline constexpr int kSlowness = 4;
#else
inline constexpr int kSlowness = 1;
#endif

// `full`, for a test of one thread; less where it would take too long.
inline constexpr int Rounds(int full) { return full / kSlowness; }

}  // namespace gzipfs::test
