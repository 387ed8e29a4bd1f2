// clang's thread-safety attributes under readable names; nothing elsewhere.
// The clang preset turns their warnings into errors.
#pragma once

#if defined(__clang__)
#define GZIPFS_ATTRIBUTE(x) __attribute__((x))
#else
#define GZIPFS_ATTRIBUTE(x)
#endif

#define CAPABILITY(x) GZIPFS_ATTRIBUTE(capability(x))
#define SCOPED_CAPABILITY GZIPFS_ATTRIBUTE(scoped_lockable)
#define GUARDED_BY(x) GZIPFS_ATTRIBUTE(guarded_by(x))
#define PT_GUARDED_BY(x) GZIPFS_ATTRIBUTE(pt_guarded_by(x))
#define REQUIRES(...) GZIPFS_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) GZIPFS_ATTRIBUTE(requires_shared_capability(__VA_ARGS__))
#define EXCLUDES(...) GZIPFS_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) GZIPFS_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) GZIPFS_ATTRIBUTE(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...) GZIPFS_ATTRIBUTE(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) GZIPFS_ATTRIBUTE(release_shared_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) GZIPFS_ATTRIBUTE(release_generic_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) GZIPFS_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS GZIPFS_ATTRIBUTE(no_thread_safety_analysis)
