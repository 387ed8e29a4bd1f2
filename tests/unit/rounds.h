// How often tests repeat themselves in a build that is slow for what they test.
#pragma once

namespace gzipfs::test {

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
inline constexpr int kThreadSanitizerFactor = 8;
#else
inline constexpr int kThreadSanitizerFactor = 1;
#endif

// `full`, for a test of one thread: an eighth of it under ThreadSanitizer, which takes ten
// times as long and can only find what several threads do.
inline constexpr int Rounds(int full) { return full / kThreadSanitizerFactor; }

}  // namespace gzipfs::test
